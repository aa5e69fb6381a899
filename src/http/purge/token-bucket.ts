import type { Clock } from "../../clock.js";

/** Lets so much through in a second, and a burst after a pause. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = clock.now();
  }

  /**
   * Takes so many tokens, or says how many milliseconds to wait before asking again; 0 means they are taken. What costs more than a
   * whole bucket takes all of it.
   */
  take(cost: number): number {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perSecond) / 1_000);
    this.#at = now;
    const needed = Math.min(cost, this.#burst);
    // A billionth is what adding fractions loses.
    if (this.#tokens + 1e-9 >= needed) {
      this.#tokens = Math.max(0, this.#tokens - needed);
      return 0;
    }
    return Math.max(1, Math.ceil(((needed - this.#tokens) * 1_000) / this.#perSecond));
  }
}
