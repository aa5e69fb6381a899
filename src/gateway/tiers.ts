import { createRequire } from "node:module";

import type { Cache } from "../api.js";
import { createCache } from "../cache.js";
import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { TierFactory } from "../options.js";
import { memory } from "../tiers/memory/memory.js";
import type { NodeRedisLike } from "../redis/client.js";
import type { ResolvedCache } from "./resolve-config.js";

/** A cache that a gateway has made for itself. */
export interface OwnCache {
  readonly cache: Cache;
  readonly close: () => Promise<void>;
}

/** Loads at once: each is a response under way, which waits for the network and not for a processor. */
const LOADS = { concurrency: 4_096, queue: 10_000 };

/**
 * The cache of a gateway: memory, and behind it a folder of this machine or a Redis.
 *
 * @throws CacheError `ERR_CACHE_OPTION` when what the shared tier needs is not installed.
 */
export async function openCache(options: ResolvedCache, clock: Clock): Promise<OwnCache> {
  const { shared, close } = await sharedTier(options, clock);
  // An entry of memory may be an eighth of it; what is kept beside the body is little.
  const maxEntryBytes = Math.min(options.memory, Math.max(options.memory / 8, options.maxBodyBytes * 1.1 + 65_536));
  const local = memory({ maxBytes: options.memory, maxEntryBytes: Math.floor(maxEntryBytes) });
  const cache = createCache({
    name: "tiercache-gateway",
    tiers: [local, ...(shared === undefined ? [] : [shared])],
    // Responses are read and never changed; a copy of each would be most of a hit.
    isolation: "none",
    loads: LOADS,
    clock,
  });
  return {
    cache,
    close: async () => {
      await cache.close();
      await close();
    },
  };
}

async function sharedTier(
  { redis, folder, folderBytes }: ResolvedCache,
  clock: Clock,
): Promise<{ shared: TierFactory | undefined; close: () => Promise<void> }> {
  const nothing = async (): Promise<void> => undefined;
  if (folder !== undefined) {
    const { lmdb } = await import("../lmdb/index.js");
    return { shared: lmdb({ path: folder, maxBytes: folderBytes }), close: nothing };
  }
  if (redis === undefined) return { shared: undefined, close: nothing };
  const client = await connectRedis(redis, clock);
  const { redis: redisTier } = await import("../redis/index.js");
  return {
    shared: redisTier(client),
    close: async () => client.destroy(),
  };
}

interface RedisPackage {
  createClient(options: { readonly url: string }): NodeRedisLike;
}

async function connectRedis(url: string, clock: Clock): Promise<NodeRedisLike> {
  let found: RedisPackage;
  try {
    found = createRequire(import.meta.url)("redis") as RedisPackage;
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", "`cache.redis` needs the package `redis` (5 or later): npm i redis", {
      cause,
    });
  }
  const client = found.createClient({ url });
  // Without a listener an error ends the process. The tier's breaker tells of it, and the client connects again by itself.
  client.on("error", () => undefined);
  await connected(client, url, clock);
  return client;
}

/** Longest wait for a Redis when the gateway starts: one that is away then may come later, and until then memory does. */
const FIRST_CONTACT = 5_000;

async function connected(client: NodeRedisLike, url: string, clock: Clock): Promise<void> {
  const connecting = client.connect();
  // Past the first wait it goes on by itself, and what it says then the listener has heard.
  connecting.catch(() => undefined);
  const patience = new Promise<void>((resolve) => void clock.after(FIRST_CONTACT, resolve, true));
  try {
    await Promise.race([connecting, patience]);
  } catch (cause) {
    throw new CacheError("ERR_CACHE_TIER", `The Redis at ${new URL(url).host} refuses: ${String(cause)}`, { cause });
  }
}
