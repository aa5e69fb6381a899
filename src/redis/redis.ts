import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { ShardedTierFactory, SharedTier, SharedTierFactory } from "../tiers/shared.js";
import {
  isCluster,
  isIoRedis,
  isSentinel,
  type NodeRedisSentinelLike,
  type RedisClusterLike,
  type RedisLike,
} from "./client.js";
import { clusterTiers, type TierSettings } from "./cluster.js";
import { optionText, type Push, type PushListener } from "./connection.js";
import { ioRedisConnection, ioRedisPush, ioRedisPushOn } from "./ioredis.js";
import { layoutOf, type Layout } from "./layout.js";
import { nodeRedisConnection, nodeRedisPush, nodeRedisPushOn } from "./node-redis.js";
import { givenConnection, ownConnection } from "./own.js";
import { MAX_VALUE, Parts } from "./parts.js";
import { signing } from "./sign.js";
import { sentinelReach } from "./sentinel.js";
import type { Bounds } from "./store.js";
import { tierOf } from "./tier.js";
import { openFeed, type Feed, type FeedListener } from "./tracking.js";

export interface RedisOptions {
  /** About how many records the log keeps: a process that missed more starts over with nothing trusted. @default 50000 */
  logLength?: number | undefined;
  /** Most tags and prefixes remembered, hard and soft apart; beyond it the oldest go, and every entry older than they. @default 1000000 */
  maxMarks?: number | undefined;
  /** Most patterns and tag sets remembered, likewise; every process holds them all. @default 1000 */
  maxRules?: number | undefined;
  /** How long marks are remembered, the longest an entry can live: an entry older than a mark forgotten is not trusted. @default "30d" */
  entryRetention?: Duration | undefined;
  /** A connected client for subscriptions only. @default one duplicated from `client` per cache, closed with the cache */
  subscriber?: RedisLike | undefined;
  /** Bytes of an entry above which it is stored in parts of 64 KB and read when needed; from 1024 to 256 MB, the most an entry may have. @default 524288 */
  partsAbove?: number | undefined;
  /** A connected client for the parts of large entries only. @default one duplicated from `client` per cache at the first of them, closed with the cache */
  largeClient?: RedisLike | undefined;
  /**
   * Signs what is sent, and lets nothing be believed that is not: text or bytes, 16 or more. Of several the first signs,
   * and all are believed. Processes without one believe everything. @default none
   */
  secret?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** Hears of entries that others change or delete, through client tracking, on a connection more per cache. @default false */
  tracking?: boolean | undefined;
  /** With a cluster client, how many shards the cache's keys are spread over, from 1 to 1024; the same in every process, for ever. @default 16 */
  shards?: number | undefined;
}

/** Least bytes from which an entry may be stored in parts: a manifest is to be much smaller than what it stands for. */
const MIN_PARTS_ABOVE = 1_024;

/** Each has a log that every process follows. */
const MAX_SHARDS = 1_024;

/** What each option is when it is not given. */
export const REDIS_DEFAULTS: {
  logLength: number;
  maxMarks: number;
  maxRules: number;
  entryRetention: string;
  partsAbove: number;
  tracking: boolean;
  shards: number;
} = {
  logLength: 50_000,
  maxMarks: 1_000_000,
  maxRules: 1_000,
  entryRetention: "30d",
  partsAbove: 524_288,
  tracking: false,
  shards: 16,
};

/**
 * The shared tier on Redis 7 or later (Valkey is not tested): one standalone server, the master behind sentinels, or a cluster.
 *
 * A read is one MGET; what must be atomic is a script. The server should not evict keys that have no time to live
 * (`maxmemory-policy volatile-…`, or `noeviction`): losing the log's keys is noticed and costs every entry.
 *
 * A cluster client gives a tier of several shards. Each is a whole tier in one slot, so all that was said holds for it.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a client of another kind, a bound that is not a positive integer, or an
 * option that such a client leaves no room for.
 */
export function redis(client: RedisClusterLike, options?: RedisOptions): ShardedTierFactory;
export function redis(client: RedisLike | NodeRedisSentinelLike, options?: RedisOptions): SharedTierFactory;
export function redis(
  client: RedisLike | NodeRedisSentinelLike | RedisClusterLike,
  options?: RedisOptions,
): SharedTierFactory | ShardedTierFactory;
export function redis(
  client: RedisLike | NodeRedisSentinelLike | RedisClusterLike,
  options: RedisOptions = {},
): SharedTierFactory | ShardedTierFactory {
  const settings = {
    bounds: resolve(options),
    partsAbove: partsLimit(options.partsAbove ?? REDIS_DEFAULTS.partsAbove),
    signerFor: signing(options.secret),
  };
  const shards = shardCount(options.shards ?? REDIS_DEFAULTS.shards);
  if (isCluster(client)) {
    refuseOptions(options, ["subscriber", "largeClient", "tracking"], "a cluster client");
    return clusterTiers(client, shards, settings);
  }
  if (isSentinel(client)) {
    refuseOptions(options, ["shards", "subscriber", "largeClient"], "a sentinel client");
    return sentinelTier(client, options, settings);
  }
  refuseOptions(options, ["shards"], "a client of one server");
  return singleTier(client, options, settings);
}

function singleTier(client: RedisLike, options: RedisOptions, settings: TierSettings): SharedTierFactory {
  const { bounds, partsAbove, signerFor } = settings;
  const connection = isIoRedis(client, "client") ? ioRedisConnection(client) : nodeRedisConnection(client);
  const openPush = pushOpener(client, options.subscriber);
  const { largeClient } = options;
  if (largeClient !== undefined) isIoRedis(largeClient, "largeClient");
  const tracking = options.tracking ?? REDIS_DEFAULTS.tracking;
  return {
    kind: "redis",
    open(cacheName): SharedTier {
      const layout = layoutOf(cacheName, connection.keyPrefix, connection.channelPrefix);
      const parts = new Parts(layout, partsAbove, () => {
        const own = largeClient === undefined ? ownConnection(client) : givenConnection(largeClient);
        return { own, layout: layoutOf(cacheName, own.connection.keyPrefix, own.connection.channelPrefix) };
      });
      const signer = signerFor?.(layout.channel);
      // The server names keys with the prefix that ioredis puts before them by itself.
      const named = layoutOf(cacheName, optionText(client.options, "keyPrefix"), "");
      const track = tracking ? tracker(client, named) : undefined;
      return tierOf({ connection, layout, bounds, parts, signer }, openPush, track);
    },
  };
}

function sentinelTier(client: NodeRedisSentinelLike, options: RedisOptions, settings: TierSettings): SharedTierFactory {
  const { bounds, partsAbove, signerFor } = settings;
  const tracking = options.tracking ?? REDIS_DEFAULTS.tracking;
  return {
    kind: "redis",
    open(cacheName): SharedTier {
      const { connection, openPush, openOwn } = sentinelReach(client);
      const layout = layoutOf(cacheName, connection.keyPrefix, connection.channelPrefix);
      const parts = new Parts(layout, partsAbove, () => ({ own: openOwn(), layout }));
      const signer = signerFor?.(layout.channel);
      const track = tracking ? tracker(client, layout) : undefined;
      return tierOf({ connection, layout, bounds, parts, signer }, openPush, track);
    },
  };
}

function pushOpener(
  client: RedisLike,
  subscriber: RedisLike | undefined,
): (channel: string, hears: PushListener) => Push {
  if (subscriber === undefined) {
    return isIoRedis(client, "client")
      ? (channel, hears) => ioRedisPush(client, channel, hears)
      : (channel, hears) => nodeRedisPush(client, channel, hears);
  }
  return isIoRedis(subscriber, "subscriber")
    ? (channel, hears) => ioRedisPushOn(subscriber, channel, hears)
    : (channel, hears) => nodeRedisPushOn(subscriber, channel, hears);
}

/** Hears of one cache's entries. */
function tracker(client: RedisLike | NodeRedisSentinelLike, layout: Layout): (hears: FeedListener) => Feed {
  return (hears) =>
    openFeed(client, layout.entryPrefixes, {
      ...hears,
      changed(key) {
        const path = layout.pathOf(key);
        if (path !== undefined) hears.changed(path);
      },
    });
}

/** Options that would be without effect are refused, so that nobody believes in them. */
function refuseOptions(options: RedisOptions, names: readonly (keyof RedisOptions)[], client: string): void {
  for (const name of names) {
    const given = options[name];
    if (given === undefined || given === false) continue;
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`${name}\` to be left out with ${client}`);
  }
}

function shardCount(value: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= MAX_SHARDS) return value;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`shards\` to be an integer from 1 to ${MAX_SHARDS}, got \`${String(value)}\``,
  );
}

function partsLimit(value: number): number {
  if (Number.isSafeInteger(value) && value >= MIN_PARTS_ABOVE && value <= MAX_VALUE) return value;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`partsAbove\` to be an integer from ${MIN_PARTS_ABOVE} to ${MAX_VALUE}, got \`${String(value)}\``,
  );
}

function resolve(options: RedisOptions): Bounds {
  return {
    logLength: positiveInteger(options.logLength ?? REDIS_DEFAULTS.logLength, "logLength"),
    maxMarks: positiveInteger(options.maxMarks ?? REDIS_DEFAULTS.maxMarks, "maxMarks"),
    maxRules: positiveInteger(options.maxRules ?? REDIS_DEFAULTS.maxRules, "maxRules"),
    entryRetention: positiveDuration(options.entryRetention ?? REDIS_DEFAULTS.entryRetention, "entryRetention"),
  };
}

function positiveDuration(value: Duration, option: string): number {
  const ms = toMilliseconds(value, option);
  if (ms === 0)
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be longer than 0, got \`${value}\``);
  return ms;
}

function positiveInteger(value: number, option: string): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`${option}\` to be an integer of 1 or more, got \`${String(value)}\``,
    );
  }
  return value;
}
