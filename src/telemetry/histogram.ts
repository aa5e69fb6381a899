/** One value of a metric, with its labels. */
export interface Sample {
  /** Other than the metric's own: a histogram's `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** By bucket, not added up; one more than bounds. */
  readonly counts: Float64Array;
  sum: number;
}

/**
 * A metric's observations, counted for each set of labels by the bounds that Prometheus is told: those are its users' to read, and not
 * a scale of our own as that of `TimeHistogram` is.
 */
export class Histogram {
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** @param bounds upper bounds, rising; a value that equals one is within. */
  constructor(name: string, bounds: readonly number[]) {
    this.#name = name;
    this.#bounds = bounds;
  }

  observe(labels: Readonly<Record<string, string>>, value: number): void {
    const id = Object.values(labels).join("\u0000");
    let series = this.#series.get(id);
    if (series === undefined) {
      series = { labels, counts: new Float64Array(this.#bounds.length + 1), sum: 0 };
      this.#series.set(id, series);
    }
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    series.counts[bucket] = (series.counts[bucket] as number) + 1;
    series.sum += value;
  }

  /** As Prometheus wants them: buckets hold those below as well. */
  samples(): Sample[] {
    return Array.from(this.#series.values(), (series) => this.#samplesOf(series)).flat();
  }

  #samplesOf({ labels, counts, sum }: Series): Sample[] {
    let below = 0;
    const buckets = Array.from(counts, (count, at): Sample => {
      below += count;
      const le = this.#bounds[at];
      const value = below;
      return {
        metricName: `${this.#name}_bucket`,
        labels: { ...labels, le: le === undefined ? "+Inf" : String(le) },
        value,
      };
    });
    return [
      ...buckets,
      { metricName: `${this.#name}_sum`, labels, value: sum },
      { metricName: `${this.#name}_count`, labels, value: below },
    ];
  }
}
