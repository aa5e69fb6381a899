import type { ResolvedView } from "./view-definition.js";

/** What is known of a view when it is decided when to refresh it. Times in milliseconds, on one clock. */
export interface ViewTimes {
  /** Its data are as of then; `undefined`: it was never refreshed, as far as is known. */
  readonly asOf: number | undefined;
  /** When the last refresh of it ended. */
  readonly endedAt: number | undefined;
  /** How long that took. */
  readonly took: number;
  /** When the first change came that its data lack, and the newest; `undefined`: it is clean. */
  readonly dirtySince: number | undefined;
  readonly dirtyAt: number | undefined;
  /** Failures in a row since the last refresh that succeeded. */
  readonly failures: number;
}

/** The longest pause between two tries of a refresh that fails. */
const MOST_BACKOFF = 60_000;
/** A refresh is begun this many times its last duration before its result is due: the next may be slower. */
const HASTE = 2;
/** Quiet is not waited for longer than this many times itself: a table that is always written to is refreshed all the same. */
const MOST_QUIETS = 10;

/**
 * When the next refresh of a view is due: a moment, perhaps over, or Infinity for none.
 *
 * @param random in [0, 1): what part of the jitter is taken.
 */
export function nextRefresh(view: ResolvedView, times: ViewTimes, now: number, random: number): number {
  const due = dueAt(view, times, now, random);
  if (due === Number.POSITIVE_INFINITY) return due;
  const { endedAt = Number.NEGATIVE_INFINITY, failures, took } = times;
  // Where it does not succeed, ever more slowly; where it is expensive, as rarely as it may cost.
  const backoff = failures === 0 ? 0 : Math.min(MOST_BACKOFF, 1_000 * 2 ** (failures - 1));
  return Math.max(due, endedAt + Math.max(backoff, took * view.costFactor));
}

function dueAt({ refresh }: ResolvedView, times: ViewTimes, now: number, random: number): number {
  const { asOf, took, dirtySince, dirtyAt } = times;
  switch (refresh.kind) {
    case "demand":
      return Number.POSITIVE_INFINITY;
    case "every":
      return asOf === undefined ? now : asOf + refresh.every * (1 - refresh.jitter * random);
    case "maxStaleness":
      return asOf === undefined ? now : asOf + Math.max(refresh.maxStaleness / 2, refresh.maxStaleness - took * HASTE);
    case "dirty": {
      if (asOf === undefined) return now;
      if (dirtySince === undefined || dirtyAt === undefined) return Number.POSITIVE_INFINITY;
      const quietAt = Math.min(dirtyAt + refresh.quiet, dirtySince + refresh.quiet * MOST_QUIETS);
      return Math.max(quietAt, asOf + refresh.atMost);
    }
  }
}
