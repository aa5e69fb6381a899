import { CacheError } from "../../errors.js";

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** The table names slots by 24 bits. */
export const MOST_ENTRIES = 16_000_000;

/** @throws CacheError `ERR_CACHE_OPTION` unless it is an integer from 1 to `most`. */
export function toCount(value: number, option: string, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be an integer from 1 to ${most}, got \`${show(value)}\``,
  );
}

/**
 * The bytes of a size: an integer, or text such as `"512kb"`, `"64mb"`, `"1.5gb"` (1 kb is 1024 bytes).
 *
 * @throws CacheError `ERR_CACHE_OPTION` unless it comes to 1 or more.
 */
export function toBytes(value: number | string, option: string): number {
  const bytes = typeof value === "string" ? parse(value) : value;
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be an integer of 1 or more or text like "64mb", got \`${show(value)}\``,
  );
}

function parse(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)\s*$/i.exec(text);
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ""];
  return match === null || unit === undefined ? Number.NaN : Math.floor(Number(match[1]) * unit);
}

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
