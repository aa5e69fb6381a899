import type { Clock, Timer } from "../../clock.js";
import { CacheError } from "../../errors.js";

/** What a promise gives, unless it takes too long. What comes later is dropped. @throws CacheError `ERR_CACHE_TIMEOUT`. */
export async function within<T>(clock: Clock, ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => reject(new CacheError("ERR_CACHE_TIMEOUT", `${what} took longer than ${ms} ms`)));
  });
  // It may still fail after nobody waits for it.
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer?.cancel();
  }
}

/** Resolves after a while, or when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Waits that double, with jitter: from half of each to all of it. */
export class Waits {
  readonly #first: number;
  readonly #longest: number;
  readonly #random: () => number;
  #next: number;

  constructor(first: number, longest: number, random: () => number = Math.random) {
    this.#first = first;
    this.#longest = longest;
    this.#random = random;
    this.#next = first;
  }

  next(): number {
    const ms = this.#next;
    this.#next = Math.min(this.#longest, ms * 2);
    return ms * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#next = this.#first;
  }
}
