import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Flight } from "./flight.js";
import type { LoadSpec } from "./loads.js";
import { isThenable } from "./outcomes.js";

/** A loader's result, or `ERR_CACHE_TIMEOUT` after the hard timeout; what comes later is dropped. */
export async function boundedLoad(flight: Flight, spec: LoadSpec, running: unknown, clock: Clock): Promise<unknown> {
  if (!isThenable(running)) return running;
  const limit = spec.policy.hardTimeout;
  return new Promise((resolve, reject) => {
    const timer = clock.after(
      limit,
      () => {
        flight.timedOut = true;
        flight.abort(new CacheError("ERR_CACHE_TIMEOUT", `The load of ${flight.key} took longer than ${limit} ms`));
      },
      !flight.background,
    );
    flight.whenAborted((reason) => {
      timer.cancel();
      spec.batch?.abort(reason);
      reject(reason);
    });
    running.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
