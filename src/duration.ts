import { CacheError } from "./errors.js";

/** A length of time: milliseconds as a number, or text such as `"250ms"`, `"30s"`, `"5m"`, `"1h"`, `"7d"`, `"2w"`. */
export type Duration = number | string;

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The longest duration accepted: 10 years, in milliseconds. */
export const MAX_DURATION: number = 3_650 * 86_400_000;

/**
 * The milliseconds of a duration.
 *
 * @param option names the option in the error.
 * @throws CacheError `ERR_CACHE_OPTION` unless it is a finite number of 0 or more, at most ten years.
 */
export function toMilliseconds(duration: Duration, option: string): number {
  const ms = typeof duration === "string" ? parse(duration) : duration;
  if (typeof ms !== "number" || !(ms >= 0) || ms > MAX_DURATION) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`${option}\` to be milliseconds or text like "30s", from 0 to 10 years, got \`${show(duration)}\``,
    );
  }
  return ms;
}

function parse(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  return match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  // Not by the object's own methods, of which there may be none.
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
