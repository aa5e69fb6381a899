import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";

/** The answer of `work`, or `ERR_CACHE_TIMEOUT` when there is none in time; what it does goes on. */
export function within<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(
      ms,
      () => reject(new CacheError("ERR_CACHE_TIMEOUT", `${what} did not answer within ${ms} ms`)),
      true,
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve, true);
  });
}
