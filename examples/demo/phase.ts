import type { Database } from "../tracker/database.js";
import type { Random } from "../tracker/random.js";
import { Connection } from "./connection.js";
import type { Histogram } from "./histogram.js";
import { Load } from "./load.js";
import { addCounters, NO_COUNTERS, subtractCounters, type FeedRole, type WorkerCounters } from "./messages.js";
import { DELETED, type Bounds, type StalenessChecker, type StaleReport } from "./staleness.js";
import type { WorkerProcess } from "./worker-process.js";
import type { Workload } from "./workload.js";

export interface PhaseOptions {
  readonly duration: number;
  /** Milliseconds at its beginning that are not measured: code is being compiled and caches are cold. */
  readonly warmUp: number;
  readonly workers: readonly WorkerProcess[];
  readonly database: Database;
  readonly connections: number;
  readonly workload: Workload;
  readonly readKey: (() => number | Promise<number>) | undefined;
  readonly outOfBand: number;
  readonly random: Random;
  readonly checker: StalenessChecker;
  readonly bounds: Bounds;
  /** Rejects when the demo is to end: Ctrl-C, or something crashed. */
  readonly aborted: Promise<never>;
  /** Hears what happened in the last second. */
  readonly onSecond: (second: Second) => void;
}

export interface Second {
  /** Seconds since the phase began. */
  readonly at: number;
  readonly seconds: number;
  readonly latency: Histogram;
  readonly counters: WorkerCounters;
  readonly stale: StaleReport;
  readonly errors: number;
}

export interface WrongAfterQuiet {
  /** Answers compared: every row written last, in every worker. */
  readonly checked: number;
  /** Answers that were not the database's row, by whose write they miss. */
  readonly api: number;
  readonly outOfBand: number;
}

/** What was measured after the warm-up; staleness and errors are of the whole phase. */
export interface PhaseResult {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly requests: number;
  readonly writes: number;
  readonly outOfBandWrites: number;
  readonly errors: number;
  readonly errorMessages: readonly string[];
  readonly latency: Histogram;
  readonly counters: WorkerCounters;
  /** What each worker was to the feed of changes at the end; empty without the cache. */
  readonly feed: readonly FeedRole[];
  readonly bounds: Bounds;
  readonly stale: StaleReport;
  readonly wrongAfterQuiet: WrongAfterQuiet;
}

/** Beyond what the bounds allow, in milliseconds. */
const QUIET = 500;
/** Rows compared after the load, the last written. */
const MAX_COMPARED = 2_000;
const COMPARING_CONNECTIONS = 8;

/** Drives the workers for a while, lets them come to rest, and compares what they then answer with the database. */
export async function runPhase(options: PhaseOptions): Promise<PhaseResult> {
  const { workers, checker, aborted } = options;
  checker.restart(options.bounds);
  const load = new Load({ ...options, ports: workers.map((worker) => worker.port) });
  const stopWatching = watch(load, options);
  const running = load.run();
  let before: WorkerCounters;
  let measuredFrom: number;
  try {
    await Promise.race([running, sleep(options.warmUp), aborted]);
    before = await Promise.race([totalOf(workers), aborted]);
    load.beginMeasuring();
    measuredFrom = performance.now();
    await Promise.race([running, sleep(options.duration - options.warmUp), aborted]);
  } finally {
    load.stop();
    stopWatching();
  }
  await Promise.race([running, aborted]);
  const seconds = (performance.now() - measuredFrom) / 1_000;
  const counters = subtractCounters(await Promise.race([totalOf(workers), aborted]), before);
  const stale = checker.report();
  await Promise.race([sleep(QUIET + Math.max(options.bounds.otherWorker, options.bounds.outOfBand)), aborted]);
  const wrongAfterQuiet = await Promise.race([compareAll(options), aborted]);
  return {
    seconds,
    warmUpSeconds: options.warmUp / 1_000,
    requests: load.requests,
    writes: load.writes,
    outOfBandWrites: load.outOfBandWrites,
    errors: load.errors,
    errorMessages: [...load.messages, ...workers.flatMap((worker) => worker.errors)].slice(0, 5),
    latency: load.latency,
    counters,
    feed: workers.map(({ feed }) => feed).filter((role) => role !== undefined),
    bounds: options.bounds,
    stale,
    wrongAfterQuiet,
  };
}

function watch(load: Load, { workers, checker, onSecond }: PhaseOptions): () => void {
  const startedAt = performance.now();
  let last = NO_COUNTERS;
  let lastAt = startedAt;
  const timer = setInterval(() => {
    const now = performance.now();
    const counters = workers.map((worker) => worker.counters).reduce(addCounters, NO_COUNTERS);
    onSecond({
      at: (now - startedAt) / 1_000,
      seconds: (now - lastAt) / 1_000,
      latency: load.window,
      counters: subtractCounters(counters, last),
      stale: checker.report(),
      errors: load.errors,
    });
    load.window.clear();
    last = counters;
    lastAt = now;
  }, 1_000);
  return () => clearInterval(timer);
}

async function totalOf(workers: readonly WorkerProcess[]): Promise<WorkerCounters> {
  const reports = await Promise.all(workers.map((worker) => worker.report()));
  return reports.reduce(addCounters, NO_COUNTERS);
}

async function compareAll({ workers, checker, database, workload }: PhaseOptions): Promise<WrongAfterQuiet> {
  const ids = checker
    .recent(MAX_COMPARED * 2)
    .filter((row) => row > 0)
    .slice(0, MAX_COMPARED);
  const rows = await database.query<{ id: number; version: number; tenantId: string }>(
    `select id, version, tenant_id as "tenantId" from issues where id = any($1::int[])`,
    [ids],
  );
  const current = new Map(rows.map((row) => [row.id, row]));
  const wrong = { checked: 0, api: 0, outOfBand: 0 };
  for (const worker of workers) {
    const waiting = [...ids];
    const compareSome = async (): Promise<void> => {
      const connection = new Connection(worker.port);
      try {
        for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
          const row = current.get(id);
          const tenant = row?.tenantId ?? workload.tenantOfIssue(id);
          const expected = row?.version ?? DELETED;
          const answered = tenant === "" ? expected : await versionOf(connection, tenant, id, expected);
          wrong.checked += 1;
          if (answered !== expected) {
            wrong[checker.blame(id, answered, expected) === "api" ? "api" : "outOfBand"] += 1;
          }
        }
      } finally {
        connection.close();
      }
    };
    await Promise.all(Array.from({ length: COMPARING_CONNECTIONS }, compareSome));
  }
  return wrong;
}

/** The version the worker answers; for "not found" that of a deleted row where that is right, else that of one not yet there. */
async function versionOf(connection: Connection, tenant: string, id: number, expected: number): Promise<number> {
  const answer = await connection.request("GET", `/tenants/${tenant}/issues/${id}`);
  if (answer.status === 404) {
    return expected === DELETED ? DELETED : 0;
  }
  return answer.status === 200 ? (JSON.parse(answer.body.toString("utf8")) as { version: number }).version : Number.NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
