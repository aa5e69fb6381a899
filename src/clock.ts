import { performance } from "node:perf_hooks";

/** A started timer; cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * The one source of time of a cache.
 *
 * Deadlines inside a process are measured on the monotonic clock, so stepping the wall clock neither
 * revives nor kills an entry; the wall clock only stamps what leaves the process.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** Wall-clock milliseconds since the Unix epoch; may jump. */
  wall(): number;
  /** Calls `fn` once after `ms` milliseconds. The timer keeps the process alive only with `hold`: a caller waits for it. */
  after(ms: number, fn: () => void, hold?: boolean): Timer;
}

/** The longest a Node timer can wait; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The clock of the machine. (Imported, because the global `performance` is a getter that costs as much as the reading.) */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn, hold) {
    let handle: NodeJS.Timeout;
    const wait = (left: number): void => {
      handle = setTimeout(
        () => (left > LONGEST_TIMER ? wait(left - LONGEST_TIMER) : fn()),
        Math.min(left, LONGEST_TIMER),
      );
      if (hold !== true) handle.unref();
    };
    wait(ms);
    return { cancel: () => clearTimeout(handle) };
  },
};
