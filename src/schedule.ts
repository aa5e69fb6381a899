import { toMilliseconds, type Duration } from "./duration.js";
import { CacheError } from "./errors.js";
import type { Ttl, TtlSchedule } from "./options.js";

interface Window {
  /** Minutes of the local day; `from` is inside. */
  readonly from: number;
  /** Minutes of the local day; `to` is outside. At or below `from`, the window passes midnight. */
  readonly to: number;
  readonly ttl: number;
}

interface CompiledSchedule {
  readonly windows: readonly Window[];
  readonly otherwise: number;
  readonly format: Intl.DateTimeFormat;
}

/**
 * What a schedule object compiles to, as it was when first seen. A memo of a pure function and nothing else:
 * making an `Intl.DateTimeFormat` takes some 80 µs and using it 1 µs, and a policy keeps its schedule as given.
 */
const compiled = new WeakMap<TtlSchedule, CompiledSchedule>();

/**
 * The milliseconds for which `value` is fresh.
 *
 * @param wallMs wall-clock milliseconds since the epoch: only a schedule looks at it.
 * @throws CacheError `ERR_CACHE_OPTION` when a ttl function returns no duration.
 */
export function resolveTtl<T>(ttl: Ttl<T>, value: T, key: string, wallMs: number): number {
  if (typeof ttl === "number" || typeof ttl === "string") return toMilliseconds(ttl, "ttl");
  if (typeof ttl === "function") return toMilliseconds(ttl(value, key), "ttl(value, key)");
  const schedule = scheduleOf(ttl, "ttl");
  const minute = minuteOfDay(schedule.format, wallMs);
  return schedule.windows.find((window) => holds(window, minute))?.ttl ?? schedule.otherwise;
}

/**
 * Checks a ttl before anything is stored under it.
 *
 * @param option names the option in the error.
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, the rule and the value.
 */
export function validateTtl(ttl: Ttl, option: string): void {
  if (typeof ttl === "function") return;
  if (typeof ttl === "object" && ttl !== null) scheduleOf(ttl, option);
  else toMilliseconds(ttl, option);
}

function scheduleOf(schedule: TtlSchedule, option: string): CompiledSchedule {
  const known = compiled.get(schedule);
  if (known !== undefined) return known;
  const fresh = compile(schedule, option);
  compiled.set(schedule, fresh);
  return fresh;
}

function compile(schedule: TtlSchedule, option: string): CompiledSchedule {
  if (!Array.isArray(schedule.windows)) {
    throw optionError(`${option}.windows`, "an array of { from, to, ttl }", schedule.windows);
  }
  return {
    windows: (schedule.windows as TtlSchedule["windows"]).map((window, index) =>
      compileWindow(window, `${option}.windows[${index}]`),
    ),
    otherwise: durationOf(schedule.otherwise, `${option}.otherwise`),
    format: formatOf(schedule.timeZone ?? "UTC", `${option}.timeZone`),
  };
}

function compileWindow(window: TtlSchedule["windows"][number], option: string): Window {
  if (typeof window !== "object" || window === null) throw optionError(option, "{ from, to, ttl }", window);
  const from = minutesOf(window.from, `${option}.from`, 23 * 60 + 59);
  const to = minutesOf(window.to, `${option}.to`, 24 * 60);
  if (from === to) {
    // It could as well mean the whole day as no time at all.
    throw optionError(`${option}.to`, `another time than \`from\` (a whole day is "00:00" to "24:00")`, window.to);
  }
  return { from, to, ttl: durationOf(window.ttl, `${option}.ttl`) };
}

function minutesOf(text: unknown, option: string, most: number): number {
  const match = typeof text === "string" ? /^(\d\d):([0-5]\d)$/.exec(text) : null;
  const minutes = match === null ? Number.NaN : Number(match[1]) * 60 + Number(match[2]);
  if (!(minutes <= most)) {
    throw optionError(
      option,
      `a time of day "HH:MM", ${most === 24 * 60 ? '"00:00" to "24:00"' : '"00:00" to "23:59"'}`,
      text,
    );
  }
  return minutes;
}

function durationOf(duration: unknown, option: string): number {
  if (typeof duration !== "number" && typeof duration !== "string") {
    throw optionError(option, `milliseconds or text like "30s"`, duration);
  }
  return toMilliseconds(duration satisfies Duration, option);
}

function formatOf(timeZone: string, option: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  } catch (cause) {
    throw optionError(option, `an IANA time zone such as "Europe/Berlin"`, timeZone, cause);
  }
}

/** The time zone's rules are asked about this very instant, so days of 23 and 25 hours need no care of ours. */
function minuteOfDay(format: Intl.DateTimeFormat, wallMs: number): number {
  let minutes = 0;
  for (const part of format.formatToParts(wallMs)) {
    if (part.type === "hour") minutes += Number(part.value) * 60;
    else if (part.type === "minute") minutes += Number(part.value);
  }
  return minutes;
}

function holds(window: Window, minute: number): boolean {
  return window.from < window.to
    ? minute >= window.from && minute < window.to
    : minute >= window.from || minute < window.to;
}

function optionError(option: string, rule: string, value: unknown, cause?: unknown): CacheError {
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be ${rule}, got \`${shown}\``, { cause });
}
