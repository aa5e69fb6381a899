/** Buckets per doubling: a value is reported at most 1.1 % (2^(1/64)) above what it was. */
const STEPS = 64;
/** Doublings from one microsecond: the last bucket begins at over 500 seconds. */
const DOUBLINGS = 30;

/**
 * Counts latencies in logarithmic buckets: constant memory, whatever is recorded. Ten times finer than the cache's own `TimeHistogram`, with
 * the exact maximum, for figures that are quoted; nobody sends it anywhere.
 */
export class Histogram {
  readonly #counts = new Uint32Array(STEPS * DOUBLINGS);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly; 0 before the first. */
  get max(): number {
    return this.#max;
  }

  /** @param ms a latency in milliseconds */
  record(ms: number): void {
    const index = bucketOf(ms);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
    this.#max = Math.max(this.#max, ms);
  }

  /** The latency in milliseconds that a share `quantile` (0 to 1) of all did not exceed; 0 before the first. */
  percentile(quantile: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * quantile));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index] ?? 0;
      if (seen >= wanted) {
        return Math.min(upperEdge(index), this.#max);
      }
    }
    return this.#max;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#max = 0;
  }
}

function bucketOf(ms: number): number {
  const microseconds = Math.max(1, ms * 1_000);
  return Math.min(STEPS * DOUBLINGS - 1, Math.floor(Math.log2(microseconds) * STEPS));
}

function upperEdge(index: number): number {
  return 2 ** ((index + 1) / STEPS) / 1_000;
}
