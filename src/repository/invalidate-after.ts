import type { Cache, InvalidationTarget } from "../api.js";
import { CacheError } from "../errors.js";

/** How a write ended. A write that rejected may still have committed: its answer can have been lost on the way. */
export type WriteOutcome<T> = { readonly resolved: true; readonly result: T } | { readonly resolved: false };

/**
 * Runs a write and, once it has settled, invalidates what it touched; then gives the write's own outcome.
 *
 * After a rejection it invalidates too: nobody knows whether the source committed, and dropping an entry that was
 * still right costs one load. The write's error then reaches the caller by identity, whatever became of the
 * invalidation.
 *
 * An invalidation that the shared tier did not acknowledge does not turn a committed write into a failed one, or its
 * caller would write twice: the cache has reported it, disbelieves the entries it means, and sends it again. Any other
 * error (a target that is no key, a closed cache) is a mistake in the program and is thrown.
 *
 * @param targetsOf may throw; then `fallback` is invalidated before its error is thrown.
 */
export async function invalidateAfter<T>(
  cache: Pick<Cache, "invalidate">,
  write: () => Promise<T>,
  targetsOf: (outcome: WriteOutcome<T>) => readonly InvalidationTarget[],
  fallback: readonly InvalidationTarget[] = [],
): Promise<T> {
  let outcome: WriteOutcome<T>;
  let failure: unknown;
  try {
    outcome = { resolved: true, result: await write() };
  } catch (error) {
    outcome = { resolved: false };
    failure = error;
  }
  try {
    await invalidateFor(cache, () => targetsOf(outcome), fallback);
  } catch (error) {
    if (outcome.resolved) throw error;
  }
  if (!outcome.resolved) throw failure;
  return outcome.result;
}

async function invalidateFor(
  cache: Pick<Cache, "invalidate">,
  targetsOf: () => readonly InvalidationTarget[],
  fallback: readonly InvalidationTarget[],
): Promise<void> {
  let targets: readonly InvalidationTarget[];
  try {
    targets = targetsOf();
  } catch (error) {
    await send(cache, fallback);
    throw error;
  }
  await send(cache, targets);
}

async function send(cache: Pick<Cache, "invalidate">, targets: readonly InvalidationTarget[]): Promise<void> {
  if (targets.length === 0) return;
  try {
    await cache.invalidate(targets);
  } catch (error) {
    if (!(error instanceof CacheError && error.code === "ERR_CACHE_TIER")) throw error;
  }
}
