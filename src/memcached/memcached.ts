import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { ShardedTier, ShardedTierFactory, SharedTier, SharedTierFactory } from "../tiers/shared.js";
import { MemcachedConnection } from "./connection.js";
import { HeadItem } from "./head.js";
import { Items } from "./items.js";
import { Keyed } from "./keyed.js";
import { layoutOf } from "./layout.js";
import { memcachedLeases } from "./leases.js";
import { headOf, Log } from "./log.js";
import { Parts } from "./parts.js";
import { LogPoll } from "./poll.js";
import { Records } from "./records.js";
import { memcachedStore } from "./store.js";

export interface MemcachedServer {
  /** The server's name or address. @default "127.0.0.1" */
  host?: string | undefined;
  /** Its port. @default 11211 */
  port?: number | undefined;
}

/** What is the same for one server and for several. */
export interface MemcachedSettings {
  /** Put before every key, to share a server with others: up to 100 visible ASCII characters. @default "" */
  prefix?: string | undefined;
  /** How often the log is read for what other processes invalidated: their word takes so long, at the most, as memcached cannot push it. @default "100ms" */
  pollInterval?: Duration | undefined;
  /** About how many records the log keeps: a process that missed more starts over with nothing trusted. @default 10000 */
  logLength?: number | undefined;
  /** Most tags and prefixes remembered, hard and soft apart; beyond it the oldest go, and every entry older than they. Their names together take 300 KB at the most. @default 5000 */
  maxMarks?: number | undefined;
  /** Most patterns and tag sets remembered, likewise; every process holds them all. @default 500 */
  maxRules?: number | undefined;
  /** By which polls and reconnections are timed. @default the machine's */
  clock?: Clock | undefined;
}

export interface MemcachedOptions extends MemcachedServer, MemcachedSettings {}

export interface MemcachedShardsOptions extends MemcachedSettings {
  /** One or more; the same list in the same order in every process of the cache. */
  servers: readonly MemcachedServer[];
}

/** What each option is when it is not given. */
export const MEMCACHED_DEFAULTS: {
  host: string;
  port: number;
  prefix: string;
  pollInterval: string;
  logLength: number;
  maxMarks: number;
  maxRules: number;
} = {
  host: "127.0.0.1",
  port: 11_211,
  prefix: "",
  pollInterval: "100ms",
  logLength: 10_000,
  maxMarks: 5_000,
  maxRules: 500,
};

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly prefix: string;
  readonly pollInterval: number;
  readonly logLength: number;
  readonly maxMarks: number;
  readonly maxRules: number;
  readonly clock: Clock;
}

/**
 * The shared tier on one memcached, 1.6 or later, without `-C`. Each cache opens one connection, when it is first used.
 *
 * A read is a batch of `mg`. What must be atomic is a compare-and-set of one item, and an order of steps in which
 * what lies between does no harm. The server may forget anything at any time: that costs misses, never a stale value.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function memcached(options: MemcachedOptions = {}): SharedTierFactory {
  const settings = resolve(options);
  return { kind: "memcached", open: (cacheName) => open(cacheName, settings) };
}

/**
 * The shared tier on several memcached, each of which holds its share of the keys, their leases, and a log of its own.
 *
 * Which server holds a key follows from the key and the number of servers. So processes with different lists do not hear
 * of one another's invalidations: give the cache another name with another list.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function memcachedShards({ servers, ...options }: MemcachedShardsOptions): ShardedTierFactory {
  if (!Array.isArray(servers) || servers.length === 0) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`servers\` to be a list of one or more, got \`${Array.isArray(servers) ? "[]" : typeof servers}\``,
    );
  }
  const all = servers.map((server: MemcachedServer) => resolve({ ...options, ...server }));
  return {
    kind: "memcached",
    openShards(cacheName): ShardedTier {
      const shards = all.map((settings) => open(cacheName, settings));
      return {
        kind: "memcached",
        shards,
        shardOf: (key) => hashOf(key) % shards.length,
        close: async () => void (await Promise.all(shards.map((shard) => shard.close()))),
      };
    },
  };
}

/** FNV-1a over the key's UTF-16 units: it says where entries are, so it stays as it is. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  // Its low bits are the poorest.
  return (hash ^ (hash >>> 15)) >>> 0;
}

function open(cacheName: string, settings: Settings): SharedTier {
  const { host, port, prefix, clock } = settings;
  const layout = layoutOf(cacheName, prefix);
  const connection = new MemcachedConnection(host, port, clock);
  const items = new Items(connection);
  const parts = new Parts(items, layout);
  const head = new HeadItem(items, layout.head);
  const records = new Records(items, layout, parts, settings.logLength);
  const log = new Log({ items, layout, head, records, bounds: settings });
  const keyed = new Keyed(items, layout, parts);
  const readable = {
    head: async () => headOf(await head.read()),
    since: (position: number, limit: number) => log.since(position, limit),
  };
  const poll = new LogPoll(readable, clock, settings.pollInterval);
  return {
    kind: "memcached",
    store: memcachedStore(keyed, head, log),
    leases: memcachedLeases(keyed, head, log, items),
    log: { ...readable, subscribe: (listener) => poll.subscribe(listener) },
    async close() {
      poll.close();
      connection.close();
    },
  };
}

function resolve(options: MemcachedOptions): Settings {
  const { host, port, prefix, pollInterval, logLength, maxMarks, maxRules } = MEMCACHED_DEFAULTS;
  const interval = toMilliseconds(options.pollInterval ?? pollInterval, "pollInterval");
  return {
    host: checked(
      options.host ?? host,
      "host",
      "a name or an address",
      (name) => typeof name === "string" && name !== "",
    ),
    port: checked(options.port ?? port, "port", "an integer from 1 to 65535", (n) => isInteger(n) && n <= 65_535),
    prefix: checked(options.prefix ?? prefix, "prefix", "up to 100 visible ASCII characters", (text) =>
      /^[!-~]{0,100}$/.test(text),
    ),
    pollInterval: checked(interval, "pollInterval", "1 ms or more", (ms) => ms >= 1),
    logLength: checked(options.logLength ?? logLength, "logLength", "an integer of 1 or more", isInteger),
    maxMarks: checked(options.maxMarks ?? maxMarks, "maxMarks", "an integer of 1 or more", isInteger),
    maxRules: checked(options.maxRules ?? maxRules, "maxRules", "an integer of 1 or more", isInteger),
    clock: options.clock ?? systemClock,
  };
}

function checked<T>(value: T, option: string, rule: string, holds: (value: T) => boolean): T {
  if (holds(value)) return value;
  throw new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to be ${rule}, got \`${String(value)}\``);
}

function isInteger(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}
