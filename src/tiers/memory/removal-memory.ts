import type { MissReason } from "../../events.js";

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
  readonly #slots = new Uint32Array(SLOTS);

  note(key: string, reason: MissReason): void {
    const code = REASONS.indexOf(reason);
    if (code <= 0) return;
    const hash = hashOf(key);
    this.#slots[hash % SLOTS] = ((hash & ~CODE) | code) >>> 0;
  }

  reason(key: string): MissReason | undefined {
    const hash = hashOf(key);
    const slot = this.#slots[hash % SLOTS] ?? 0;
    return ((slot ^ hash) & ~CODE) === 0 ? REASONS[slot & CODE] : undefined;
  }
}

/** FNV-1a, 32 bits, with a final mix so that the bits used as slot number depend on every character. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
