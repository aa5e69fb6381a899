/** Texts that are kept, and the longest of them. */
const MOST = 1_000;
const LONGEST = 1_000;

/** What texts were made into, a memo and never more: what is asked for now is asked for again. Emptied when it is full. */
export class TextMemo<T> {
  readonly #known = new Map<string, T>();

  get(text: string): T | undefined {
    return this.#known.get(text);
  }

  /** @returns what was made of the text. */
  keep(text: string, made: T): T {
    if (text.length > LONGEST) return made;
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(text, made);
    return made;
  }
}
