import { createHash } from "node:crypto";

import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { knownOptions, optionError } from "../policy.js";

/** Values of the first four bytes of a hash. */
const POINTS = 2 ** 32;

/**
 * Whether a key is in the first `share` (0 to 1) of all keys, by a hash: the same in every process and run, and what is in a
 * share is in every larger one.
 */
export function inShare(key: string, share: number): boolean {
  if (share >= 1) return true;
  return createHash("sha256").update(key).digest().readUInt32BE(0) < share * POINTS;
}

export interface RolloutOptions {
  /** The share at the start, 0 to 1. @default 0.01 */
  from?: number | undefined;
  /** The share at the end. @default 1 */
  to?: number | undefined;
  /** How long it takes from one to the other, in even steps of time. */
  over: Duration;
  /** @default the machine's */
  clock?: Clock | undefined;
}

/** A share of keys, or of traffic, that grows with time. */
export interface Rollout {
  /** The share now, 0 to 1. */
  readonly share: number;
  /** Whether the key, or the user, is in it: one that is stays so. */
  has(key: string): boolean;
}

/**
 * A share that grows from `from` to `to`: what is in it goes through the cache, the rest past it, so that a cache that is
 * new, or empty, does not ask its source for everything at once.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function rollout(options: RolloutOptions): Rollout {
  knownOptions(options, ["from", "to", "over", "clock"], "rollout");
  const { from = 0.01, to = 1, clock = systemClock } = options;
  const over = toMilliseconds(options.over, "over");
  for (const [name, share] of [
    ["from", from],
    ["to", to],
  ] as const)
    if (!(share >= 0 && share <= 1)) throw optionError(name, "from 0 to 1", share);
  const began = clock.now();
  const shareNow = (): number => {
    const part = over === 0 ? 1 : Math.min(1, (clock.now() - began) / over);
    return from + (to - from) * part;
  };
  return {
    get share() {
      return shareNow();
    },
    has: (key) => inShare(key, shareNow()),
  };
}
