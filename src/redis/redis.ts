import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { SharedTier, SharedTierFactory } from "../tiers/shared.js";
import { isIoRedis, type RedisLike } from "./client.js";
import type { Push, PushListener } from "./connection.js";
import { ioRedisConnection, ioRedisPush, ioRedisPushOn } from "./ioredis.js";
import { layoutOf } from "./layout.js";
import { redisLeases } from "./leases.js";
import { redisLog } from "./log.js";
import { nodeRedisConnection, nodeRedisPush, nodeRedisPushOn } from "./node-redis.js";
import { redisStore, type Bounds } from "./store.js";

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
}

/** What each option is when it is not given. */
export const REDIS_DEFAULTS: { logLength: number; maxMarks: number; maxRules: number; entryRetention: string } = {
  logLength: 50_000,
  maxMarks: 1_000_000,
  maxRules: 1_000,
  entryRetention: "30d",
};

/**
 * The shared tier on Redis 7 or later, or Valkey: one standalone server.
 *
 * A read is one MGET; what must be atomic is a script. The server should not evict keys that have no time to live
 * (`maxmemory-policy volatile-…`, or `noeviction`): losing the log's keys is noticed and costs every entry.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a client of another kind, or a bound that is not a positive integer.
 */
export function redis(client: RedisLike, options: RedisOptions = {}): SharedTierFactory {
  const bounds = resolve(options);
  const connection = isIoRedis(client, "client") ? ioRedisConnection(client) : nodeRedisConnection(client);
  const openPush = pushOpener(client, options.subscriber);
  return {
    kind: "redis",
    open(cacheName): SharedTier {
      const layout = layoutOf(cacheName, connection.keyPrefix, connection.channelPrefix);
      const log = redisLog(connection, layout, openPush);
      return {
        kind: "redis",
        store: redisStore(connection, layout, bounds),
        leases: redisLeases(connection, layout, bounds),
        log,
        async close() {
          log.close();
        },
      };
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
