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
  /**
   * As `now`, for the hottest path: may be the time of an earlier reading in the same turn of the event loop, while
   * readings come by the thousand. Never later than `now`.
   */
  recent(): number;
  /** Wall-clock milliseconds since the Unix epoch; may jump. */
  wall(): number;
  /** Calls `fn` once after `ms` milliseconds. The timer keeps the process alive only with `hold`: a caller waits for it. */
  after(ms: number, fn: () => void, hold?: boolean): Timer;
}

/** The longest a Node timer can wait; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Readings so close together (milliseconds) that they come from one stretch of work. */
const CLOSE = 0.05;
/** So many of them in a row, and the next are answered from memory: this many, or until the turn ends. */
const STREAK = 8;
const REUSED = 32;

/**
 * A reading of the machine's clock costs 40 ns by itself and several times that between memory accesses, which it
 * keeps from overlapping: more than the rest of a hit. So a burst of readings shares one. It ends with the turn of
 * the event loop, because nothing bounds how long the next reading is in coming.
 */
function recentTime(): () => number {
  let last = Number.NEGATIVE_INFINITY;
  let streak = 0;
  let left = 0;
  let scheduled = false;
  const endOfTurn = (): void => {
    scheduled = false;
    left = 0;
    streak = 0;
  };
  return () => {
    if (left > 0) {
      left -= 1;
      return last;
    }
    const now = performance.now();
    streak = now - last < CLOSE ? streak + 1 : 0;
    last = now;
    if (streak >= STREAK) {
      left = REUSED;
      if (!scheduled) {
        scheduled = true;
        setImmediate(endOfTurn).unref();
      }
    }
    return now;
  };
}

/** The clock of the machine. (`performance` is imported, because the global one is a getter that costs as much as the reading.) */
export const systemClock: Clock = {
  now: () => performance.now(),
  recent: recentTime(),
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
