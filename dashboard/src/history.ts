import type { ProcessReport } from "../../src/admin/report.js";
import type { ReadStats } from "../../src/stats.js";
import type { TimeCounts } from "../../src/time-histogram.js";

/** What happened in one process between two of its reports, per second. */
export interface Rates {
  readonly gets: number;
  readonly memory: number;
  readonly shared: number;
  readonly stale: number;
  readonly misses: number;
  readonly loads: number;
  readonly loadMilliseconds: number;
  readonly coalesced: number;
}

interface Tick {
  readonly at: number;
  readonly total: Rates;
  readonly entities: ReadonlyMap<string, Rates>;
}

const KEPT = 600;
/** Entities whose lines are kept, of each process. */
const ENTITIES = 16;
const NOTHING: Rates = {
  gets: 0,
  memory: 0,
  shared: 0,
  stale: 0,
  misses: 0,
  loads: 0,
  loadMilliseconds: 0,
  coalesced: 0,
};
const FIELDS = Object.keys(NOTHING) as (keyof Rates)[];

/** The last ten minutes of each process, as this page has seen them. */
export class History {
  readonly #last = new Map<string, ProcessReport>();
  readonly #ticks = new Map<string, Tick[]>();
  readonly #took = new Map<string, { at: number; shared: TimeCounts; loads: TimeCounts }[]>();

  add(report: ProcessReport): void {
    const { id } = report.process;
    const before = this.#last.get(id);
    if (before !== undefined && report.at <= before.at) return;
    this.#last.set(id, report);
    const took = this.#took.get(id) ?? [];
    took.push({ at: report.at, ...report.stats.took });
    this.#took.set(id, took.slice(-90));
    if (before === undefined) return;
    const seconds = (report.at - before.at) / 1_000;
    const entities = Object.entries(report.stats.entities)
      .sort(([, a], [, b]) => b.gets - a.gets)
      .slice(0, ENTITIES)
      .map(([name, stats]) => [name, between(before.stats.entities[name], stats, seconds)] as const);
    const tick = {
      at: report.at,
      total: between(before.stats.total, report.stats.total, seconds),
      entities: new Map(entities),
    };
    const ticks = this.#ticks.get(id) ?? [];
    ticks.push(tick);
    this.#ticks.set(id, ticks.length > KEPT ? ticks.slice(-KEPT) : ticks);
  }

  /** By the second, of these processes together; of one entity, or of all. */
  series(
    ids: readonly string[],
    entity: string | undefined,
    seconds: number,
    now: number,
  ): { readonly at: readonly number[]; readonly rates: readonly Rates[] } {
    const end = Math.floor(now / 1_000);
    const start = end - seconds + 1;
    const sums: (Rates | undefined)[] = Array.from({ length: seconds });
    for (const id of ids) {
      const ticks = this.#ticks.get(id) ?? [];
      let cursor = Math.max(
        0,
        ticks.findIndex(({ at }) => at / 1_000 >= start),
      );
      for (let second = 0; second < seconds; second += 1) {
        const until = (start + second + 1) * 1_000;
        while (cursor < ticks.length - 1 && (ticks[cursor]?.at ?? 0) < until - 1_000) cursor += 1;
        const tick = ticks[cursor];
        // Others report every two seconds: a tick holds until the next, and not longer than a little while.
        if (tick === undefined || tick.at >= until + 2_000 || tick.at < until - 5_000) continue;
        const rates = entity === undefined ? tick.total : (tick.entities.get(entity) ?? NOTHING);
        sums[second] = add(sums[second] ?? NOTHING, rates);
      }
    }
    const from = sums.findIndex((one) => one !== undefined);
    if (from === -1) return { at: [], rates: [] };
    return {
      at: sums.slice(from).map((_, second) => start + from + second),
      rates: sums.slice(from).map((one) => one ?? NOTHING),
    };
  }

  /** The mean of the last few seconds. */
  recent(ids: readonly string[], entity: string | undefined, now: number, seconds = 10): Rates {
    const { rates } = this.series(ids, entity, seconds, now);
    if (rates.length === 0) return NOTHING;
    return scale(sumOf(rates), 1 / rates.length);
  }

  /** How long things took in the last minute or so; since the start, where this page has seen less. */
  took(ids: readonly string[], what: "shared" | "loads"): TimeCounts {
    const total: number[] = [];
    for (const id of ids) {
      const kept = this.#took.get(id) ?? [];
      const last = kept.at(-1)?.[what] ?? [];
      const first = kept.length > 5 ? (kept.find(({ at }) => at > (kept.at(-1)?.at ?? 0) - 60_000)?.[what] ?? []) : [];
      const isIdle = last.every((count, bucket) => count === (first[bucket] ?? 0));
      for (const [bucket, count] of last.entries())
        total[bucket] = (total[bucket] ?? 0) + count - (isIdle ? 0 : (first[bucket] ?? 0));
    }
    return Array.from(total, (count) => count ?? 0);
  }

  clear(): void {
    this.#last.clear();
    this.#ticks.clear();
    this.#took.clear();
  }
}

function between(before: ReadStats | undefined, after: ReadStats, seconds: number): Rates {
  const a = before && counts(before);
  const b = counts(after);
  // A process that began again counts from nothing.
  return map((field) => Math.max(0, b[field] - (a?.[field] ?? 0)) / seconds);
}

function counts(stats: ReadStats): Rates {
  return {
    gets: stats.gets,
    memory: stats.hits.memory,
    shared: stats.hits.shared,
    stale: stats.staleHits,
    misses: stats.misses,
    loads: stats.loads,
    loadMilliseconds: stats.loadMilliseconds,
    coalesced: stats.coalesced.process + stats.coalesced.cluster,
  };
}

export function sumOf(rates: readonly Rates[]): Rates {
  return rates.reduce(add, NOTHING);
}

function add(a: Rates, b: Rates): Rates {
  return map((field) => a[field] + b[field]);
}

function scale(rates: Rates, by: number): Rates {
  return map((field) => rates[field] * by);
}

function map(of: (field: keyof Rates) => number): Rates {
  return Object.fromEntries(FIELDS.map((field) => [field, of(field)])) as unknown as Rates;
}
