import type { Held } from "../entries/held.js";
import { CacheError } from "../errors.js";
import type { Outcome } from "./flight.js";

/** A stale value as an answer. */
export function staleOutcome(held: Held): Outcome {
  return { value: held.value, mutable: held.mutable, from: "memory", stale: true, raw: false, entry: held };
}

export function sameStamp(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** The loader's own error by identity; a thrown nothing becomes an error, or no caller could tell it from success. */
export function describe(error: unknown): unknown {
  if (error !== undefined && error !== null) return error;
  return new CacheError("ERR_CACHE_LOAD", `A loader threw ${String(error)}`, { cause: error });
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
