import type { KeyHash } from "./hash-key.js";

/** The longest middle that is spelt out, in UTF-16 units; longer keys are put together. */
const LONGEST_MIDDLE = 128;

/**
 * Keys that begin and end alike, such as one entity's: what is between is written into `units` at `from`, and the key is
 * looked up (`MemoryTier.findIn`) without ever being a string. The hash of the beginning is known beforehand.
 */
export class KeyFamily {
  /** The beginning, and room for the rest. */
  readonly units: Uint16Array;
  /** Where the middle begins. */
  readonly from: number;
  /** The middle has to end before that. */
  readonly to: number;
  readonly #hash: KeyHash;
  readonly #state: number;
  readonly #tail: Uint16Array;

  constructor(hash: KeyHash, head: string, tail: string) {
    this.from = head.length;
    this.to = this.from + LONGEST_MIDDLE;
    this.units = new Uint16Array(this.to + tail.length);
    this.#hash = hash;
    this.#state = hash.after(head);
    this.#tail = unitsOf(tail);
    this.units.set(unitsOf(head));
  }

  /** Writes the end behind a middle that ends at `end`. @returns the key's length. */
  close(end: number): number {
    const tail = this.#tail;
    for (let i = 0; i < tail.length; i += 1) this.units[end + i] = tail[i] as number;
    return end + tail.length;
  }

  /** The hash of the key of this length. */
  hashTo(length: number): number {
    return this.#hash.ofUnits(this.#state, this.units, this.from, length);
  }
}

function unitsOf(text: string): Uint16Array {
  return Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
}
