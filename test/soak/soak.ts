import { readCatalog } from "../../examples/demo/catalog.js";
import { Cleanup } from "../../examples/demo/cleanup.js";
import { runPhase, type PhaseResult } from "../../examples/demo/phase.js";
import { StalenessChecker } from "../../examples/demo/staleness.js";
import { WorkerProcess } from "../../examples/demo/worker-process.js";
import { Workload } from "../../examples/demo/workload.js";
import { MAX_STALENESS } from "../../examples/tracker/cached.js";
import { createDataset } from "../../examples/tracker/dataset.js";
import { openDatabase } from "../../examples/tracker/database.js";
import { seededRandom } from "../../examples/tracker/random.js";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { startRedis } from "../support/redis-server.js";
import { STRIKES, type SoakWorld, type Strike } from "./strikes.js";

export interface SoakOptions {
  readonly episodes: number;
  /** Milliseconds of load in each. */
  readonly episode: number;
  readonly issues: number;
  readonly seed: number;
  readonly onEpisode: (result: EpisodeResult) => void;
}

export interface EpisodeResult {
  readonly number: number;
  readonly strike: string;
  readonly requests: number;
  /** Requests that were answered with an error, or not at all. */
  readonly failed: number;
  /** Answers older than the bound, or than the same process's own write. */
  readonly beyondBound: number;
  /** Answers that are not the database's row once all is quiet. */
  readonly wrongAfterQuiet: number;
  /** Milliseconds: the oldest answer that was within its bound. */
  readonly stalest: number;
  /** What lives in each process's heap at its end, in bytes; processes are numbered as they began. */
  readonly heaps: readonly { readonly process: number; readonly bytes: number }[];
  readonly examples: readonly string[];
}

const WORKERS = 2;

/**
 * The demo's API under its load, episode by episode, each with a fault in it and a comparison with the database behind it. A
 * process that ends by itself (nothing catches what nobody handles) makes it reject.
 */
export async function soak(options: SoakOptions): Promise<readonly EpisodeResult[]> {
  const cleanup = new Cleanup();
  try {
    return await run(options, cleanup);
  } finally {
    await cleanup.run();
  }
}

async function run(options: SoakOptions, cleanup: Cleanup): Promise<readonly EpisodeResult[]> {
  const server = await startPostgres({ settings: { synchronous_commit: "on" } });
  cleanup.add("stop PostgreSQL", () => server.stop());
  const redis = await startRedis();
  cleanup.add("stop Redis", () => redis.stop());
  const database = openDatabase(server.url, { connections: 8 });
  cleanup.add("close the connections", () => database.close());
  await createDataset(database, { seed: options.seed, issues: options.issues }, () => undefined);
  const ended = new AbortController();
  const aborted = new Promise<never>((_, reject) =>
    ended.signal.addEventListener("abort", () => reject(ended.signal.reason as Error), { once: true }),
  );
  aborted.catch(() => undefined);
  const workers: WorkerProcess[] = [];
  const begun: WorkerProcess[] = [];
  cleanup.add("stop the processes", async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  });
  const startWorker = async (): Promise<void> => {
    const shared = { kind: "redis", url: redis.url } as const;
    const cache = { name: "soak", slot: "tiercache_soak", shared, assets: undefined };
    const worker = await WorkerProcess.start({ databaseUrl: server.url, schema: undefined, cache });
    workers.push(worker);
    begun.push(worker);
    void worker.exited.then((how) => {
      if (workers.includes(worker)) ended.abort(new Error(`A process ended by itself (${how})`));
    });
  };
  for (let count = 0; count < WORKERS; count += 1) await startWorker();
  const world: SoakWorld = {
    redis,
    postgres: server.url,
    async replaceWorker() {
      // The youngest: the first lives from the first episode to the last, and shows whether its memory grows.
      await workers.pop()?.kill();
      await startWorker();
    },
  };
  const workload = new Workload({
    catalog: await readCatalog(database),
    random: seededRandom(options.seed + 1),
    writes: 0.02,
  });
  const checker = new StalenessChecker({ otherWorker: MAX_STALENESS, outOfBand: MAX_STALENESS });
  const weigh = async (): Promise<EpisodeResult["heaps"]> =>
    Promise.all(workers.map(async (worker) => ({ process: begun.indexOf(worker), bytes: await worker.weigh() })));
  const results: EpisodeResult[] = [];
  for (let number = 1; number <= options.episodes; number += 1) {
    const strike = STRIKES[(number - 1) % STRIKES.length] as Strike;
    if (strike.isBetween === true) await strike.strike(world);
    const struck =
      strike.isBetween === true ? Promise.resolve() : later(options.episode / 3, () => strike.strike(world));
    // Whoever waits for it hears of it below; until then the load runs.
    struck.catch(() => undefined);
    const phase = await runPhase({
      duration: options.episode,
      warmUp: 0,
      workers,
      database,
      connections: 16,
      workload,
      readKey: undefined,
      outOfBand: 0.01,
      random: seededRandom(options.seed + 1 + number),
      checker,
      bounds: { otherWorker: MAX_STALENESS, outOfBand: MAX_STALENESS },
      aborted,
      onSecond: () => undefined,
    });
    await struck;
    const result = resultOf(number, strike.name, phase, await weigh());
    results.push(result);
    options.onEpisode(result);
  }
  return results;
}

function resultOf(number: number, strike: string, phase: PhaseResult, heaps: EpisodeResult["heaps"]): EpisodeResult {
  const { stale, wrongAfterQuiet } = phase;
  return {
    number,
    strike,
    requests: phase.requests,
    failed: phase.errors,
    beyondBound: stale.unexplained,
    wrongAfterQuiet: wrongAfterQuiet.api + wrongAfterQuiet.outOfBand,
    stalest: stale.largestStalenessMs,
    heaps,
    examples: [...stale.examples, ...phase.errorMessages],
  };
}

async function later(milliseconds: number, act: () => Promise<void>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  await act();
}

/**
 * How much more lives in a process's heap at the end of its life than in the middle of it, as a ratio; the largest of all processes that
 * lived for eight episodes or more, `NaN` when none did. In the first half they still fill.
 */
export function heapGrowth(results: readonly EpisodeResult[]): number {
  const lives = new Map<number, number[]>();
  for (const { process, bytes } of results.flatMap(({ heaps }) => heaps)) {
    lives.set(process, [...(lives.get(process) ?? []), bytes]);
  }
  const ratios = [...lives.values()]
    .filter((life) => life.length >= 8)
    .map((life) => (life.at(-1) ?? Number.NaN) / (life[life.length >> 1] ?? Number.NaN));
  return ratios.length === 0 ? Number.NaN : Math.max(...ratios);
}
