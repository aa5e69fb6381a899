/** First step, and the step after a restart: share of the capacity. */
const STEP = 0.0625;
const DECAY = 0.98;
/** A change of the hit ratio this large means another workload: search again with full steps. */
const RESTART = 0.05;
/** Below this hit ratio there is little to lose by looking far away. */
const POOR = 0.1;
/** Poor periods between two such looks. */
const PATIENCE = 4;
const FAR = 0.5;

/**
 * Finds the window's share by trying: keep on in a direction while the hit ratio rises, turn when it falls, with
 * ever smaller steps (Einziger, Eytan, Friedman, Manes, "Adaptive Software Cache Management", Middleware 2018).
 *
 * A climber sees no further than a step: where keys come back once and soon, every window that is too small hits
 * nothing and none is better than its neighbour. So while the hit ratio is poor, one period in five is spent with
 * half of the capacity as the window, which is kept if it hits twice as often.
 */
export class HillClimber {
  readonly #least: number;
  readonly #most: number;
  #share: number;
  #step: number = -STEP;
  #previous = 0;
  #poor = 0;
  /** The share to return to if looking far away does not pay; undefined when not looking. */
  #home: number | undefined;

  /** The share starts at `least`, and never leaves the two bounds. */
  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = most;
    this.#share = least;
  }

  get share(): number {
    return this.#share;
  }

  /** Takes the hit ratio of one period, 0 to 1, and answers with the share for the next. */
  next(hitRatio: number): number {
    if (this.#home !== undefined) return this.#decide(this.#home, hitRatio);
    this.#poor = hitRatio < POOR ? this.#poor + 1 : 0;
    if (this.#poor <= PATIENCE || this.#share >= FAR) return this.#climb(hitRatio);
    this.#home = this.#share;
    this.#previous = hitRatio;
    this.#share = Math.min(this.#most, FAR);
    return this.#share;
  }

  #decide(home: number, hitRatio: number): number {
    this.#home = undefined;
    this.#poor = 0;
    if (hitRatio > 2 * this.#previous) this.#previous = hitRatio;
    else this.#share = home;
    return this.#share;
  }

  #climb(hitRatio: number): number {
    const change = hitRatio - this.#previous;
    this.#previous = hitRatio;
    // No change means go on, which at a bound means stay: on a loop that is right.
    const amount = change >= 0 ? this.#step : -this.#step;
    this.#step = Math.abs(change) >= RESTART ? Math.sign(amount) * STEP : amount * DECAY;
    this.#share = Math.min(this.#most, Math.max(this.#least, this.#share + amount));
    return this.#share;
  }
}
