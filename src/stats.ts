import type { CacheEvent, CacheEventType, MissReason, RefusalReason, TierName } from "./events.js";
import type { FeedState } from "./feed/feeding.js";
import type { StalenessStats } from "./feed/staleness-monitor.js";
import type { MemoryTierStats } from "./tiers/memory/memory-tier.js";
import type { WriteBehindStats } from "./write/behind-lane.js";

/** Counts since the cache was made, of one entity or of all. */
export interface ReadStats {
  /** Reads of one key: gets = hits + staleHits + misses. */
  readonly gets: number;
  /** Fresh answers, by tier. */
  readonly hits: Readonly<Record<TierName, number>>;
  /** Answers past their freshness, under SWR, on error or on a soft timeout. */
  readonly staleHits: number;
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
  /** The keys this process reads most, hottest first. */
  readonly hot: readonly HotKeyStats[];
  /** Of each write-behind and counter; missing where there is none. */
  readonly writeBehind?: readonly WriteBehindStats[] | undefined;
  /** What the feed of changes says of itself; `undefined` without one. */
  readonly feed: FeedState | undefined;
  /** How stale entries were found to be; `undefined` where nobody measures. */
  readonly staleness: StalenessStats | undefined;
}

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
  loads = 0;
  loadMilliseconds = 0;
  loadFailures = 0;
  coalescedProcess = 0;
  coalescedCluster = 0;
  readonly missReasons: Partial<Record<MissReason, number>> = {};
  readonly refused: Partial<Record<RefusalReason, number>> = {};

  constructor(entity: string) {
    this.entity = entity;
  }
}

/**
 * Where every event passes: folds it into the counters, then tells the listeners, if there are any.
 *
 * A listener that throws is reported as `background-failed` to the others and never reaches the read path.
 */
export class Recorder {
  readonly #entities = new Map<string, Counters>();
  readonly #listeners = new Map<CacheEventType | "*", Set<(event: CacheEvent) => void>>();
  own = 0;
  other = 0;
  failures = 0;
  corrupt = 0;
  gaps = 0;
  messagesRefused = 0;

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
    return () => {
      listeners.delete(registered);
      if (listeners.size === 0 && this.#listeners.get(type) === listeners) this.#listeners.delete(type);
    };
  }

  hit(counters: Counters, key: string, tier: TierName, stale: boolean): void {
    if (stale) counters.staleHits += 1;
    else if (tier === "memory") counters.memoryHits += 1;
    else counters.sharedHits += 1;
    if (this.#listeners.size > 0) this.emit({ type: "hit", key, entity: counters.entity, tier, stale });
  }

  miss(counters: Counters, key: string, reason: MissReason): void {
    counters.missReasons[reason] = (counters.missReasons[reason] ?? 0) + 1;
    if (this.#listeners.size > 0) this.emit({ type: "miss", key, entity: counters.entity, reason });
  }

  coalesced(counters: Counters, key: string, across: "process" | "cluster"): void {
    if (across === "process") counters.coalescedProcess += 1;
    else counters.coalescedCluster += 1;
    if (this.#listeners.size > 0) this.emit({ type: "coalesced", key, entity: counters.entity, across });
  }

  loaded(counters: Counters, key: string, took: number, background: boolean): void {
    counters.loads += 1;
    counters.loadMilliseconds += took;
    if (this.#listeners.size > 0) this.emit({ type: "loaded", key, entity: counters.entity, took, background });
  }

  loadFailed(counters: Counters, key: string, took: number, error: unknown, background: boolean): void {
    counters.loadFailures += 1;
    if (this.#listeners.size > 0)
      this.emit({ type: "load-failed", key, entity: counters.entity, took, error, background });
  }

  stored(counters: Counters, key: string, tier: TierName, bytes: number, ttl: number): void {
    if (this.#listeners.size > 0) this.emit({ type: "stored", key, entity: counters.entity, tier, bytes, ttl });
  }

  refused(counters: Counters, key: string, tier: TierName, reason: RefusalReason, error?: unknown): void {
    counters.refused[reason] = (counters.refused[reason] ?? 0) + 1;
    if (this.#listeners.size > 0) this.emit({ type: "refused", key, entity: counters.entity, tier, reason, error });
  }

  invalidated(marks: number, what: string, soft: boolean, position: number, origin: "own" | "other"): void {
    if (origin === "own") this.own += 1;
    else this.other += 1;
    if (this.#listeners.size > 0) this.emit({ type: "invalidated", marks, what, soft, position, origin });
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
    if (this.#listeners.size === 0) return;
    this.#tell(this.#listeners.get(event.type), event);
    this.#tell(this.#listeners.get("*"), event);
  }

  /** Whether anybody listens at all. */
  get heard(): boolean {
    return this.#listeners.size > 0;
  }

  entities(): Readonly<Record<string, ReadStats>> {
    const all: Record<string, ReadStats> = Object.create(null) as Record<string, ReadStats>;
    for (const [name, counters] of this.#entities) all[name] = readStats([counters]);
    return all;
  }

  total(): ReadStats {
    return readStats([...this.#entities.values()]);
  }

  #tell(listeners: Set<(event: CacheEvent) => void> | undefined, event: CacheEvent): void {
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        // Told once and not about its own telling, or a listener of everything that throws would recurse.
        if (event.type !== "background-failed") this.emit({ type: "background-failed", what: "listener", error });
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
  const misses = Object.values(missReasons).reduce((total, count) => total + count, 0);
  const gets = memory + shared + staleHits + misses;
  return {
    gets,
    hits: { memory, shared },
    staleHits,
    misses,
    missReasons,
    hitRatio: gets === 0 ? 0 : (memory + shared + staleHits) / gets,
    loads: sum((part) => part.loads),
    loadMilliseconds: sum((part) => part.loadMilliseconds),
    loadFailures: sum((part) => part.loadFailures),
    coalesced: { process: sum((part) => part.coalescedProcess), cluster: sum((part) => part.coalescedCluster) },
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
