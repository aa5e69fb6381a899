/** From this length on, V8 keeps the whole text that a substring was cut from. */
const SLICED = 13;
const NUMERIC = /^(?:0|[1-9]\d{0,14})$/;

/** Dense integers for keys, from 0, in the order of their first appearance. */
export class KeyIds {
  readonly #ids = new Map<string | number, number>();

  /** How many keys have an id. */
  get size(): number {
    return this.#ids.size;
  }

  /** The key's id; a number and its decimal digits are one key. */
  idOf(key: string | number): number {
    const known = typeof key === "string" && NUMERIC.test(key) ? Number(key) : key;
    const id = this.#ids.get(known);
    if (id !== undefined) return id;
    const next = this.#ids.size;
    // A copy, or each key would keep the block of the file it was read in.
    const own = typeof known === "string" && known.length >= SLICED ? Buffer.from(known).toString() : known;
    this.#ids.set(own, next);
    return next;
  }
}
