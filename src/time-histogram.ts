/** Buckets for each doubling of the time. */
const PER_DOUBLING = 4;
/** The least time told apart, in milliseconds: a tenth of a microsecond. */
const LEAST = 0.0001;
const BUCKETS = 120;

/** How many took how long: by bucket, without the empty ones at the end. `bucketTime` says how long a bucket's took. */
export type TimeCounts = readonly number[];

/**
 * How long things took, on a log scale from 0.1 µs to a minute: a bucket's times differ by less than a fifth, so a percentile is
 * right within a tenth. Counts of several processes are added up bucket by bucket, which percentiles are not; so the buckets are few, as
 * every process sends its own in each report.
 */
export class TimeHistogram {
  readonly #counts = new Array<number>(BUCKETS).fill(0);
  #used = 0;

  /** @param took milliseconds */
  add(took: number): void {
    const bucket = bucketOf(took);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    if (bucket >= this.#used) this.#used = bucket + 1;
  }

  counts(): TimeCounts {
    return this.#counts.slice(0, this.#used);
  }
}

/** The middle of a bucket, in milliseconds. */
export function bucketTime(bucket: number): number {
  return LEAST * 2 ** ((bucket + 0.5) / PER_DOUBLING);
}

/** The time that a share of them (0 to 1) did not exceed, in milliseconds; `undefined` of none. */
export function percentile(counts: TimeCounts, share: number): number | undefined {
  let total = 0;
  for (const count of counts) total += count;
  if (total === 0) return undefined;
  let left = Math.max(1, Math.ceil(total * share));
  for (const [bucket, count] of counts.entries()) {
    left -= count;
    if (left <= 0) return bucketTime(bucket);
  }
  return undefined;
}

function bucketOf(took: number): number {
  if (!(took > LEAST)) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(took / LEAST) * PER_DOUBLING));
}
