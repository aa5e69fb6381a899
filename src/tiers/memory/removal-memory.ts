import type { MissReason } from "../../events.js";
import type { KeyHash } from "./hash-key.js";

const REASONS: readonly (MissReason | undefined)[] = [
  undefined,
  "evicted",
  "expired",
  "invalidated-key",
  "invalidated-tag",
  "invalidated-prefix",
  "invalidated-pattern",
  "invalidated-all",
];
const CODE = 7;
const SLOTS = 1 << 14;

/**
 * Remembers, for the keys that left memory lately, why: so that a miss can say "evicted" or "expired" instead of
 * "cold". A direct-mapped table of 29-bit hashes, 64 KB: two keys in one slot forget the older, and one miss in
 * about 2^15 that falls on a taken slot may be told the reason of another key.
 */
export class RemovalMemory {
  readonly #hash: KeyHash;
  readonly #slots = new Int32Array(SLOTS);

  constructor(hash: KeyHash) {
    this.#hash = hash;
  }

  note(key: string, reason: MissReason): void {
    this.noteHash(this.#hash.of(key), reason);
  }

  /** As `note`, of the key with this hash. */
  noteHash(hash: number, reason: MissReason): void {
    const code = REASONS.indexOf(reason);
    if (code > 0) this.#slots[hash & (SLOTS - 1)] = (hash & ~CODE) | code;
  }

  reason(key: string): MissReason | undefined {
    const hash = this.#hash.of(key);
    const slot = this.#slots[hash & (SLOTS - 1)] ?? 0;
    return ((slot ^ hash) & ~CODE) === 0 ? REASONS[slot & CODE] : undefined;
  }
}
