import type { ProcessReport } from "../admin/report.js";
import type { ReadStats } from "../stats.js";

/** What happened a second, between two reports. */
export interface Rate {
  readonly reads: number;
  readonly misses: number;
  readonly stale: number;
  readonly loads: number;
  readonly failures: number;
  /** Milliseconds of a load; 0 without any. */
  readonly loadTime: number;
  /** (reads − misses) / reads; 0 without any. */
  readonly hitRatio: number;
}

export interface Rates {
  readonly total: Rate;
  readonly entities: Readonly<Record<string, Rate>>;
}

type Counts = Readonly<Record<"reads" | "misses" | "stale" | "loads" | "failures" | "milliseconds", number>>;

const NONE: Counts = { reads: 0, misses: 0, stale: 0, loads: 0, failures: 0, milliseconds: 0 };

/**
 * Rates of all processes together. Each process is taken over its own time: they report at different moments. One that was
 * not there before, or has reported nothing new, counts nothing.
 */
export function ratesBetween(before: readonly ProcessReport[], after: readonly ProcessReport[]): Rates {
  const known = new Map(before.map((report) => [report.process.id, report]));
  const totals: Counts[] = [];
  const entities = new Map<string, Counts[]>();
  for (const report of after) {
    const earlier = known.get(report.process.id);
    const seconds = earlier === undefined ? 0 : (report.at - earlier.at) / 1_000;
    if (earlier === undefined || !(seconds > 0)) continue;
    totals.push(perSecond(earlier.stats.total, report.stats.total, seconds));
    for (const [name, stats] of Object.entries(report.stats.entities)) {
      const part = perSecond(earlier.stats.entities[name], stats, seconds);
      entities.set(name, [...(entities.get(name) ?? []), part]);
    }
  }
  return {
    total: rateOf(totals),
    entities: Object.fromEntries(Array.from(entities, ([name, parts]) => [name, rateOf(parts)])),
  };
}

function perSecond(before: ReadStats | undefined, after: ReadStats, seconds: number): Counts {
  const of = (count: (stats: ReadStats) => number): number =>
    Math.max(0, count(after) - (before === undefined ? 0 : count(before))) / seconds;
  return {
    reads: of(({ gets }) => gets),
    misses: of(({ misses }) => misses),
    stale: of(({ staleHits }) => staleHits),
    loads: of(({ loads }) => loads),
    failures: of(({ loadFailures }) => loadFailures),
    milliseconds: of(({ loadMilliseconds }) => loadMilliseconds),
  };
}

function rateOf(parts: readonly Counts[]): Rate {
  const { milliseconds, ...sum } = parts.reduce<Counts>(
    (total, part) => ({
      reads: total.reads + part.reads,
      misses: total.misses + part.misses,
      stale: total.stale + part.stale,
      loads: total.loads + part.loads,
      failures: total.failures + part.failures,
      milliseconds: total.milliseconds + part.milliseconds,
    }),
    NONE,
  );
  return {
    ...sum,
    loadTime: sum.loads === 0 ? 0 : milliseconds / sum.loads,
    hitRatio: sum.reads === 0 ? 0 : (sum.reads - sum.misses) / sum.reads,
  };
}
