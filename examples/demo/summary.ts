import type { Flags } from "./flags.js";
import type { FeedRole, SharedPlace, WorkerCounters } from "./messages.js";
import type { PhaseResult, WrongAfterQuiet } from "./phase.js";
import type { StaleReport } from "./staleness.js";

export type SharedTierKind = SharedPlace["kind"];

/** Shares of the reads of cached things, by who answered; they add up to 1. */
export interface HitRatios {
  readonly memory: number;
  readonly shared: number;
  readonly source: number;
}

/** What one phase came to. Latencies in milliseconds. */
export interface PhaseSummary {
  readonly seconds: number;
  /** Before what was measured. `stale`, `wrongAfterQuiet` and `errors` are of both. */
  readonly warmUpSeconds: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  readonly sourceQueries: number;
  readonly sourceQueriesPerRequest: number;
  /** `null` without the cache. */
  readonly hitRatio: HitRatios | null;
  readonly coalescedLoads: number;
  readonly writes: { readonly api: number; readonly outOfBand: number };
  readonly errors: number;
  readonly errorMessages: readonly string[];
  readonly workerCpuSeconds: number;
  /** Of changes; `null` without the cache. `maxStalenessMs`: how late an answer may be at the most, whoever wrote. */
  readonly feed: { readonly maxStalenessMs: number; readonly workers: readonly FeedRole[] } | null;
  readonly stale: StaleReport;
  readonly wrongAfterQuiet: WrongAfterQuiet;
}

export interface Summary {
  readonly schemaVersion: 1;
  readonly settings: {
    readonly seed: number;
    readonly issues: number;
    readonly connections: number;
    readonly workers: number;
    readonly sharedTier: SharedTierKind | null;
    readonly keys: "zipf" | "trace";
    readonly tracePasses: number;
    readonly writes: number;
    readonly outOfBand: number;
  };
  readonly without: PhaseSummary;
  readonly with: PhaseSummary | null;
}

export function summarizePhase(result: PhaseResult, cached: boolean): PhaseSummary {
  const { latency, counters, requests, seconds } = result;
  return {
    seconds: rounded(seconds, 2),
    warmUpSeconds: rounded(result.warmUpSeconds, 2),
    requests,
    requestsPerSecond: rounded(requests / seconds, 1),
    latencyMs: {
      p50: rounded(latency.percentile(0.5), 3),
      p95: rounded(latency.percentile(0.95), 3),
      p99: rounded(latency.percentile(0.99), 3),
      max: rounded(latency.max, 3),
    },
    sourceQueries: counters.sourceQueries,
    sourceQueriesPerRequest: rounded(ratio(counters.sourceQueries, requests), 4),
    hitRatio: cached ? hitRatios(counters) : null,
    coalescedLoads: counters.coalesced,
    writes: { api: result.writes, outOfBand: result.outOfBandWrites },
    errors: result.errors,
    errorMessages: result.errorMessages,
    workerCpuSeconds: rounded(counters.cpuMs / 1_000, 2),
    feed: cached ? { maxStalenessMs: result.bounds.outOfBand, workers: result.feed } : null,
    stale: {
      ...result.stale,
      largestStalenessMs: rounded(result.stale.largestStalenessMs, 1),
      largestByWriterMs: roundedBoth(result.stale),
    },
    wrongAfterQuiet: result.wrongAfterQuiet,
  };
}

/** Stale answers of the cache count with the tier that holds them: memory. */
export function hitRatios({ gets, memoryHits, sharedHits, staleHits }: WorkerCounters): HitRatios {
  const memory = rounded(ratio(memoryHits + staleHits, gets), 4);
  const shared = rounded(ratio(sharedHits, gets), 4);
  return { memory, shared, source: rounded(gets === 0 ? 0 : 1 - memory - shared, 4) };
}

/** Whether what was measured is what the cache promises, and if not, what is not. */
export function brokenPromises(summary: Summary): readonly string[] {
  const broken: string[] = [];
  for (const [name, phase] of [
    ["without", summary.without],
    ["with", summary.with],
  ] as const) {
    if (phase === null) {
      continue;
    }
    if (phase.errors > 0) {
      broken.push(`${name} the cache: ${phase.errors} requests failed (${phase.errorMessages[0] ?? "no message"})`);
    }
    if (phase.stale.unexplained > 0) {
      broken.push(
        `${name} the cache: ${phase.stale.unexplained} stale reads beyond the bound; ${phase.stale.examples.join("; ")}`,
      );
    }
    if (phase.wrongAfterQuiet.api > 0) {
      broken.push(
        `${name} the cache: ${phase.wrongAfterQuiet.api} answers still miss a write through the API after a rest`,
      );
    }
    if (phase.wrongAfterQuiet.outOfBand > 0) {
      broken.push(
        `${name} the cache: ${phase.wrongAfterQuiet.outOfBand} answers still miss a write past the API after a rest`,
      );
    }
  }
  return broken;
}

export function formatSummary(summary: Summary): string {
  const columns = summary.with === null ? [summary.without] : [summary.without, summary.with];
  const rows = linesOf(summary.settings.sharedTier).map(([label, show]) => [label, ...columns.map(show)]);
  const head = ["", "without cache", "with cache"].slice(0, columns.length + 1);
  const table = formatTable([head, ...rows]);
  return [table, "", ...remarks(summary)].join("\n");
}

type Line = readonly [label: string, show: (phase: PhaseSummary) => string];

const SHARED_NAMES: Readonly<Record<SharedTierKind, string>> = { redis: "Redis", host: "the host tier" };

function linesOf(sharedTier: SharedTierKind | null): readonly Line[] {
  const shared: Line = [
    `answered from ${SHARED_NAMES[sharedTier ?? "redis"]}`,
    (phase) => (phase.hitRatio === null ? "-" : percent(phase.hitRatio.shared)),
  ];
  return [...LINES_BEFORE, shared, ...LINES_AFTER];
}

const LINES_BEFORE: readonly Line[] = [
  ["requests", (phase) => `${whole(phase.requests)} in ${phase.seconds.toFixed(1)} s`],
  ["requests/s", (phase) => whole(phase.requestsPerSecond)],
  ["latency p50", (phase) => milliseconds(phase.latencyMs.p50)],
  ["latency p95", (phase) => milliseconds(phase.latencyMs.p95)],
  ["latency p99", (phase) => milliseconds(phase.latencyMs.p99)],
  ["latency max", (phase) => milliseconds(phase.latencyMs.max)],
  ["source queries", (phase) => whole(phase.sourceQueries)],
  ["source queries per request", (phase) => phase.sourceQueriesPerRequest.toFixed(3)],
  ["answered from memory", (phase) => (phase.hitRatio === null ? "-" : percent(phase.hitRatio.memory))],
];

const LINES_AFTER: readonly Line[] = [
  ["answered from the source", (phase) => (phase.hitRatio === null ? "all" : percent(phase.hitRatio.source))],
  ["coalesced loads", (phase) => whole(phase.coalescedLoads)],
  ["CPU seconds of the workers", (phase) => phase.workerCpuSeconds.toFixed(1)],
  ["writes through the API", (phase) => whole(phase.writes.api)],
  ["writes past the API", (phase) => whole(phase.writes.outOfBand)],
  ["errors", (phase) => whole(phase.errors)],
  ["reads checked for staleness", (phase) => whole(phase.stale.checked)],
  [
    "stale, written past the API",
    (phase) => staleCell(phase.stale.explained.outOfBand, phase.stale.largestByWriterMs["out-of-band"]),
  ],
  [
    "stale, written through the other worker",
    (phase) => staleCell(phase.stale.explained.withinBound, phase.stale.largestByWriterMs.api),
  ],
  ["stale, beyond the bound", (phase) => whole(phase.stale.unexplained)],
  ["wrong after rest, of answers compared", (phase) => whole(phase.wrongAfterQuiet.checked)],
  ["  written through the API", (phase) => whole(phase.wrongAfterQuiet.api)],
  ["  written past the API", (phase) => whole(phase.wrongAfterQuiet.outOfBand)],
];

function remarks({ without, with: cached, settings }: Summary): string[] {
  if (cached === null) {
    return [];
  }
  const lines = [
    `Measured after a warm-up of ${without.warmUpSeconds.toFixed(1)} s and ${cached.warmUpSeconds.toFixed(1)} s. Staleness and errors are of all of it.`,
    `The cache answers ${times(cached.requestsPerSecond, without.requestsPerSecond)} the requests per second with ` +
      `${percent(ratio(cached.sourceQueriesPerRequest, without.sourceQueriesPerRequest))} of the queries per request.`,
  ];
  if (cached.feed !== null && cached.writes.outOfBand > 0) {
    const { maxStalenessMs, workers } = cached.feed;
    const late = cached.stale.largestByWriterMs["out-of-band"];
    lines.push(
      `The database's log tells the workers of every changed row, whoever changed it${rolesText(workers)}.`,
      `An answer may miss what plain SQL wrote for ${milliseconds(maxStalenessMs)} at the most, whatever breaks; the latest one did for ${milliseconds(late)}.`,
      "Source queries are those of requests: the feed's own, and the refreshes of the analytics view, come on top.",
    );
  }
  if (settings.sharedTier === null) {
    lines.push("No Redis and no host tier: one worker with its memory tier only.");
  }
  if (settings.sharedTier === "host") {
    lines.push("No Redis: two workers that share a host tier, a file of this machine.");
  }
  if (settings.tracePasses > 0) {
    lines.push(
      `The trace was read to its end ${settings.tracePasses} time${settings.tracePasses === 1 ? "" : "s"} and begun again.`,
    );
  }
  return lines;
}

function rolesText(workers: readonly FeedRole[]): string {
  const isShared = workers.includes("leader") && workers.includes("standby");
  return isShared ? " (one worker reads it, the other stands by)" : "";
}

/** Columns padded to their widest cell: text on the left, figures on the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function settingsOf(
  flags: Flags,
  workers: number,
  sharedTier: SharedTierKind | null,
  tracePasses: number,
): Summary["settings"] {
  return {
    seed: flags.seed,
    issues: flags.issues,
    connections: flags.connections,
    workers,
    sharedTier,
    keys: flags.trace === undefined ? "zipf" : "trace",
    tracePasses,
    writes: flags.writes,
    outOfBand: flags.outOfBand,
  };
}

function staleCell(count: number, largestMs: number): string {
  return count === 0 ? "0" : `${whole(count)}, up to ${milliseconds(largestMs)}`;
}

function times(a: number, b: number): string {
  return b === 0 ? "-" : `${(a / b).toFixed(1)} times`;
}

export function ratio(part: number, of: number): number {
  return of === 0 ? 0 : part / of;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export function milliseconds(ms: number): string {
  return ms >= 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(2)} ms`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function roundedBoth({ largestByWriterMs }: StaleReport): StaleReport["largestByWriterMs"] {
  return { api: rounded(largestByWriterMs.api, 1), "out-of-band": rounded(largestByWriterMs["out-of-band"], 1) };
}
