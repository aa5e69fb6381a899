import type { Clock } from "../clock.js";

/** How long a URL is taken for uncacheable after requests have waited for one another in vain; milliseconds. */
const REMEMBERED = 60_000;
const MOST_URLS = 10_000;

/**
 * URLs whose responses turned out not to be shareable while others waited for them: requests for these do not wait for one
 * another. One that nobody waited for is not remembered, as its next response may be another.
 */
export class HitForMiss {
  readonly #clock: Clock;
  /** Until when, by place; the oldest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(id: string): boolean {
    const until = this.#until.get(id);
    if (until === undefined) return false;
    if (this.#clock.now() < until) return true;
    this.#until.delete(id);
    return false;
  }

  remember(id: string): void {
    this.#until.delete(id);
    this.#until.set(id, this.#clock.now() + REMEMBERED);
    if (this.#until.size <= MOST_URLS) return;
    const [oldest] = this.#until.keys();
    if (oldest !== undefined) this.#until.delete(oldest);
  }

  forget(id: string): void {
    this.#until.delete(id);
  }
}
