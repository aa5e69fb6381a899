/** The highest count kept: 4 bits. */
const MAX_COUNT = 15;
/** Words of a block: 64 bytes, one cache line. */
const BLOCK_WORDS = 16;
/** Counts are halved after this many increments per entry of the capacity (W in the paper). */
const SAMPLE_PER_ENTRY = 12;
/** The lowest bit of each counter of a word. */
const LOWEST_BITS = 0x11111111;

/**
 * How often keys were seen lately, in 4 to 8 bytes per key: a count-min sketch of 4-bit counters with aging
 * (TinyLFU: Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017).
 *
 * A key owns four counters and its frequency is the least of them: between two agings it is never told too low, and
 * too high only when all four are shared. All four lie in one 64-byte block, four words per row, so an access costs
 * one cache line (the layout idea is Caffeine's).
 *
 * All four counters grow, not only those at the minimum: the conservative update errs less, but its errors are what
 * breaks ties between equally frequent keys the same way each time. Without them a loop longer than the cache is a
 * row of ties, aging makes each newcomer win, and nothing is ever hit (measured on the loop and gli traces).
 */
export class FrequencySketch {
  #table: Int32Array;
  #blockMask: number;
  #capacity: number;
  #additions = 0;

  /** @param capacity entries whose frequencies are to be told apart. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#table = new Int32Array(wordsFor(capacity));
    this.#blockMask = this.#table.length / BLOCK_WORDS - 1;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Grows for more entries, keeping every count. */
  ensureCapacity(capacity: number): void {
    if (capacity <= this.#capacity) return;
    this.#capacity = capacity;
    const words = wordsFor(capacity);
    if (words <= this.#table.length) return;
    // A block is chosen by the hash's low bits: with one more bit, each half of the new table starts as the old table.
    const table = new Int32Array(words);
    for (let at = 0; at < words; at += this.#table.length) table.set(this.#table, at);
    this.#table = table;
    this.#blockMask = words / BLOCK_WORDS - 1;
  }

  /** 0 to 15. */
  frequency(hash: number): number {
    const table = this.#table;
    const block = (hash & this.#blockMask) * BLOCK_WORDS;
    let picks = spread(hash);
    let least = MAX_COUNT;
    for (let row = block; row < block + BLOCK_WORDS; row += 4) {
      const count = ((table[row + ((picks >>> 3) & 3)] as number) >>> ((picks & 7) << 2)) & MAX_COUNT;
      if (count < least) least = count;
      picks >>>= 5;
    }
    return least;
  }

  /** Any part of what `frequency` and `increment` read. */
  fetch(hash: number): number {
    return this.#table[(hash & this.#blockMask) * BLOCK_WORDS] as number;
  }

  increment(hash: number): void {
    const table = this.#table;
    const block = (hash & this.#blockMask) * BLOCK_WORDS;
    let picks = spread(hash);
    let grown = 0;
    for (let row = block; row < block + BLOCK_WORDS; row += 4) {
      const at = row + ((picks >>> 3) & 3);
      const shift = (picks & 7) << 2;
      const word = table[at] as number;
      if (((word >>> shift) & MAX_COUNT) !== MAX_COUNT) {
        table[at] = word + (1 << shift);
        grown = 1;
      }
      picks >>>= 5;
    }
    this.#additions += grown;
    if (this.#additions >= SAMPLE_PER_ENTRY * this.#capacity) this.#age();
  }

  /** Halves all counters; the additions left are half too, less what halving odd counts lost, a quarter of it per key. */
  #age(): void {
    const table = this.#table;
    let odd = 0;
    for (let i = 0; i < table.length; i += 1) {
      const word = table[i] as number;
      odd += Math.imul(word & LOWEST_BITS, LOWEST_BITS) >>> 28;
      table[i] = (word >>> 1) & 0x77777777;
    }
    this.#additions = Math.max(0, this.#additions - (odd >>> 2)) >>> 1;
  }
}

function wordsFor(capacity: number): number {
  return Math.max(BLOCK_WORDS, 2 ** Math.ceil(Math.log2(capacity)));
}

/** Twenty bits for the four rows, independent of the low bits that chose the block. */
function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 12);
}
