/** Repetitions that may be made at once after a quiet time. */
const MOST = 10;

/**
 * How many repetitions the requests have paid for: each adds its part, each repetition takes one. So when an origin fails for all
 * it gets little more than it did before, and not twice as much.
 */
export class RetryBudget {
  readonly #share: number;
  #balance: number;

  /** @param share repetitions for each request; 0 is none at all. */
  constructor(share: number) {
    this.#share = share;
    this.#balance = share === 0 ? 0 : MOST;
  }

  requested(): void {
    this.#balance = Math.min(MOST, this.#balance + this.#share);
  }

  /** Whether there is one more, which is then taken. */
  take(): boolean {
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }
}
