/*
 * How each library is set up: everything that could be called unfair is in this file.
 *
 * The same for all: entries live five minutes, memory holds at most 100,000 of them, callers use the function that loads
 * on a miss and merges overlapping loads, no listeners, no logger. Where a library lets one choose between copying
 * values and handing out the stored object, the rivals hand out the object: it is their fastest mode, and documented
 * as such. tiercache keeps its default, which is to hand out frozen values.
 */
import { createCache as createDedupe } from "async-cache-dedupe";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import { createCache as createManager } from "cache-manager";
import { Cacheable, createKeyv } from "cacheable";
import type { Redis } from "ioredis";
import { Keyv } from "keyv";
import KeyvRedis from "@keyv/redis";
import { LRUCache } from "lru-cache";

import { createCache, memory, type Cache, type TierFactory } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import type { NodeRedis } from "./rooms.js";

export const MAX_ENTRIES = 100_000;
const TTL = 300_000;

/** What is behind the cache. */
export type Load = (key: string) => unknown;

/** One library, ready to be read through. */
export interface Reader {
  readonly name: string;
  /** The stored value, or what is loaded. */
  get(key: string): Promise<unknown>;
  /** Reads keys one after the other. Its own loop in each library, so that no engine shares what it has learnt between them. */
  read(keys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** Without a bound in bytes that would count before the bound in entries. */
export const boundedMemory = (): TierFactory => memory({ maxEntries: MAX_ENTRIES, maxBytes: "2gb" });

export function tiercacheWith(tiers: readonly TierFactory[], name: string = "bench"): Cache {
  return createCache({ name, tiers, ttl: TTL });
}

export function tiercacheReader(tiers: readonly TierFactory[], load: Load, name?: string): Reader {
  const cache = tiercacheWith(tiers, name);
  return {
    name: "tiercache",
    get: (key) => cache.getOrLoad(key, () => load(key)),
    async read(keys) {
      for (const key of keys) await cache.getOrLoad(key, () => load(key));
    },
    close: () => cache.close(),
  };
}

/**
 * `serialize: false` where memory is alone: without it each hit parses JSON. With both tiers it stays on, because
 * 1.6.1 cannot read from memory what it has promoted from Redis without it. The bus is there where two instances
 * share Redis, as its documentation has it.
 */
export function bentocacheReader(store: "memory" | "redis" | "both", load: Load, client?: Redis): Reader {
  const l1 = memoryDriver({ maxItems: MAX_ENTRIES, serialize: store === "both" });
  const connection = client as Redis;
  let layers = bentostore();
  if (store !== "redis") layers = layers.useL1Layer(l1);
  if (store !== "memory") layers = layers.useL2Layer(redisDriver({ connection }));
  if (store === "both") layers = layers.useBus(redisBusDriver({ connection }));
  const bento = new BentoCache({ default: "main", ttl: TTL, prefix: "bento", stores: { main: layers } });
  return {
    name: store === "memory" ? "bentocache (serialize: false)" : "bentocache",
    get: (key) => bento.getOrSet({ key, factory: () => load(key) }),
    async read(keys) {
      for (const key of keys) await bento.getOrSet({ key, factory: () => load(key) });
    },
    // Also ends the two connections that the bus has made for itself.
    close: () => bento.disconnectAll(),
  };
}

/** `useClone: false`: without it each hit is a structured clone. */
function memoryKeyv(): Keyv {
  return createKeyv({ ttl: TTL, lruSize: MAX_ENTRIES, useClone: false });
}

/** As `createKeyv` of its adapter sets it up: no double prefix. */
function redisKeyv(client: NodeRedis): Keyv {
  return new Keyv({ store: new KeyvRedis(client as never), ttl: TTL, useKeyPrefix: false });
}

export function cacheableReader(stores: "memory" | "redis" | "both", load: Load, client?: NodeRedis): Reader {
  const shared = stores === "memory" ? undefined : redisKeyv(client as NodeRedis);
  const primary = stores === "redis" ? (shared as Keyv) : memoryKeyv();
  const cache = new Cacheable({
    primary,
    ...(stores === "both" && shared !== undefined ? { secondary: shared } : {}),
    ttl: TTL,
  });
  return {
    name: "cacheable (no clones)",
    get: (key) => cache.getOrSet(key, async () => load(key)),
    async read(keys) {
      for (const key of keys) await cache.getOrSet(key, async () => load(key));
    },
    close: async () => undefined,
  };
}

/** With the memory store its documentation recommends, unlike its default bounded. */
export function cacheManagerReader(kind: "memory" | "redis" | "both", load: Load, client?: NodeRedis): Reader {
  const stores: Keyv[] = [];
  if (kind !== "redis") stores.push(memoryKeyv());
  if (kind !== "memory") stores.push(redisKeyv(client as NodeRedis));
  const cache = createManager({ stores, ttl: TTL });
  return {
    name: "cache-manager (no clones)",
    get: (key) => cache.wrap(key, () => load(key)),
    async read(keys) {
      for (const key of keys) await cache.wrap(key, () => load(key));
    },
    close: async () => undefined,
  };
}

/** Seconds; one tier, memory or Redis. The log and invalidation are off by default. */
export function dedupeReader(load: Load, client?: Redis): Reader {
  const ttl = TTL / 1_000;
  const cache = createDedupe(
    client === undefined
      ? { ttl, storage: { type: "memory", options: { size: MAX_ENTRIES } } }
      : { ttl, storage: { type: "redis", options: { client } } },
  ).define("load", async (key: string) => load(key));
  return {
    name: "async-cache-dedupe",
    get: (key) => cache.load(key),
    async read(keys) {
      for (const key of keys) await cache.load(key);
    },
    close: async () => undefined,
  };
}

/** What one writes by hand: an LRU and a map of the loads under way. */
export function lruReader(load: Load): Reader {
  const cache = new LRUCache<string, object>({ max: MAX_ENTRIES, ttl: TTL });
  const loading = new Map<string, Promise<unknown>>();
  const get = (key: string): Promise<unknown> => {
    const held = cache.get(key);
    if (held !== undefined) return Promise.resolve(held);
    let flight = loading.get(key);
    if (flight === undefined) {
      flight = Promise.resolve(load(key)).then((value) => {
        cache.set(key, value as object);
        return value;
      });
      loading.set(
        key,
        flight.finally(() => loading.delete(key)),
      );
    }
    return flight;
  };
  return {
    name: "lru-cache + single flight",
    get,
    async read(keys) {
      for (const key of keys) await get(key);
    },
    close: async () => undefined,
  };
}

/** The floor: a Map, which bounds and expires nothing. */
export function mapReader(load: Load): Reader {
  const map = new Map<string, unknown>();
  const get = async (key: string): Promise<unknown> => {
    const held = map.get(key);
    if (held !== undefined) return held;
    const value = await load(key);
    map.set(key, value);
    return value;
  };
  return {
    name: "bare Map",
    get,
    async read(keys) {
      for (const key of keys) await get(key);
    },
    close: async () => undefined,
  };
}

export function memoryReaders(load: Load): Reader[] {
  return [
    tiercacheReader([boundedMemory()], load),
    bentocacheReader("memory", load),
    cacheableReader("memory", load),
    cacheManagerReader("memory", load),
    dedupeReader(load),
    lruReader(load),
  ];
}

export { redis };
