import type { CacheEvent, MissReason } from "../events.js";
import type { MemoryShare } from "../inspect/memory-census.js";
import type { CacheStats } from "../stats.js";

/*
 * What a process tells of one of its caches: everything the page shows is a fold over reports, of one process or of all.
 * Only types and what both sides of the wire use: the page imports this file.
 */

/** Of the shape of reports: one of another version is left aside. */
export const REPORT_VERSION = 1;

/** Counts since the cache was made, at the end of a minute: at (wall clock), gets, memory, shared, stale, misses, loads, load ms. */
export type MinuteSample = readonly [
  at: number,
  gets: number,
  memory: number,
  shared: number,
  stale: number,
  misses: number,
  loads: number,
  loadMilliseconds: number,
];

/** Something rare that happened, in a few words. Times are milliseconds of the wall clock. */
export interface Note {
  /** Grows by one; of one process. */
  readonly number: number;
  readonly at: number;
  readonly type: Exclude<CacheEvent["type"], "hit" | "stored" | "loaded">;
  readonly what: string;
  readonly key?: string | undefined;
  readonly detail?: string | undefined;
  /** Of an invalidation. */
  readonly invalidation?: {
    readonly origin: "own" | "other";
    readonly soft: boolean;
    readonly marks: number;
    readonly targets: readonly string[];
    /** In the log: the same in every process that hears of it. */
    readonly position: number;
    /** Milliseconds from its position to its application here; the difference of two clocks is in it. */
    readonly delay: number | undefined;
  };
}

export interface Miss {
  readonly number: number;
  readonly at: number;
  readonly key: string;
  readonly entity: string;
  readonly reason: MissReason;
}

/** A key and how often it was met, or how many bytes it has. */
export interface Ranked {
  readonly key: string;
  readonly entity: string;
  readonly count: number;
}

/** What is known only while somebody looks. */
export interface Sampled {
  /** Since when, on the wall clock. */
  readonly since: number;
  /** One hit in so many is counted; of misses every one. */
  readonly everyHit: number;
  readonly mostRead: readonly Ranked[];
  readonly mostMissed: readonly Ranked[];
  /** By bytes in memory. */
  readonly largest: readonly Ranked[];
  readonly misses: readonly Miss[];
  readonly memory:
    | { readonly entities: readonly MemoryShare[]; readonly examined: number; readonly complete: boolean }
    | undefined;
  /** What one look-up in memory took, in milliseconds. */
  readonly memoryTook: number | undefined;
}

export interface ProcessFacts {
  readonly id: string;
  /** As people call it: `host:pid` unless it was named. */
  readonly name: string;
  readonly pid: number;
  readonly host: string;
  readonly startedAt: number;
  readonly environment: string;
}

export interface ProcessReport {
  readonly version: typeof REPORT_VERSION;
  readonly cache: string;
  readonly process: ProcessFacts;
  readonly at: number;
  readonly stats: CacheStats;
  readonly minutes: readonly MinuteSample[];
  readonly notes: readonly Note[];
  readonly sampled: Sampled | undefined;
}
