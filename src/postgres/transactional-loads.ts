import type { BatchContext, InvalidationResult, Loader, LoaderContext, LoadOptions } from "../api.js";
import { CacheError } from "../errors.js";
import { FailSignal } from "../load/context.js";
import { checkLoadOptions } from "../policy.js";

/** What a queued invalidation answers: it has no position yet. */
export const QUEUED: InvalidationResult = Object.freeze({ position: 0, hit: 0 });

/** What a loader is told when nothing of what it says is kept. */
export function contextPast(key: string, signal: AbortSignal | undefined): LoaderContext {
  return {
    key,
    signal: signal ?? new AbortController().signal,
    previous: undefined,
    ttl: () => undefined,
    tags: () => undefined,
    etag: () => undefined,
    skip: () => undefined,
    release: () => undefined,
    notModified: () => {
      throw new CacheError("ERR_CACHE_LOAD", `\`context.notModified()\` was called for ${key}, which has no previous`);
    },
    fail: (error) => {
      throw new FailSignal(error);
    },
  };
}

/** Runs a loader past the cache. */
export async function loadPast<T>(key: () => string, loader: Loader<T>, options: LoadOptions = {}): Promise<T> {
  checkLoadOptions(options);
  options.signal?.throwIfAborted();
  try {
    return await loader(contextPast(key(), options.signal));
  } catch (error) {
    throw error instanceof FailSignal ? error.error : error;
  }
}

/** Runs a batch loader past the cache; the answers in the order of the items. */
export async function loadManyPast<I, T>(
  items: readonly I[],
  loader: (missing: readonly I[], context: BatchContext<I>) => Promise<readonly T[] | ReadonlyMap<I, T>>,
  options: LoadOptions = {},
): Promise<T[]> {
  checkLoadOptions(options);
  options.signal?.throwIfAborted();
  if (items.length === 0) return [];
  const answer = await loader(items, {
    signal: options.signal ?? new AbortController().signal,
    tags: () => undefined,
    ttl: () => undefined,
  });
  if (answer instanceof Map) return items.map((item) => answer.get(item) as T);
  if (!Array.isArray(answer) || answer.length !== items.length) {
    throw new CacheError(
      "ERR_CACHE_LOAD",
      "Expected the batch loader to return a map, or an array with one value per item",
    );
  }
  return [...(answer as readonly T[])];
}
