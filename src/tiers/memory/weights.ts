const MOST_UINT32 = 2 ** 32 - 1;

/**
 * Bytes by slot.
 *
 * A class, and not a function for each who asks: caches and their shadows share the code that asks, and the compiler
 * can only draw in what is called if it is always the same.
 */
export class Weights {
  readonly #isLarge: boolean;
  #bytes: Uint32Array | Float64Array;

  /** @param most no slot weighs more. */
  constructor(most: number) {
    this.#isLarge = most > MOST_UINT32;
    this.#bytes = this.#allocate(0);
  }

  /** Slots there is room for. */
  get slots(): number {
    return this.#bytes.length;
  }

  of(slot: number): number {
    return this.#bytes[slot] as number;
  }

  set(slot: number, bytes: number): void {
    this.#bytes[slot] = bytes;
  }

  /** Makes room for slots 0 to `slots` - 1; those there were keep their weights, if there is room for them. */
  resize(slots: number): void {
    const bytes = this.#allocate(slots);
    bytes.set(this.#bytes.subarray(0, slots));
    this.#bytes = bytes;
  }

  #allocate(slots: number): Uint32Array | Float64Array {
    return this.#isLarge ? new Float64Array(slots) : new Uint32Array(slots);
  }
}
