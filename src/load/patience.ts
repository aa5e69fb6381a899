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
  if (signal?.aborted === true) {
    leave();
    return Promise.reject(signal.reason as Error);
  }
  return new Promise((resolve, reject) => {
    const end = (): void => {
      soft?.cancel();
      hard?.cancel();
      unheard?.();
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
    const unheard = signal && hearAbort(signal, aborted);
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

/** Who waits under a signal, and what it calls for them: a memo, for as long as anybody does. */
const heard = new WeakMap<AbortSignal, { readonly waiting: Set<() => void>; readonly tell: () => void }>();

/**
 * Has `listener` called when the signal is aborted, by one listener of the signal's for all: a request that reads eleven keys under its
 * signal leaks nothing, and Node.js warns of a leak from the eleventh on.
 *
 * @returns takes it back.
 */
function hearAbort(signal: AbortSignal, listener: () => void): () => void {
  let all = heard.get(signal);
  if (all === undefined) {
    const waiting = new Set<() => void>();
    const tell = (): void => waiting.forEach((one) => one());
    all = { waiting, tell };
    heard.set(signal, all);
    signal.addEventListener("abort", tell, { once: true });
  }
  const { waiting, tell } = all;
  waiting.add(listener);
  return () => {
    waiting.delete(listener);
    if (waiting.size > 0 || heard.get(signal)?.waiting !== waiting) return;
    // A signal that is listened to is kept by those that it follows.
    heard.delete(signal);
    signal.removeEventListener("abort", tell);
  };
}
