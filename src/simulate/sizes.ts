import { CacheError } from "../errors.js";
import { toBytes } from "../tiers/memory/limits.js";
import type { Capacity } from "./policies/catalogue.js";

/** The size of a cache as it is asked for: entries, bytes, or a share of the trace's distinct keys. */
export type CacheSize =
  | { readonly kind: "entries" | "bytes"; readonly text: string; readonly amount: number }
  | { readonly kind: "share"; readonly text: string; readonly share: number };

const MOST_ENTRIES = 2 ** 31;

/**
 * A size from text: `"1000"`, `"64mb"`, `"1%"`.
 *
 * @throws CacheError `ERR_CACHE_OPTION`
 */
export function toCacheSize(text: string, option: string): CacheSize {
  const trimmed = text.trim().toLowerCase();
  if (/^\d+(?:\.\d+)?%$/.test(trimmed)) {
    const share = Number(trimmed.slice(0, -1)) / 100;
    if (share > 0 && share <= 1) return { kind: "share", text: trimmed, share };
  } else if (/^\d+$/.test(trimmed)) {
    const amount = Number(trimmed);
    if (amount >= 1 && amount <= MOST_ENTRIES) return { kind: "entries", text: trimmed, amount };
  } else if (/^\d+(?:\.\d+)?(?:b|kb|mb|gb)$/.test(trimmed)) {
    return { kind: "bytes", text: trimmed, amount: toBytes(trimmed, option) };
  }
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`${option}\` to be entries like "1000", bytes like "64mb" or a share of all keys like "1%", got \`${JSON.stringify(text)}\``,
  );
}

/**
 * The capacity to simulate.
 *
 * @param keys distinct keys that the simulation sees: those of the sample.
 * @param sample the part of all keys that it sees.
 */
export function capacityOf(size: CacheSize, keys: number, sample: number): Capacity {
  const amount = size.kind === "share" ? size.share * keys : size.amount * sample;
  return { amount: Math.max(1, Math.round(amount)), isBytes: size.kind === "bytes" };
}
