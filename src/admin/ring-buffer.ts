/** The last few of what was pushed, oldest first. */
export class RingBuffer<T> {
  readonly #size: number;
  #items: T[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  push(item: T): void {
    this.#items.push(item);
    // Cut at twice the size, so that a push costs no move of all.
    if (this.#items.length >= 2 * this.#size) this.#items = this.#items.slice(-this.#size);
  }

  items(): readonly T[] {
    return this.#items.slice(-this.#size);
  }
}
