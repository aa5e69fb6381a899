import { channel, type Channel } from "node:diagnostics_channel";

import type { CacheEvent, CacheEventType, MissReason, RefusalReason, TierName } from "./events.js";
import type { FeedState } from "./feed/feeding.js";
import type { StalenessStats } from "./feed/staleness-monitor.js";
import { markText } from "./invalidation/mark-text.js";
import type { Mark } from "./invalidation/record.js";
import type { Circuit } from "./tiers/guard.js";
import type { MemoryTierStats } from "./tiers/memory/memory-tier.js";
import { TimeHistogram, type TimeCounts } from "./time-histogram.js";
import { Watchers } from "./watchers.js";
import type { WriteBehindStats } from "./write/behind-lane.js";

/** Counts since the cache was made, of one entity or of all. */
export interface ReadStats {
  /** Reads of one key: gets = hits + staleHits + misses. */
  readonly gets: number;
  /** Fresh answers, by tier. */
  readonly hits: Readonly<Record<TierName, number>>;
  /** Answers past their freshness, under SWR, on error or on a soft timeout. */
  readonly staleHits: number;
  /** staleHits by tier. */
  readonly staleFrom: Readonly<Record<TierName, number>>;
  readonly misses: number;
  /** misses by reason; they add up to `misses`. */
  readonly missReasons: Readonly<Partial<Record<MissReason, number>>>;
  /** (hits + staleHits) / gets; 0 before the first read. */
  readonly hitRatio: number;
  /** Loads that ended well, and their total time. */
  readonly loads: number;
  readonly loadMilliseconds: number;
  readonly loadFailures: number;
  /** Reads that shared a load of this process, or waited for one of another process. */
  readonly coalesced: Readonly<Record<"process" | "cluster", number>>;
  /** Misses that a load of another read of this process answered: loads that coalescing saved. */
  readonly loadsShared: number;
  /** Values that were not stored, by reason. */
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
}

export interface CacheStats {
  readonly name: string;
  readonly total: ReadStats;
  /** By entity, `""` for keys of no entity. */
  readonly entities: Readonly<Record<string, ReadStats>>;
  readonly memory: MemoryTierStats | undefined;
  readonly shared: SharedStats | undefined;
  /** Loads under way and waiting at the gate. */
  readonly gate: { readonly active: number; readonly queued: number };
  /** Acknowledged invalidations: this process's, and those heard from others. */
  readonly invalidations: { readonly own: number; readonly other: number };
  /** What these named, by kind: a record of three keys is three of `key`. */
  readonly marks: Readonly<Record<"own" | "other", MarkCounts>>;
  /** The keys this process reads most, hottest first. */
  readonly hot: readonly HotKeyStats[];
  /** Of each write-behind and counter; missing where there is none. */
  readonly writeBehind?: readonly WriteBehindStats[] | undefined;
  /** What the feed of changes says of itself; `undefined` without one. */
  readonly feed: FeedState | undefined;
  /** How stale entries were found to be; `undefined` where nobody measures. */
  readonly staleness: StalenessStats | undefined;
  /** How long it took, counted since the cache was made: calls that the shared tier answered, and loads that ended well. */
  readonly took: { readonly shared: TimeCounts; readonly loads: TimeCounts };
}

/** Marks that an event of an invalidation names; a record may have ten thousand. */
const MOST_TARGETS = 5;

/** Marks of invalidations, by kind. */
export type MarkCounts = Readonly<Partial<Record<Mark["kind"], number>>>;

/** A key read more often than `hotKeys.perSecond`. */
export interface HotKeyStats {
  readonly key: string;
  /** Reads a second of this process; an estimate from samples. */
  readonly perSecond: number;
  /** Whether memory holds it, and makes no room of it. */
  readonly pinned: boolean;
  /** Reads answered by a copy on another shard, since it became hot. */
  readonly fromCopies: number;
}

export interface SharedStats {
  readonly kind: string;
  readonly up: boolean;
  /** Operations that failed or ran out of time. */
  readonly failures: number;
  /** Bytes that were not an entry. */
  readonly corrupt: number;
  /** The position this process has applied; the furthest, of several shards. */
  readonly position: number;
  /** Messages that were not believed: unsigned, or signed with none of the secrets. */
  readonly messagesRefused: number;
  /** Times the log could not be followed without a gap. */
  readonly gaps: number;
  /** Invalidations waiting to be sent again. */
  readonly unsent: number;
  /** Milliseconds since the log was last known complete; the longest, of several shards. */
  readonly heardAgo: number;
  /** Each shard; one where there are none. */
  readonly shards: readonly ShardStats[];
}

export interface ShardStats {
  readonly up: boolean;
  /** Of the breaker before it. */
  readonly circuit: Circuit;
  readonly position: number;
  readonly unsent: number;
  readonly heardAgo: number;
}

/** The counters of one entity; fields are bumped in place on the hot path. */
export class Counters {
  readonly entity: string;
  memoryHits = 0;
  sharedHits = 0;
  staleHits = 0;
  /** Of them, those from the shared tier. */
  staleShared = 0;
  loads = 0;
  loadMilliseconds = 0;
  loadFailures = 0;
  coalescedProcess = 0;
  coalescedCluster = 0;
  loadsShared = 0;
  readonly missReasons: Partial<Record<MissReason, number>> = {};
  readonly refused: Partial<Record<RefusalReason, number>> = {};

  constructor(entity: string) {
    this.entity = entity;
  }
}

/**
 * Where every event passes: folds it into the counters, then tells the listeners, if there are any, and whoever subscribes
 * to the event's channel of `node:diagnostics_channel` (`tiercache:hit` …).
 *
 * A listener that throws is reported as `background-failed` to the others and never reaches the read path.
 */
export class Recorder {
  readonly #cacheName: string;
  readonly #channels = new Map<CacheEventType, Channel>();
  readonly #hits: Channel;
  readonly #entities = new Map<string, Counters>();
  readonly #listeners = new Map<CacheEventType | "*", Set<(event: CacheEvent) => void>>();
  readonly watchers: Watchers = new Watchers((error) =>
    this.emit({ type: "background-failed", what: "watcher", error }),
  );
  readonly marks: Record<"own" | "other", Partial<Record<Mark["kind"], number>>> = { own: {}, other: {} };
  #listensToHits = false;
  own = 0;
  other = 0;
  failures = 0;
  corrupt = 0;
  gaps = 0;
  messagesRefused = 0;
  readonly #sharedTook = new TimeHistogram();
  readonly #loadsTook = new TimeHistogram();

  /** @param cacheName told to channels, which are those of the whole process. */
  constructor(cacheName = "") {
    this.#cacheName = cacheName;
    this.#hits = this.#channel("hit");
  }

  /** As `hears("hit")`, for every hit. */
  get hearsHits(): boolean {
    return this.#listensToHits || this.#hits.hasSubscribers;
  }

  /** Whether the ages of answers are asked for: by name only, as hardly anybody wants them. */
  get hearsAges(): boolean {
    return this.#listeners.has("served") || this.#channel("served").hasSubscribers;
  }

  counters(entity: string): Counters {
    let counters = this.#entities.get(entity);
    if (counters === undefined) {
      counters = new Counters(entity);
      this.#entities.set(entity, counters);
    }
    return counters;
  }

  on(type: CacheEventType | "*", listener: (event: CacheEvent) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    // A wrapper per registration: the same function registered twice is two registrations.
    const registered = (event: CacheEvent): void => listener(event);
    listeners.add(registered);
    this.#listensToHits = this.#listens("hit");
    return () => {
      listeners.delete(registered);
      if (listeners.size === 0 && this.#listeners.get(type) === listeners) this.#listeners.delete(type);
      this.#listensToHits = this.#listens("hit");
    };
  }

  hit(counters: Counters, key: string, tier: TierName, stale: boolean): void {
    if (stale) {
      counters.staleHits += 1;
      if (tier === "shared") counters.staleShared += 1;
    } else if (tier === "memory") counters.memoryHits += 1;
    else counters.sharedHits += 1;
    if (this.hearsHits) this.emit({ type: "hit", key, entity: counters.entity, tier, stale });
  }

  miss(counters: Counters, key: string, reason: MissReason): void {
    counters.missReasons[reason] = (counters.missReasons[reason] ?? 0) + 1;
    if (this.hears("miss")) this.emit({ type: "miss", key, entity: counters.entity, reason });
  }

  /** @param sharedLoad it was a load that they waited for together, and not a look into the shared tier. */
  coalesced(counters: Counters, key: string, across: "process" | "cluster", sharedLoad: boolean): void {
    if (across === "process") counters.coalescedProcess += 1;
    else counters.coalescedCluster += 1;
    if (sharedLoad) counters.loadsShared += 1;
    if (this.hears("coalesced")) this.emit({ type: "coalesced", key, entity: counters.entity, across });
  }

  loaded(counters: Counters, key: string, took: number, background: boolean): void {
    counters.loads += 1;
    counters.loadMilliseconds += took;
    this.#loadsTook.add(took);
    if (this.hears("loaded")) this.emit({ type: "loaded", key, entity: counters.entity, took, background });
  }

  loadFailed(counters: Counters, key: string, took: number, error: unknown, background: boolean): void {
    counters.loadFailures += 1;
    if (this.hears("load-failed"))
      this.emit({ type: "load-failed", key, entity: counters.entity, took, error, background });
  }

  stored(counters: Counters, key: string, tier: TierName, bytes: number, ttl: number): void {
    if (this.hears("stored")) this.emit({ type: "stored", key, entity: counters.entity, tier, bytes, ttl });
  }

  refused(counters: Counters, key: string, tier: TierName, reason: RefusalReason, error?: unknown): void {
    counters.refused[reason] = (counters.refused[reason] ?? 0) + 1;
    if (this.hears("refused")) this.emit({ type: "refused", key, entity: counters.entity, tier, reason, error });
  }

  /** @param delay of one of another process, in milliseconds. */
  invalidated(
    marks: readonly Mark[],
    soft: boolean,
    position: number,
    origin: "own" | "other",
    delay: number | undefined,
  ): void {
    this[origin] += 1;
    const counts = this.marks[origin];
    for (const { kind } of marks) counts[kind] = (counts[kind] ?? 0) + 1;
    if (!this.hears("invalidated")) return;
    const what = [...new Set(marks.map((mark) => mark.kind))].join(",");
    const targets = marks.slice(0, MOST_TARGETS).map(markText);
    this.emit({ type: "invalidated", marks: marks.length, what, targets, names: marks, soft, position, origin, delay });
  }

  /** A tier's answer is `age` milliseconds old; only where `hearsAges`. */
  served(counters: Counters, key: string, tier: TierName, age: number): void {
    this.emit({ type: "served", key, entity: counters.entity, tier, age });
  }

  /** @param took milliseconds. */
  tierAnswered(took: number): void {
    this.#sharedTook.add(took);
  }

  tierFailed(operation: string, error: unknown): void {
    this.failures += 1;
    this.emit({ type: "tier-failed", operation, error });
  }

  foundCorrupt(key: string, error: unknown): void {
    this.corrupt += 1;
    this.emit({ type: "corrupt", key, error });
  }

  messageRefused(reason: string): void {
    this.messagesRefused += 1;
    this.emit({ type: "message-refused", reason });
  }

  gap(position: number): void {
    this.gaps += 1;
    this.emit({ type: "log-gap", position });
  }

  emit(event: CacheEvent): void {
    const channel = this.#channel(event.type);
    if (channel.hasSubscribers) channel.publish({ cache: this.#cacheName, ...event });
    if (this.#listeners.size === 0) return;
    this.#tell(this.#listeners.get(event.type), event);
    this.#tell(this.#listeners.get("*"), event);
  }

  /** Whether anybody is told of events of the type. */
  hears(type: CacheEventType): boolean {
    return this.#listens(type) || this.#channel(type).hasSubscribers;
  }

  entities(): Readonly<Record<string, ReadStats>> {
    const all: Record<string, ReadStats> = Object.create(null) as Record<string, ReadStats>;
    for (const [name, counters] of this.#entities) all[name] = readStats([counters]);
    return all;
  }

  total(): ReadStats {
    return readStats([...this.#entities.values()]);
  }

  took(): CacheStats["took"] {
    return { shared: this.#sharedTook.counts(), loads: this.#loadsTook.counts() };
  }

  #listens(type: CacheEventType): boolean {
    return this.#listeners.size > 0 && (this.#listeners.has(type) || this.#listeners.has("*"));
  }

  #channel(type: CacheEventType): Channel {
    let found = this.#channels.get(type);
    if (found === undefined) {
      found = channel(`tiercache:${type}`);
      this.#channels.set(type, found);
    }
    return found;
  }

  #tell(listeners: Set<(event: CacheEvent) => void> | undefined, event: CacheEvent): void {
    if (listeners === undefined) return;
    // Told once and not about its own telling, or a listener of everything that throws would recurse.
    const failed = (error: unknown): void => {
      if (event.type !== "background-failed") this.emit({ type: "background-failed", what: "listener", error });
    };
    for (const listener of [...listeners]) {
      try {
        const told: unknown = listener(event);
        // Of an async one, which nobody waits for.
        if (told instanceof Promise) told.catch(failed);
      } catch (error) {
        failed(error);
      }
    }
  }
}

function readStats(parts: readonly Counters[]): ReadStats {
  const sum = (of: (counters: Counters) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const missReasons = merged(parts.map((part) => part.missReasons));
  const memory = sum((part) => part.memoryHits);
  const shared = sum((part) => part.sharedHits);
  const staleHits = sum((part) => part.staleHits);
  const staleShared = sum((part) => part.staleShared);
  const misses = Object.values(missReasons).reduce((total, count) => total + count, 0);
  const gets = memory + shared + staleHits + misses;
  return {
    gets,
    hits: { memory, shared },
    staleHits,
    staleFrom: { memory: staleHits - staleShared, shared: staleShared },
    misses,
    missReasons,
    hitRatio: gets === 0 ? 0 : (memory + shared + staleHits) / gets,
    loads: sum((part) => part.loads),
    loadMilliseconds: sum((part) => part.loadMilliseconds),
    loadFailures: sum((part) => part.loadFailures),
    coalesced: { process: sum((part) => part.coalescedProcess), cluster: sum((part) => part.coalescedCluster) },
    loadsShared: sum((part) => part.loadsShared),
    refused: merged(parts.map((part) => part.refused)),
  };
}

function merged<K extends string>(parts: readonly Partial<Record<K, number>>[]): Partial<Record<K, number>> {
  const total: Partial<Record<K, number>> = {};
  for (const part of parts) {
    for (const key of Object.keys(part) as K[]) total[key] = (total[key] ?? 0) + (part[key] ?? 0);
  }
  return total;
}
