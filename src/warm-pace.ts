/** Weight of the newest task in the average. */
const NEWEST = 0.2;
/** So many times slower than its best the source is too slow. */
const TOO_SLOW = 2;
/** Differences below this say nothing; milliseconds. */
const LEAST = 2;
/** How fast the best is forgotten: a source that is slower for good is the new normal after some two hundred tasks. */
const FORGETS = 1.01;
/** Tasks between two cuts: those begun before a cut say nothing of it. */
const AFTER_CUT = 8;
/** The rate is never cut below this part of what was asked for. */
const LEAST_SHARE = 1 / 16;
/** Steps back to the full rate. */
const STEPS = 50;

/**
 * How fast tasks may begin: as fast as asked for while they end as soon as usual, half as fast each time they take twice as long,
 * and then more by small steps (AIMD, as TCP does).
 */
export class WarmPace {
  readonly #most: number;
  #rate: number;
  #average: number | undefined;
  #best = Number.POSITIVE_INFINITY;
  #untilCut = 0;

  /** @param most tasks a second. */
  constructor(most: number) {
    this.#most = most;
    this.#rate = most;
  }

  /** Tasks a second. */
  get rate(): number {
    return this.#rate;
  }

  /** A task ended after so many milliseconds. */
  ended(took: number): void {
    this.#average = this.#average === undefined ? took : this.#average + NEWEST * (took - this.#average);
    this.#best = Math.min(this.#average, this.#best * FORGETS);
    this.#untilCut -= 1;
    if (this.#average > this.#best * TOO_SLOW + LEAST) {
      if (this.#untilCut > 0) return;
      this.#untilCut = AFTER_CUT;
      this.#rate = Math.max(this.#most * LEAST_SHARE, this.#rate / 2);
    } else {
      this.#rate = Math.min(this.#most, this.#rate + this.#most / STEPS);
    }
  }
}
