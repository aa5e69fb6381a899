import type { Tally } from "./tally.js";

/** How often each id was counted. */
export class KeyCounts {
  #counts: Int32Array = new Int32Array(1024);

  /** Ids from 0 to this one less may have been counted. */
  get length(): number {
    return this.#counts.length;
  }

  of(id: number): number {
    return this.#counts[id] ?? 0;
  }

  add(id: number): void {
    if (id >= this.#counts.length) {
      const grown = new Int32Array(Math.max(2 * this.#counts.length, id + 1));
      grown.set(this.#counts);
      this.#counts = grown;
    }
    this.#counts[id] = (this.#counts[id] as number) + 1;
  }
}

/** What a sample saw, and what it stands for. */
export interface SampledTraffic {
  /** Of each key of the sample. */
  readonly reads: KeyCounts;
  /** Reads and other requests of the sample. */
  readonly tally: Tally;
  /** Requests of the whole trace. */
  readonly requests: number;
  /** The part of all keys that is in the sample. */
  readonly sample: number;
}

/**
 * The hit ratio of the whole trace, estimated from a sample of its keys.
 *
 * A sample in which a hot key happens to be has too many reads, and most of them hit; one in which none is has too few. So the
 * hits are corrected by the reads that are missing, times the slope of hits over reads: the regression estimator of
 * survey sampling, whose slope is the sum of hits × reads over that of reads × reads. Where hot keys make the difference
 * it is nearly 1, which SHARDS-adj takes it for always (Waldspurger and others, FAST 2015); with scans it is not.
 */
export function correctedRatio(hits: number, hitsByKey: KeyCounts, traffic: SampledTraffic): number {
  const { reads, tally, requests, sample } = traffic;
  const sampled = tally.gets + tally.sets + tally.deletes;
  if (tally.gets === 0) return 0;
  const expected = tally.gets * ((requests * sample) / sampled);
  let product = 0;
  let square = 0;
  for (let id = 0; id < reads.length; id += 1) {
    product += hitsByKey.of(id) * reads.of(id);
    square += reads.of(id) ** 2;
  }
  const corrected = hits + (product / square) * (expected - tally.gets);
  return Math.min(1, Math.max(0, corrected / expected));
}
