import type { Clock } from "./clock.js";
import type { Duration } from "./duration.js";
import type { ChangeFeed } from "./feed/change-feed.js";
import type { StalenessOptions } from "./feed/staleness-monitor.js";
import type { ShardedTierFactory, SharedTierFactory } from "./tiers/shared.js";

/** How long an entry is fresh: a fixed time, a function of the value, or a schedule by time of day. */
export type Ttl<T = unknown> = Duration | ((value: T, key: string) => Duration) | TtlSchedule;

/** Shorter by day, longer by night: the first window that holds the wall clock's time of day decides. */
export interface TtlSchedule {
  /** Windows of the day, `from` inclusive, `to` exclusive, "HH:MM"; a window may pass midnight. */
  windows: readonly { from: string; to: string; ttl: Duration }[];
  /** Outside every window. */
  otherwise: Duration;
  /** IANA time zone. @default "UTC" */
  timeZone?: string | undefined;
}

export interface StaleIfError {
  /** How long past its freshness a value may be served when a load fails. */
  for: Duration;
  /** After a failure, how long stale is served before the next try. @default "1s" */
  throttle?: Duration | undefined;
  /** Which failures are covered. @default all */
  when?: ((error: unknown) => boolean) | undefined;
}

/** What a cache, an entity and a call may each say; the nearer one wins, field by field. */
export interface EntryPolicy {
  /** Freshness. @default "5m" */
  ttl?: Ttl | undefined;
  /** Freshness in one tier only, never longer than `ttl`: memory shorter than the shared tier, say. */
  tierTtl?: { memory?: Duration | undefined; shared?: Duration | undefined } | undefined;
  /** The most `ttl` may come to, whoever set it. @default "30d" */
  maxTtl?: Duration | undefined;
  /** Takes a random share of up to this much off the ttl, so that entries born together do not die together; from 0 to below 1. @default 0.05 */
  jitter?: number | undefined;
  /** Each hit starts the ttl again. @default false */
  sliding?: boolean | undefined;
  /** Serve stale this long while refreshing in the background (RFC 5861 §3). @default 0 */
  staleWhileRevalidate?: Duration | undefined;
  /** Serve stale this long when loading fails (RFC 5861 §4). @default 0 */
  staleIfError?: Duration | StaleIfError | undefined;
  /** Freshness of `null` and `undefined`. @default the same as `ttl` */
  negativeTtl?: Duration | undefined;
  /** XFetch β: refresh early with growing probability, by the measured load cost; 0 is off. @default 0 */
  earlyRefresh?: number | undefined;
  /** A load slower than this lets a caller have the stale value; the load goes on. @default none */
  softTimeout?: Duration | undefined;
  /** A load slower than this fails with `ERR_CACHE_TIMEOUT`, and its signal is aborted. @default "30s" */
  hardTimeout?: Duration | undefined;
  /**
   * Memory answers only after the shared log's head was read for this very read: nothing invalidated before the read, by
   * any process, is served. One small round trip a read (those of one turn share it). With the shared tier away, a strict
   * read is a load. @default false
   */
  strict?: boolean | undefined;
  /**
   * Believed only as long as the cache's `feed` vouches for it, and read through past that; false for what does not come from
   * the feed's source. Means nothing without a feed. @default true
   */
  fed?: boolean | undefined;
  /** The name of a set of these in the cache's `presets`. */
  preset?: string | undefined;
}

/** What a caller may do to the values it gets without changing the cache. */
export type Isolation = "freeze" | "clone" | "none";

/** `gzip` is fast everywhere; `brotli` is better above some 100 KB; `zstd` is the best of them and needs Node 22.15. */
export type CompressionAlgorithm = "gzip" | "brotli" | "zstd";

/** How values are compressed for a shared tier; each is read whatever these say. */
export interface CompressionOptions {
  /** Encoded bytes of a value from which it is tried, as a number or "8kb"; kept where it saves a tenth. @default "8kb" */
  threshold?: number | string | undefined;
  /** By its fastest setting. @default "gzip" */
  algorithm?: CompressionAlgorithm | undefined;
}

/** A secret that entries are encrypted with. */
export interface EncryptionKey {
  /** Stored with each entry, readable: 1–64 letters, digits, "." "_" "-". One id is one secret, for ever. */
  id: string;
  /** 32 random bytes, or their base64. */
  secret: Uint8Array | string;
}

/** AES-256-GCM for what lies in a shared tier. */
export interface EncryptionOptions {
  /** The first encrypts; all of them decrypt. */
  keys: readonly EncryptionKey[];
  /** Which entries are encrypted: those of entities that declare `encrypt`, or all. @default "declared" */
  entries?: "declared" | "all" | undefined;
}

/** Which keys are hot, and what is done for them. */
export interface HotKeyOptions {
  /** Reads a second, by this process, from which a key is hot; it cools below half of that. @default 1000 */
  perSecond?: number | undefined;
  /** Most keys that are hot at once; the hottest are. Memory keeps them as long as they fit in an eighth of it. @default 64 */
  limit?: number | undefined;
  /**
   * Shards of the shared tier that hold a hot entry, the key's own among them, for reads that memory does not answer: worth
   * it for large values read by processes with little memory. @default 1
   */
  copies?: number | undefined;
}

export interface CacheOptions extends EntryPolicy {
  /** First segment of every key in a shared tier. @default "cache" */
  name?: string | undefined;
  /** Fastest first: at most one `memory()` and one shared tier. @default [memory()] */
  tiers?: readonly TierFactory[] | undefined;
  /** Named policies, on top of the built-in ones (`presets`). */
  presets?: Readonly<Record<string, EntryPolicy>> | undefined;
  /** `freeze`: values come back deeply frozen (dates, maps, sets and bytes as copies). `clone`: a copy per read. `none`: the object itself. @default "freeze" */
  isolation?: Isolation | undefined;
  /** Loads at once per cache, and how many may wait behind them. @default { concurrency: 64, queue: 10000 } */
  loads?: { concurrency?: number | undefined; queue?: number | undefined } | undefined;
  /** How the shared tier is reached and how soon the cache goes on without it. */
  shared?: SharedOptions | undefined;
  /** Compresses what is stored in the shared tier; true is all its defaults. @default false */
  compression?: boolean | CompressionOptions | undefined;
  /** Keys to encrypt with what is stored in the shared tier. @default none */
  encryption?: EncryptionOptions | undefined;
  /** Tells what changed in the source, whoever changed it: `postgresFeed(…)`. @default none */
  feed?: ChangeFeed | undefined;
  /** Measures how stale the cache really is, by samples; true is all its defaults. @default false */
  staleness?: boolean | StalenessOptions | undefined;
  /** Finds the keys that are read most, keeps them in memory and refreshes them before they expire; true is all its defaults. @default true */
  hotKeys?: boolean | HotKeyOptions | undefined;
  /** Longest encoded key, in UTF-16 units. @default 65536 */
  maxKeyLength?: number | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
  /** Source of chance, in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
}

export interface SharedOptions {
  /** Longest wait for one answer of the shared tier; then the read goes on without it. @default "250ms" */
  timeout?: Duration | undefined;
  /** Failures in a row that open the breaker. @default 5 */
  breakerFailures?: number | undefined;
  /** How long the open breaker waits before it probes. @default "1s" */
  breakerCooldown?: Duration | undefined;
  /** How long a lease lasts without renewal: the longest a dead loader blocks a key. @default "5s" */
  leaseTtl?: Duration | undefined;
  /** How often the log's tail is read. @default "500ms" */
  heartbeat?: Duration | undefined;
  /** With no word from the log for this long, memory stops answering. @default none: memory answers, each entry checked again once the log is back */
  maxStaleness?: Duration | undefined;
}

/** The memory tier's options; made by `memory()`. */
export interface MemoryOptions {
  /** Most entries. @default 1000000 */
  maxEntries?: number | undefined;
  /**
   * Most bytes, as a number or "64mb": what the entries take of the heap and beside it, keys, tags and index included,
   * estimated to within 15 %. @default "64mb"
   */
  maxBytes?: number | string | undefined;
  /** Most bytes of one entry. @default an eighth of maxBytes */
  maxEntryBytes?: number | string | undefined;
  /** Bytes of a value; what is kept beside it is counted all the same. @default a calibrated walk over it */
  sizeOf?: ((value: unknown) => number) | undefined;
}

export interface MemoryFactory {
  readonly kind: "memory";
  readonly options: MemoryOptions;
}

export type TierFactory = MemoryFactory | SharedTierFactory | ShardedTierFactory;
