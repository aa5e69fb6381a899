import { MAX_DURATION, toMilliseconds, type Duration } from "./duration.js";
import { CacheError } from "./errors.js";
import type { LoadOptions, SetOptions } from "./api.js";
import type { EntryPolicy, StaleIfError, Ttl } from "./options.js";
import { validateTtl } from "./schedule.js";

/** An `EntryPolicy` in which every question has its answer, in milliseconds. */
export interface ResolvedPolicy {
  readonly ttl: Ttl;
  readonly memoryTtl: number;
  readonly sharedTtl: number;
  readonly maxTtl: number;
  readonly jitter: number;
  readonly sliding: boolean;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly staleThrottle: number;
  readonly staleWhen: ((error: unknown) => boolean) | undefined;
  readonly negativeTtl: number | undefined;
  readonly earlyRefresh: number;
  /** Infinity: none. */
  readonly softTimeout: number;
  readonly hardTimeout: number;
  readonly strict: boolean;
  readonly fed: boolean;
}

/** The defaults, as data: the resolver reads them and a test compares them with the `@default` tags. */
export const DEFAULT_POLICY: ResolvedPolicy = {
  ttl: 300_000,
  memoryTtl: Number.POSITIVE_INFINITY,
  sharedTtl: Number.POSITIVE_INFINITY,
  maxTtl: 30 * 86_400_000,
  jitter: 0.05,
  sliding: false,
  staleWhileRevalidate: 0,
  staleIfError: 0,
  staleThrottle: 1_000,
  staleWhen: undefined,
  negativeTtl: undefined,
  earlyRefresh: 0,
  softTimeout: Number.POSITIVE_INFINITY,
  hardTimeout: 30_000,
  strict: false,
  fed: true,
};

const FIELDS = [
  "ttl",
  "tierTtl",
  "maxTtl",
  "jitter",
  "sliding",
  "staleWhileRevalidate",
  "staleIfError",
  "negativeTtl",
  "earlyRefresh",
  "softTimeout",
  "hardTimeout",
  "strict",
  "fed",
  "preset",
] as const satisfies readonly (keyof EntryPolicy)[];

/** Names of the fields of an `EntryPolicy`, for those who check for unknown options. */
export const POLICY_FIELDS: readonly string[] = FIELDS;

const SET_FIELDS: readonly string[] = [...FIELDS, "tags", "etag"];
const LOAD_FIELDS: readonly string[] = [...SET_FIELDS, "signal", "waitTimeout", "forceFresh", "countMiss"];

/** Whether the options say anything about the policy: most calls do not, and keep the resolved one. */
export function saysPolicy(options: EntryPolicy): boolean {
  return FIELDS.some((field) => options[field] !== undefined);
}

/** Whether memory may answer a call without the shared log being asked. A preset may say what it likes: it is looked up first. */
export function mayAnswerAtOnce(options: EntryPolicy, policy: ResolvedPolicy): boolean {
  return !(options.strict ?? policy.strict) && options.preset === undefined;
}

/**
 * `policy` laid over `base`, field by field; a preset lies between the two.
 *
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value.
 */
export function resolvePolicy(
  base: ResolvedPolicy,
  policy: EntryPolicy,
  presets: Readonly<Record<string, EntryPolicy>>,
): ResolvedPolicy {
  if (policy.preset !== undefined) {
    const preset = Object.hasOwn(presets, policy.preset) ? presets[policy.preset] : undefined;
    if (preset === undefined) {
      throw optionError("preset", `one of ${Object.keys(presets).join(", ")}`, policy.preset);
    }
    // A preset names no other preset: one level, so that no cycle can be declared.
    return resolvePolicy(
      resolvePolicy(base, { ...preset, preset: undefined }, presets),
      { ...policy, preset: undefined },
      presets,
    );
  }
  if (policy.ttl !== undefined) validateTtl(policy.ttl, "ttl");
  if (policy.tierTtl !== undefined) knownOptions(policy.tierTtl, ["memory", "shared"], "tierTtl");
  const stale = staleIfError(policy.staleIfError);
  return {
    ttl: policy.ttl ?? base.ttl,
    memoryTtl: positive(policy.tierTtl?.memory, "tierTtl.memory") ?? base.memoryTtl,
    sharedTtl: positive(policy.tierTtl?.shared, "tierTtl.shared") ?? base.sharedTtl,
    maxTtl: positive(policy.maxTtl, "maxTtl") ?? base.maxTtl,
    jitter: share(policy.jitter, "jitter") ?? base.jitter,
    sliding: boolean(policy.sliding, "sliding") ?? base.sliding,
    staleWhileRevalidate:
      milliseconds(policy.staleWhileRevalidate, "staleWhileRevalidate") ?? base.staleWhileRevalidate,
    staleIfError: stale?.for ?? base.staleIfError,
    staleThrottle: stale?.throttle ?? base.staleThrottle,
    staleWhen: stale === undefined ? base.staleWhen : stale.when,
    negativeTtl: milliseconds(policy.negativeTtl, "negativeTtl") ?? base.negativeTtl,
    earlyRefresh: factor(policy.earlyRefresh, "earlyRefresh") ?? base.earlyRefresh,
    softTimeout: positive(policy.softTimeout, "softTimeout") ?? base.softTimeout,
    hardTimeout: positive(policy.hardTimeout, "hardTimeout") ?? base.hardTimeout,
    strict: boolean(policy.strict, "strict") ?? base.strict,
    fed: boolean(policy.fed, "fed") ?? base.fed,
  };
}

export function optionError(option: string, rule: string, value: unknown): CacheError {
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be ${rule}, got \`${display(value)}\``);
}

/** A value as an error message shows it: short, and without calling anything of the value's own. */
export function display(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

/** @throws CacheError unless `n` is a whole number from `least`. */
export function wholeNumber(n: unknown, option: string, least: number): number {
  if (typeof n !== "number" || !Number.isSafeInteger(n) || n < least) {
    throw optionError(option, `an integer of ${least} or more`, n);
  }
  return n;
}

/** @throws CacheError unless every own name of `options` is one of `known`: a misspelt option is never silently ignored. */
export function knownOptions(options: object, known: readonly string[], of: string): void {
  if (typeof options !== "object" || options === null) throw optionError(of, "an object", options);
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw optionError(`${of} option`, `one of ${known.join(", ")}`, name);
  }
}

interface ResolvedStale {
  readonly for: number;
  readonly throttle: number;
  readonly when: ((error: unknown) => boolean) | undefined;
}

function staleIfError(option: Duration | StaleIfError | undefined): ResolvedStale | undefined {
  if (option === undefined) return undefined;
  if (typeof option !== "object" || option === null) {
    return { for: toMilliseconds(option, "staleIfError"), throttle: DEFAULT_POLICY.staleThrottle, when: undefined };
  }
  knownOptions(option, ["for", "throttle", "when"], "staleIfError");
  if (option.when !== undefined && typeof option.when !== "function") {
    throw optionError("staleIfError.when", "a function of the error", option.when);
  }
  return {
    for: toMilliseconds(option.for, "staleIfError.for"),
    throttle: milliseconds(option.throttle, "staleIfError.throttle") ?? DEFAULT_POLICY.staleThrottle,
    when: option.when,
  };
}

function milliseconds(duration: Duration | undefined, option: string): number | undefined {
  return duration === undefined ? undefined : toMilliseconds(duration, option);
}

function positive(duration: Duration | undefined, option: string): number | undefined {
  if (duration === undefined) return undefined;
  const ms = toMilliseconds(duration, option);
  if (ms === 0) throw optionError(option, `more than 0 and at most ${MAX_DURATION} ms`, duration);
  return ms;
}

function share(n: number | undefined, option: string): number | undefined {
  if (n !== undefined && !(typeof n === "number" && n >= 0 && n < 1))
    throw optionError(option, "a number from 0 to below 1", n);
  return n;
}

function factor(n: number | undefined, option: string): number | undefined {
  if (n !== undefined && !(typeof n === "number" && n >= 0 && n <= 100))
    throw optionError(option, "a number from 0 to 100", n);
  return n;
}

function boolean(value: boolean | undefined, option: string): boolean | undefined {
  if (value !== undefined && typeof value !== "boolean") throw optionError(option, "true or false", value);
  return value;
}

/** @throws CacheError `ERR_CACHE_OPTION` for what is not an option of a write, or not of its type. */
export function checkSetOptions(options: SetOptions, known: readonly string[] = SET_FIELDS): void {
  knownOptions(options, known, "call");
  const { tags, etag }: { tags?: unknown; etag?: unknown } = options;
  if (tags !== undefined && !Array.isArray(tags)) throw optionError("tags", "an array", tags);
  if (etag !== undefined && typeof etag !== "string") throw optionError("etag", "text", etag);
}

/** @throws CacheError `ERR_CACHE_OPTION`, before anything is begun. */
export function checkLoadOptions(options: LoadOptions): void {
  checkSetOptions(options, LOAD_FIELDS);
  if (options.waitTimeout !== undefined) toMilliseconds(options.waitTimeout, "waitTimeout");
  boolean(options.forceFresh, "forceFresh");
  const signal: unknown = options.signal;
  if (signal !== undefined && !(signal instanceof EventTarget && "aborted" in signal))
    throw optionError("signal", "an AbortSignal", signal);
}

/** @throws CacheError unless the mode is one of the two words. */
export function isSoft(options: { mode?: "hard" | "soft" | undefined }): boolean {
  knownOptions(options, ["mode"], "invalidate");
  const { mode } = options;
  if (mode !== undefined && mode !== "hard" && mode !== "soft") throw optionError("mode", "hard or soft", mode);
  return mode === "soft";
}
