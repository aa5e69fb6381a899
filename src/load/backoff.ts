import type { Clock } from "../clock.js";

/** First wait after the second failure in a row, doubled each time up to the longest; milliseconds. */
const FIRST = 100;
const LONGEST = 5_000;
/** Failing keys remembered; the one that failed longest ago is forgotten first. */
const MAX_KEYS = 10_000;

interface Failing {
  readonly count: number;
  readonly error: unknown;
  readonly until: number;
}

/**
 * Keys whose loads fail in a row. One failure is only shared by those who overlapped it; from the second on,
 * callers get the last error at once until the backoff is over, so that a broken source is not hammered once for
 * each caller.
 */
export class Backoff {
  readonly #clock: Clock;
  readonly #failing = new Map<string, Failing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failed(key: string, error: unknown): void {
    const count = (this.#failing.get(key)?.count ?? 0) + 1;
    const wait = count < 2 ? 0 : Math.min(LONGEST, FIRST * 2 ** (count - 2));
    this.#failing.delete(key);
    this.#failing.set(key, { count, error, until: this.#clock.now() + wait });
    if (this.#failing.size > MAX_KEYS) {
      const [oldest] = this.#failing.keys();
      if (oldest !== undefined) this.#failing.delete(oldest);
    }
  }

  succeeded(key: string): void {
    this.#failing.delete(key);
  }

  /** The error to give instead of loading; `undefined` when a load may be tried. */
  refusal(key: string): { readonly error: unknown } | undefined {
    const failing = this.#failing.get(key);
    return failing !== undefined && failing.until > this.#clock.now() ? { error: failing.error } : undefined;
  }

  /** For `explain`. */
  state(key: string): { readonly count: number; readonly retryIn: number } | undefined {
    const failing = this.#failing.get(key);
    return failing && { count: failing.count, retryIn: Math.max(0, failing.until - this.#clock.now()) };
  }

  clear(): void {
    this.#failing.clear();
  }
}
