/*
 * How each library is set up: everything that could be called unfair is in this file.
 *
 * Bounded to the same number of entries, with one ttl for all or none, no listeners, no copying where that can be
 * chosen. Two libraries keep up to twice the entries they are bounded to (hashlru, quick-lru: two generations) and are
 * given the bound all the same; mnemonist's, hashlru and a Map know no ttl. Rivals keep no statistics (CacheableMemory
 * could, and by default does not); tiercache always does.
 */
import { memoryDriver } from "bentocache/drivers/memory";
import { CacheableMemory } from "cacheable";
import hashlru from "hashlru";
import { LRUCache } from "lru-cache";
import { LRUMap, LRUMapWithDelete } from "mnemonist";
import QuickLRU from "quick-lru";
import { lru as tinyLru } from "tiny-lru";
import { newCache } from "transitory";

import { systemClock } from "../../src/clock.js";
import { createCache, memory, type Cache } from "../../src/index.js";
import { createMemoryTier, type MemoryTierOptions } from "../../src/tiers/memory/create-memory-tier.js";
import type { MemoryTier } from "../../src/tiers/memory/memory-tier.js";

/** What is measured of a library. */
export interface Store {
  /** A miss is undefined. */
  get(key: string): unknown;
  /** Gives a promise where `awaited` says so. */
  set(key: string, value: unknown): unknown;
  readonly awaited?: boolean | undefined;
  close?(): Promise<void> | void;
}

/** Makes a store of `max` entries that live for `ttl` milliseconds, or for ever. */
export type MakeStore = (max: number, ttl: number | undefined) => Store;

export interface Library {
  readonly make: MakeStore;
  /** Whether entries have a ttl: they never can, they can, or they always do. */
  readonly expires: "never" | "can" | "always";
}

export const TTL = 300_000;
/** What the memory tier is told that an entry weighs; it is bounded in entries here. */
const WEIGHT = 100;
const PLENTY = 2 ** 40;

export const BARE_MAP = "bare Map";
export const TIER = "tiercache, tier";
export const CACHE = "tiercache, cache";

/** Any key and value, for ever. */
export function bareMap(): Store {
  const map = new Map<string, unknown>();
  return { get: (key) => map.get(key), set: (key, value) => map.set(key, value) };
}

/** What one would write without a library: the first key that a Map names is its oldest. */
export function trimmedMap(max: number): Store {
  const map = new Map<string, unknown>();
  return {
    get: (key) => map.get(key),
    set(key, value) {
      map.set(key, value);
      if (map.size > max) map.delete(map.keys().next().value as string);
    },
  };
}

export function tierOf(max: number, options: Partial<MemoryTierOptions<unknown>> = {}): MemoryTier {
  return createMemoryTier<unknown>({
    maxEntries: max,
    maxBytes: PLENTY,
    maxEntryBytes: PLENTY,
    clock: systemClock,
    ...options,
  });
}

export function cacheOf(max: number, ttl: number = TTL): Cache {
  return createCache({ name: "bench", tiers: [memory({ maxEntries: max, maxBytes: PLENTY })], ttl });
}

/** The clock's time is asked for by the caller, as the cache does for each read. */
function tierStore(max: number, ttl: number | undefined): Store {
  return storeOf(tierOf(max), ttl);
}

export function storeOf(tier: MemoryTier, ttl: number | undefined): Store {
  const close = (): void => tier.close();
  if (ttl === undefined) {
    return {
      get: (key) => tier.get(key),
      set: (key, value) => tier.set(key, value, WEIGHT, Number.POSITIVE_INFINITY),
      close,
    };
  }
  return {
    get: (key) => tier.get(key, systemClock.recent()),
    set: (key, value) => tier.set(key, value, WEIGHT, systemClock.recent() + ttl),
    close,
  };
}

function cacheStore(max: number, ttl: number | undefined): Store {
  const cache = cacheOf(max, ttl);
  return {
    get: (key) => cache.peek(key),
    set: (key, value) => cache.set(key, value),
    awaited: true,
    close: () => cache.close(),
  };
}

function lruCacheStore(max: number, ttl: number | undefined): Store {
  const cache = new LRUCache<string, object>(ttl === undefined ? { max } : { max, ttl });
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value as object) };
}

function lruMapStore(max: number): Store {
  const cache = new LRUMap<string, unknown>(max);
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

function lruMapWithDeleteStore(max: number): Store {
  const cache = new LRUMapWithDelete<string, unknown>(max);
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

function hashlruStore(max: number): Store {
  // Typed as a module with a default export, which it is not.
  const cache = (hashlru as unknown as typeof hashlru.default)(max);
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

function quickLruStore(max: number, ttl: number | undefined): Store {
  const cache = new QuickLRU<string, unknown>(ttl === undefined ? { maxSize: max } : { maxSize: max, maxAge: ttl });
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

function tinyLruStore(max: number, ttl: number | undefined): Store {
  const cache = tinyLru<unknown>(max, ttl ?? 0);
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

function transitoryStore(max: number, ttl: number | undefined): Store {
  const bounded = newCache<string, unknown>().maxSize(max);
  const cache = (ttl === undefined ? bounded : bounded.expireAfterWrite(ttl)).build();
  return { get: (key) => cache.getIfPresent(key) ?? undefined, set: (key, value) => cache.set(key, value) };
}

function cacheableStore(max: number, ttl: number | undefined): Store {
  const cache = new CacheableMemory({ lruSize: max, useClone: false, ...(ttl === undefined ? {} : { ttl }) });
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) };
}

/** Without serializing: with it each hit of the cache around it parses JSON. */
function bentocacheStore(max: number, ttl: number | undefined): Store {
  const driver = memoryDriver({ maxItems: max, serialize: false }).factory({ maxItems: max, serialize: false });
  return { get: (key) => driver.get(key), set: (key, value) => driver.set(key, value as string, ttl) };
}

/** By name; the first is what all are compared with. */
export const LIBRARIES: Readonly<Record<string, Library>> = {
  [BARE_MAP]: { make: bareMap, expires: "never" },
  [TIER]: { make: tierStore, expires: "can" },
  [CACHE]: { make: cacheStore, expires: "always" },
  hashlru: { make: hashlruStore, expires: "never" },
  "mnemonist LRUMap": { make: lruMapStore, expires: "never" },
  "mnemonist LRUMapWithDelete": { make: lruMapWithDeleteStore, expires: "never" },
  "lru-cache": { make: lruCacheStore, expires: "can" },
  "quick-lru": { make: quickLruStore, expires: "can" },
  "tiny-lru": { make: tinyLruStore, expires: "can" },
  transitory: { make: transitoryStore, expires: "can" },
  CacheableMemory: { make: cacheableStore, expires: "can" },
  "bentocache's memory driver": { make: bentocacheStore, expires: "can" },
};

/** Those that can do with a ttl, or those that can do without; the Map is among both. */
export function libraries(withTtl: boolean): [name: string, library: Library][] {
  const other = withTtl ? "never" : "always";
  return Object.entries(LIBRARIES).filter(([name, { expires }]) => name === BARE_MAP || expires !== other);
}
