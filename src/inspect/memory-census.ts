import type { Clock } from "../clock.js";
import { entryBytes } from "../entries/heap-size.js";
import type { Held } from "../entries/held.js";
import type { Mark } from "../invalidation/record.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import { markMatcher } from "./mark-matcher.js";

/** An entry that memory holds. */
export interface HeldEntry {
  readonly key: string;
  /** `""` for a raw key. */
  readonly entity: string;
  readonly state: "fresh" | "stale" | "dead";
  readonly bytes: number;
  /** Milliseconds since it was loaded or set. */
  readonly age: number;
  /** Milliseconds of freshness left, below 0 when stale. */
  readonly freshFor: number;
  readonly tags: readonly string[];
}

/** What one entity has in memory. */
export interface MemoryShare {
  readonly entity: string;
  readonly entries: number;
  readonly bytes: number;
  /** Bytes whose time is over within 1, 5 and 60 minutes: each counts what the one before it counts, too. */
  readonly frees: readonly [one: number, five: number, sixty: number];
}

/** What memory held of what was asked for. */
export interface MemoryCensus {
  /** Of the entries that were looked at. */
  readonly entries: number;
  readonly bytes: number;
  /** By bytes, the largest first. */
  readonly entities: readonly MemoryShare[];
  /** Some of them. */
  readonly sample: readonly HeldEntry[];
  /** The largest of them. */
  readonly largest: readonly HeldEntry[];
  /** Entries looked at, and whether those were all. */
  readonly examined: number;
  readonly complete: boolean;
}

export interface CensusOptions {
  readonly marks: readonly Mark[];
  /** Entries in the sample, and of the largest. */
  readonly sample: number;
  /** Most entries looked at. */
  readonly most: number;
}

/** Entries looked at in one turn of the event loop: less than a millisecond. */
const STEP = 500;
const MINUTES = [1, 5, 60] as const;
/** What `LocalEntries` calls an entry, in the words of an explanation. */
const TOLD = { fresh: "fresh", early: "fresh", stale: "stale", suspect: "dead", none: "dead" } as const;

interface Share {
  entries: number;
  bytes: number;
  frees: [number, number, number];
}

/** Counts what memory holds, a few entries at a time: the reads of the process go on in between. */
export async function takeMemoryCensus(
  entries: Iterable<readonly [string, Held]>,
  local: LocalEntries,
  clock: Clock,
  options: CensusOptions,
): Promise<MemoryCensus> {
  const matches = markMatcher(options.marks);
  const shares = new Map<string, Share>();
  const sample: HeldEntry[] = [];
  const largest: { readonly held: Held; readonly path: string; readonly bytes: number }[] = [];
  let examined = 0;
  let complete = true;
  let found = 0;
  for (const [path, held] of entries) {
    if (examined >= options.most) {
      complete = false;
      break;
    }
    examined += 1;
    if (examined % STEP === 0) await nextTurn();
    // What begins with one of these is the cache's own: notes, locks, reports.
    if (path.startsWith("~") || path.startsWith("!") || !matches(path, held.tags)) continue;
    found += 1;
    const bytes = held.bytes + entryBytes(path, held.tags);
    count(shares, held, bytes, clock.now());
    if (sample.length < options.sample) sample.push(describe(path, held, bytes, local, clock));
    keepLargest(largest, { held, path, bytes }, options.sample);
  }
  const entities = Array.from(shares, ([entity, share]) => ({ entity, ...share })).sort((a, b) => b.bytes - a.bytes);
  return {
    entries: found,
    bytes: entities.reduce((sum, share) => sum + share.bytes, 0),
    entities,
    sample,
    largest: largest.map(({ path, held, bytes }) => describe(path, held, bytes, local, clock)),
    examined,
    complete,
  };
}

function count(shares: Map<string, Share>, held: Held, bytes: number, now: number): void {
  const { entity } = held.counters;
  let share = shares.get(entity);
  if (share === undefined) {
    share = { entries: 0, bytes: 0, frees: [0, 0, 0] };
    shares.set(entity, share);
  }
  share.entries += 1;
  share.bytes += bytes;
  for (const [at, minutes] of MINUTES.entries())
    if (held.expiresAt - now <= minutes * 60_000) share.frees[at] = (share.frees[at] ?? 0) + bytes;
}

function keepLargest<T extends { readonly bytes: number }>(kept: T[], one: T, most: number): void {
  const last = kept.at(-1);
  if (kept.length >= most && (last === undefined || one.bytes <= last.bytes)) return;
  const at = kept.findIndex((other) => other.bytes < one.bytes);
  kept.splice(at === -1 ? kept.length : at, 0, one);
  if (kept.length > most) kept.pop();
}

function describe(path: string, held: Held, bytes: number, local: LocalEntries, clock: Clock): HeldEntry {
  const { state } = local.inspect(path);
  const now = clock.now();
  return {
    key: path,
    entity: held.counters.entity,
    state: TOLD[state],
    bytes,
    age: now - held.createdAt,
    freshFor: held.freshUntil - now,
    tags: held.tags,
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
