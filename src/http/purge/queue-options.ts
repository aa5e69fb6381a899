import { systemClock, type Clock } from "../../clock.js";
import { toMilliseconds, type Duration } from "../../duration.js";
import { knownOptions, optionError, wholeNumber } from "../../policy.js";
import type { PurgeEvent } from "./purger.js";
import type { PurgeVendor } from "./vendor.js";

/** How purges are gathered, sent, and sent again. */
export interface PurgeQueueOptions {
  /** How long purges are gathered into one request. @default "20ms" */
  window?: Duration | undefined;
  /** Times a request is sent before it is given up. @default 6 */
  attempts?: number | undefined;
  /** Longest wait before the second attempt, doubled with each one; the wait is random up to that. @default "500ms" */
  retryDelay?: Duration | undefined;
  /** Longest wait before any attempt. @default "30s" */
  maxRetryDelay?: Duration | undefined;
  /** Longest one request may take. @default "10s" */
  timeout?: Duration | undefined;
  /** Targets that may be waiting or under way; more are refused. @default 10000 */
  maxQueued?: number | undefined;
  /** Requests in a second (at Fastly, keys). @default what the vendor allows */
  perSecond?: number | undefined;
  /** So many at once after a pause. @default what the vendor allows */
  burst?: number | undefined;
  /** Hears what happens. */
  onEvent?: ((event: PurgeEvent) => void) | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
  /** Source of chance, from 0 to 1; tests inject one. @default Math.random */
  random?: (() => number) | undefined;
}

export interface ResolvedQueueOptions {
  readonly window: number;
  readonly attempts: number;
  readonly retryDelay: number;
  readonly maxRetryDelay: number;
  readonly timeout: number;
  readonly maxQueued: number;
  readonly perSecond: number;
  readonly burst: number;
  readonly onEvent: (event: PurgeEvent) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The defaults, as data. */
export const QUEUE_DEFAULTS = {
  window: "20ms",
  attempts: 6,
  retryDelay: "500ms",
  maxRetryDelay: "30s",
  timeout: "10s",
  maxQueued: 10_000,
} as const;

const OTHERS: readonly string[] = ["perSecond", "burst", "onEvent", "clock", "random"];
const FIELDS: readonly string[] = [...Object.keys(QUEUE_DEFAULTS), ...OTHERS];

/** @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value. */
export function resolveQueueOptions(options: PurgeQueueOptions, rate: PurgeVendor["rate"]): ResolvedQueueOptions {
  knownOptions(options, FIELDS, "queue");
  const timeout = toMilliseconds(options.timeout ?? QUEUE_DEFAULTS.timeout, "timeout");
  if (timeout === 0) throw optionError("timeout", "more than 0", options.timeout);
  return {
    window: toMilliseconds(options.window ?? QUEUE_DEFAULTS.window, "window"),
    attempts: wholeNumber(options.attempts ?? QUEUE_DEFAULTS.attempts, "attempts", 1),
    retryDelay: toMilliseconds(options.retryDelay ?? QUEUE_DEFAULTS.retryDelay, "retryDelay"),
    maxRetryDelay: toMilliseconds(options.maxRetryDelay ?? QUEUE_DEFAULTS.maxRetryDelay, "maxRetryDelay"),
    timeout,
    maxQueued: wholeNumber(options.maxQueued ?? QUEUE_DEFAULTS.maxQueued, "maxQueued", 1),
    perSecond: positive(options.perSecond ?? rate.perSecond, "perSecond"),
    burst: positive(options.burst ?? rate.burst, "burst"),
    onEvent: options.onEvent ?? (() => undefined),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}

function positive(value: unknown, option: string): number {
  if (typeof value !== "number" || !(value > 0) || value > 1e9) throw optionError(option, "a number above 0", value);
  return value;
}
