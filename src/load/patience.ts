import type { LoadOptions } from "../api.js";
import type { Clock } from "../clock.js";
import { toMilliseconds } from "../duration.js";
import { CacheError } from "../errors.js";
import type { Flight, Outcome } from "./flight.js";

/** How long one caller waits for a flight that others may wait for as well. */
export interface Patience {
  readonly clock: Clock;
  /** Milliseconds until a stale value will do; Infinity for never. */
  readonly softTimeout: number;
  /** A stale value that may be served now, if there is one. */
  readonly stale: () => Outcome | undefined;
}

/**
 * The flight's answer, or what this caller's own limits make of its lateness. None of them ends the load while
 * somebody else waits; only a caller that aborts, and was the last, does.
 */
export function answerFor(
  flight: Flight,
  { signal, waitTimeout }: LoadOptions,
  { clock, softTimeout, stale }: Patience,
): Promise<Outcome> {
  const leave = flight.join();
  if (softTimeout === Number.POSITIVE_INFINITY && waitTimeout === undefined && signal === undefined) {
    return flight.answer;
  }
  return new Promise((resolve, reject) => {
    const end = (): void => {
      soft?.cancel();
      hard?.cancel();
      signal?.removeEventListener("abort", aborted);
      leave();
    };
    const aborted = (): void => {
      end();
      reject(signal?.reason as Error);
    };
    /** Were the load ended now, a source slower than its callers' patience would never be cached. */
    const leaveItRunning = (): void => {
      flight.adopt();
      end();
    };
    const serveStale = (): boolean => {
      const outcome = stale();
      if (outcome === undefined) return false;
      leaveItRunning();
      resolve(outcome);
      return true;
    };
    const giveUp = (): void => {
      if (serveStale()) return;
      leaveItRunning();
      reject(new CacheError("ERR_CACHE_TIMEOUT", `${flight.key} was not loaded within ${String(waitTimeout)}`));
    };
    const soft = softTimeout === Number.POSITIVE_INFINITY ? undefined : clock.after(softTimeout, serveStale, true);
    const hard =
      waitTimeout === undefined ? undefined : clock.after(toMilliseconds(waitTimeout, "waitTimeout"), giveUp, true);
    if (signal?.aborted === true) {
      aborted();
      return;
    }
    signal?.addEventListener("abort", aborted, { once: true });
    flight.answer.then(
      (outcome) => {
        end();
        resolve(outcome);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}
