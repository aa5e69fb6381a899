import type { Clock } from "../clock.js";
import { Held } from "../entries/held.js";
import { CacheError } from "../errors.js";
import type { Recorder } from "../stats.js";
import type { OperationAnswer } from "../watchers.js";
import type { Outcome } from "./flight.js";

/** A stale value as an answer. */
export function staleOutcome(held: Held): Outcome {
  return { value: held.value, mutable: held.mutable, from: "memory", stale: true, raw: false, entry: held };
}

/** An outcome as those who watch the read are told. */
export function answerOf({ from, stale, entry, bytes }: Outcome): OperationAnswer {
  const tier = from === "load" ? undefined : from;
  return { hit: tier !== undefined, tier, stale, bytes: bytes ?? (entry instanceof Held ? entry.bytes : undefined) };
}

/** Has it told how old the shared tier's answer is. */
export function tellAge(recorder: Recorder, key: string, entry: Outcome["entry"], clock: Clock): void {
  if (!(entry instanceof Held)) return;
  recorder.served(entry.counters, key, "shared", Math.max(0, clock.now() - entry.createdAt));
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
