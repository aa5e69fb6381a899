import type { CacheStats, HotKeyStats, ReadStats, SharedStats } from "../stats.js";
import type { TimeCounts } from "../time-histogram.js";
import type { MinuteSample, Miss, Note, ProcessReport, Ranked, Sampled } from "./report.js";

/** A note or a miss, and the process that told of it. */
export type Told<T> = T & { readonly process: string };

/** What several processes tell of one cache, as one. */
export interface Overview {
  readonly cache: string;
  /** When the newest of them was made. */
  readonly at: number;
  readonly processes: readonly { readonly id: string; readonly name: string; readonly at: number }[];
  readonly total: ReadStats;
  readonly entities: Readonly<Record<string, ReadStats>>;
  readonly memory: CacheStats["memory"];
  readonly shared: SharedStats | undefined;
  readonly gate: CacheStats["gate"];
  readonly invalidations: CacheStats["invalidations"];
  readonly hot: readonly HotKeyStats[];
  readonly writeBehind: NonNullable<CacheStats["writeBehind"]>;
  /** Of the process that reads the source; else of the one that is least behind. */
  readonly feed: CacheStats["feed"];
  readonly staleness: CacheStats["staleness"];
  readonly took: CacheStats["took"];
  readonly minutes: readonly MinuteSample[];
  /** Newest first. */
  readonly notes: readonly Told<Note>[];
  readonly sampled: (Omit<Sampled, "misses"> & { readonly misses: readonly Told<Miss>[] }) | undefined;
}

const MINUTE = 60_000;
const RANKED = 20;
const NOTES = 400;

/** Adds up what can be added, takes the worst of what cannot. `undefined` of no reports. */
export function mergeReports(reports: readonly ProcessReport[]): Overview | undefined {
  const [first] = reports;
  if (first === undefined) return undefined;
  const all = reports.map(({ stats }) => stats);
  return {
    cache: first.cache,
    at: Math.max(...reports.map(({ at }) => at)),
    processes: reports.map(({ process, at }) => ({ id: process.id, name: process.name, at })),
    total: addReads(all.map(({ total }) => total)),
    entities: mergeEntities(all),
    memory: mergeMemory(all.flatMap(({ memory }) => memory ?? [])),
    shared: mergeShared(all.flatMap(({ shared }) => shared ?? [])),
    gate: { active: sum(all, ({ gate }) => gate.active), queued: sum(all, ({ gate }) => gate.queued) },
    invalidations: {
      own: sum(all, ({ invalidations }) => invalidations.own),
      other: sum(all, ({ invalidations }) => invalidations.other),
    },
    hot: mergeHot(all.flatMap(({ hot }) => hot)),
    writeBehind: mergeBehind(all.flatMap(({ writeBehind }) => writeBehind ?? [])),
    feed: mergeFeed(all.flatMap(({ feed }) => feed ?? [])),
    staleness: mergeStaleness(all.flatMap(({ staleness }) => staleness ?? [])),
    took: {
      shared: addCounts(all.map(({ took }) => took.shared)),
      loads: addCounts(all.map(({ took }) => took.loads)),
    },
    minutes: mergeMinutes(reports.map(({ minutes }) => minutes)),
    notes: reports
      .flatMap(told(({ notes }) => notes))
      .sort((a, b) => b.at - a.at)
      .slice(0, NOTES),
    sampled: mergeSampled(reports),
  };
}

/** Reads of several processes, or entities, as one. */
export function addReads(parts: readonly ReadStats[]): ReadStats {
  const gets = sum(parts, (part) => part.gets);
  const misses = sum(parts, (part) => part.misses);
  return {
    gets,
    hits: { memory: sum(parts, ({ hits }) => hits.memory), shared: sum(parts, ({ hits }) => hits.shared) },
    staleHits: sum(parts, (part) => part.staleHits),
    staleFrom: {
      memory: sum(parts, ({ staleFrom }) => staleFrom.memory),
      shared: sum(parts, ({ staleFrom }) => staleFrom.shared),
    },
    misses,
    missReasons: addRecords(parts.map((part) => part.missReasons)),
    hitRatio: gets === 0 ? 0 : (gets - misses) / gets,
    loads: sum(parts, (part) => part.loads),
    loadMilliseconds: sum(parts, (part) => part.loadMilliseconds),
    loadFailures: sum(parts, (part) => part.loadFailures),
    coalesced: {
      process: sum(parts, ({ coalesced }) => coalesced.process),
      cluster: sum(parts, ({ coalesced }) => coalesced.cluster),
    },
    loadsShared: sum(parts, (part) => part.loadsShared),
    refused: addRecords(parts.map((part) => part.refused)),
  };
}

/** Counts by bucket. */
export function addCounts(parts: readonly TimeCounts[]): TimeCounts {
  const longest = Math.max(0, ...parts.map((part) => part.length));
  return Array.from({ length: longest }, (_, bucket) => sum(parts, (part) => part[bucket] ?? 0));
}

function mergeEntities(all: readonly CacheStats[]): Readonly<Record<string, ReadStats>> {
  const names = new Set(all.flatMap(({ entities }) => Object.keys(entities)));
  return Object.fromEntries(
    Array.from(names, (name) => [name, addReads(all.flatMap(({ entities }) => entities[name] ?? []))]),
  );
}

function mergeMemory(all: readonly NonNullable<CacheStats["memory"]>[]): CacheStats["memory"] {
  const [first] = all;
  if (first === undefined) return undefined;
  const curves = all.filter(({ curve }) => curve.length > 0);
  const [longest] = curves;
  return {
    entries: sum(all, (one) => one.entries),
    bytes: sum(all, (one) => one.bytes),
    maxEntries: sum(all, (one) => one.maxEntries),
    maxBytes: sum(all, (one) => one.maxBytes),
    evicted: sum(all, (one) => one.evicted),
    expired: sum(all, (one) => one.expired),
    refused: sum(all, (one) => one.refused),
    windowShare: sum(all, (one) => one.windowShare) / all.length,
    curve: (longest?.curve ?? []).map(({ capacity }, at) => ({
      capacity,
      hitRatio: sum(curves, ({ curve }) => curve[at]?.hitRatio ?? 0) / curves.length,
    })),
  };
}

/** Down is whatever one of them cannot reach. */
function mergeShared(all: readonly SharedStats[]): SharedStats | undefined {
  const [first] = all;
  if (first === undefined) return undefined;
  return {
    kind: first.kind,
    up: all.every(({ up }) => up),
    failures: sum(all, (one) => one.failures),
    corrupt: sum(all, (one) => one.corrupt),
    position: Math.max(...all.map(({ position }) => position)),
    messagesRefused: sum(all, (one) => one.messagesRefused),
    gaps: sum(all, (one) => one.gaps),
    unsent: sum(all, (one) => one.unsent),
    heardAgo: Math.max(...all.map(({ heardAgo }) => heardAgo)),
    shards: first.shards.map((shard, at) => {
      const same = all.map(({ shards }) => shards[at] ?? shard);
      const worst = same.find(({ circuit }) => circuit === "open") ?? same.find(({ up }) => !up) ?? shard;
      return {
        ...worst,
        position: Math.max(...same.map(({ position }) => position)),
        unsent: sum(same, ({ unsent }) => unsent),
        heardAgo: Math.max(...same.map(({ heardAgo }) => heardAgo)),
      };
    }),
  };
}

function mergeHot(all: readonly HotKeyStats[]): readonly HotKeyStats[] {
  const keys = new Map<string, HotKeyStats>();
  for (const one of all) {
    const known = keys.get(one.key);
    keys.set(
      one.key,
      known === undefined
        ? one
        : {
            key: one.key,
            perSecond: known.perSecond + one.perSecond,
            pinned: known.pinned || one.pinned,
            fromCopies: known.fromCopies + one.fromCopies,
          },
    );
  }
  return [...keys.values()].sort((a, b) => b.perSecond - a.perSecond).slice(0, RANKED);
}

/** The journal is everybody's: its depth is as last heard, its flushes are each one's own. */
function mergeBehind(all: NonNullable<CacheStats["writeBehind"]>): NonNullable<CacheStats["writeBehind"]> {
  return Array.from(new Set(all.map(({ name }) => name)), (name) => {
    const same = all.filter((one) => one.name === name);
    return {
      name,
      depth: Math.max(...same.map((one) => one.depth)),
      oldest: Math.max(...same.map((one) => one.oldest)),
      dead: Math.max(...same.map((one) => one.dead)),
      appended: sum(same, (one) => one.appended),
      flushed: sum(same, (one) => one.flushed),
      failures: sum(same, (one) => one.failures),
    };
  });
}

function mergeFeed(all: readonly NonNullable<CacheStats["feed"]>[]): CacheStats["feed"] {
  return all.find((feed) => feed["role"] === "leader") ?? all.toSorted((a, b) => ago(a) - ago(b))[0];
}

/** Infinity does not pass through JSON. */
function ago({ completeAgo }: { readonly completeAgo: number | null }): number {
  return completeAgo ?? Number.POSITIVE_INFINITY;
}

function mergeStaleness(all: readonly NonNullable<CacheStats["staleness"]>[]): CacheStats["staleness"] {
  const [first] = all;
  if (first === undefined) return undefined;
  return {
    changes: first.changes.map(({ after }, at) => {
      const checked = sum(all, ({ changes }) => changes[at]?.checked ?? 0);
      const violations = sum(all, ({ changes }) => changes[at]?.violations ?? 0);
      return { after, checked, violations, nines: -Math.log10(violations / checked) };
    }),
    reads: {
      checked: sum(all, ({ reads }) => reads.checked),
      same: sum(all, ({ reads }) => reads.same),
      legal: sum(all, ({ reads }) => reads.legal),
      violations: sum(all, ({ reads }) => reads.violations),
      unexplained: sum(all, ({ reads }) => reads.unexplained),
      failed: sum(all, ({ reads }) => reads.failed),
    },
    found: all.flatMap(({ found }) => found).slice(-RANKED),
  };
}

/** By the minute of the clock; a process that has none of a minute counts as before. */
function mergeMinutes(all: readonly (readonly MinuteSample[])[]): readonly MinuteSample[] {
  const minutes = new Set(all.flatMap((samples) => samples.map(([at]) => Math.floor(at / MINUTE))));
  const cursors = all.map(() => 0);
  return [...minutes]
    .sort((a, b) => a - b)
    .map((minute) => {
      const total = [0, 0, 0, 0, 0, 0, 0];
      for (const [which, samples] of all.entries()) {
        let at = cursors[which] ?? 0;
        while (at < samples.length && Math.floor((samples[at]?.[0] ?? 0) / MINUTE) <= minute) at += 1;
        cursors[which] = at;
        const last = samples[at - 1];
        if (last !== undefined)
          for (const [field, count] of last.slice(1).entries()) total[field] = (total[field] ?? 0) + count;
      }
      return [minute * MINUTE, ...total] as unknown as MinuteSample;
    });
}

function mergeSampled(reports: readonly ProcessReport[]): Overview["sampled"] {
  const all = reports.flatMap(({ sampled }) => sampled ?? []);
  const [first] = all;
  if (first === undefined) return undefined;
  const shares = all.flatMap(({ memory }) => memory ?? []);
  const entities = new Set(shares.flatMap((share) => share.entities.map(({ entity }) => entity)));
  return {
    since: Math.min(...all.map(({ since }) => since)),
    everyHit: first.everyHit,
    mostRead: addRanked(all.map(({ mostRead }) => mostRead)),
    mostMissed: addRanked(all.map(({ mostMissed }) => mostMissed)),
    largest: largestOf(all.flatMap(({ largest }) => largest)),
    misses: reports
      .flatMap(told(({ sampled }) => sampled?.misses ?? []))
      .sort((a, b) => b.at - a.at)
      .slice(0, NOTES),
    memory:
      shares.length === 0
        ? undefined
        : {
            entities: Array.from(entities, (entity) => {
              const same = shares.flatMap((share) => share.entities.filter((one) => one.entity === entity));
              const frees = ([0, 1, 2] as const).map((at) => sum(same, (one) => one.frees[at]));
              return {
                entity,
                entries: sum(same, (one) => one.entries),
                bytes: sum(same, (one) => one.bytes),
                frees: frees as unknown as readonly [number, number, number],
              };
            }).sort((a, b) => b.bytes - a.bytes),
            examined: sum(shares, ({ examined }) => examined),
            complete: shares.every(({ complete }) => complete),
          },
    memoryTook: median(all.flatMap(({ memoryTook }) => memoryTook ?? [])),
  };
}

function addRanked(lists: readonly (readonly Ranked[])[]): readonly Ranked[] {
  const keys = new Map<string, Ranked>();
  for (const one of lists.flat()) keys.set(one.key, { ...one, count: one.count + (keys.get(one.key)?.count ?? 0) });
  return [...keys.values()].sort((a, b) => b.count - a.count).slice(0, RANKED);
}

/** The same value in two memories is one large value. */
function largestOf(all: readonly Ranked[]): readonly Ranked[] {
  const keys = new Map<string, Ranked>();
  for (const one of all) if (one.count > (keys.get(one.key)?.count ?? 0)) keys.set(one.key, one);
  return [...keys.values()].sort((a, b) => b.count - a.count).slice(0, RANKED);
}

function told<T extends object>(of: (report: ProcessReport) => readonly T[]): (report: ProcessReport) => Told<T>[] {
  return (report) => of(report).map((one) => ({ ...one, process: report.process.name }));
}

function addRecords<K extends string>(parts: readonly Partial<Record<K, number>>[]): Partial<Record<K, number>> {
  const total: Partial<Record<K, number>> = {};
  for (const part of parts)
    for (const name of Object.keys(part) as K[]) total[name] = (total[name] ?? 0) + (part[name] ?? 0);
  return total;
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}

function median(all: readonly number[]): number | undefined {
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
}
