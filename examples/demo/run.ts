import { dashboardAssets } from "../../scripts/build-dashboard.js";
import type { Database } from "../tracker/database.js";
import { createDataset } from "../tracker/dataset.js";
import { openDatabase } from "../tracker/database.js";
import { seededRandom } from "../tracker/random.js";
import { readCatalog } from "./catalog.js";
import type { Cleanup } from "./cleanup.js";
import type { Flags } from "./flags.js";
import type { LiveView } from "./live.js";
import { runPhase } from "./phase.js";
import { startServers, type Servers } from "./servers.js";
import { StalenessChecker, type Bounds } from "./staleness.js";
import { settingsOf, summarizePhase, type PhaseSummary, type Summary } from "./summary.js";
import { entityOf, TraceKeys } from "./trace.js";
import { WorkerProcess } from "./worker-process.js";
import { Workload, type Catalog } from "./workload.js";

export interface RunOptions {
  readonly flags: Flags;
  readonly env: NodeJS.ProcessEnv;
  readonly view: LiveView;
  /** Undoes whatever this starts; run by the caller, however this ends. */
  readonly cleanup: Cleanup;
  /** Aborted by Ctrl-C; the run then rejects with its reason. */
  readonly stop: AbortController;
}

/** Without a cache nothing may be stale. */
const NOTHING_STALE: Bounds = { otherWorker: 0, outOfBand: 0 };
/** The phase without the cache: a share of the time, at least this long, at most half. */
const SHARE_WITHOUT = 0.25;
const SHORTEST_WITHOUT = 3_000;
/** The share of each phase that is not measured. */
const SHARE_WARM_UP = 1 / 3;

/** Starts everything, measures both phases, and says what came of it. What it started is for `cleanup` to stop. */
export async function runDemo(options: RunOptions): Promise<Summary> {
  const { flags, env, view, cleanup, stop } = options;
  const servers = await startServers(
    { env, cleanup, say: (line) => view.say(line), onCrash: (what) => stop.abort(new Error(what)) },
    flags.cache,
  );
  stop.signal.throwIfAborted();
  const database = openDatabase(servers.databaseUrl, { schema: servers.schema, connections: 8 });
  cleanup.add("close the driver's connections", () => database.close());
  await fill(options, database);
  const demo = new Demo(options, servers, database, await readCatalog(database));
  cleanup.add("stop the workers", () => demo.stopWorkers());
  cleanup.add("close the trace", () => demo.closeTrace());
  return demo.run();
}

async function fill({ flags, view, stop }: RunOptions, database: Database): Promise<void> {
  const startedAt = performance.now();
  const { issues, seed } = flags;
  const size = { seed, issues };
  await createDataset(database, size, (done) => {
    stop.signal.throwIfAborted();
    view.progress(`Filling the tracker: ${done.toLocaleString("en-US")} of ${issues.toLocaleString("en-US")} issues`);
  });
  view.say(
    `Filled the tracker: ${issues.toLocaleString("en-US")} issues in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`,
  );
}

class Demo {
  readonly #options: RunOptions;
  readonly #servers: Servers;
  readonly #database: Database;
  readonly #catalog: Catalog;
  readonly #checker = new StalenessChecker(NOTHING_STALE);
  readonly #aborted: Promise<never>;
  #workers: WorkerProcess[] = [];
  #starting: Promise<unknown> | undefined;
  #trace: TraceKeys | undefined;
  #tracePasses = 0;

  constructor(options: RunOptions, servers: Servers, database: Database, catalog: Catalog) {
    this.#options = options;
    this.#servers = servers;
    this.#database = database;
    this.#catalog = catalog;
    const { signal } = options.stop;
    this.#aborted = new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
    );
    this.#aborted.catch(() => undefined);
  }

  async run(): Promise<Summary> {
    const { flags } = this.#options;
    const short = Math.min(flags.duration / 2, Math.max(SHORTEST_WITHOUT, flags.duration * SHARE_WITHOUT));
    const without = await this.#phase(false, flags.cache ? short : flags.duration);
    const cached = flags.cache ? await this.#phase(true, flags.duration - short) : null;
    const settings = settingsOf(flags, this.#workerCount(), this.#servers.shared?.kind ?? null, this.#tracePasses);
    return { schemaVersion: 1, settings, without, with: cached };
  }

  async stopWorkers(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const workers = this.#workers;
    this.#workers = [];
    await Promise.all(workers.map((worker) => worker.stop()));
  }

  async closeTrace(): Promise<void> {
    await this.#trace?.close();
  }

  async #phase(cached: boolean, duration: number): Promise<PhaseSummary> {
    const { flags, view } = this.#options;
    this.#options.stop.signal.throwIfAborted();
    await this.#startWorkers(cached);
    // From its beginning in each phase, so that both read the same keys.
    const trace = flags.trace === undefined ? undefined : new TraceKeys(flags.trace);
    this.#trace = trace;
    // The same seed for both phases: they draw the same requests.
    const result = await runPhase({
      duration,
      warmUp: duration * SHARE_WARM_UP,
      workers: this.#workers,
      database: this.#database,
      connections: flags.connections,
      workload: new Workload({ catalog: this.#catalog, random: seededRandom(flags.seed + 1), writes: flags.writes }),
      readKey: trace === undefined ? undefined : () => issueOf(trace, flags.issues),
      outOfBand: flags.outOfBand,
      random: seededRandom(flags.seed + 2),
      checker: this.#checker,
      bounds: cached ? await this.#bounds() : NOTHING_STALE,
      aborted: this.#aborted,
      onSecond: (second) => view.second(cached ? "with the cache" : "without the cache", second),
    });
    view.keep();
    this.#tracePasses += trace?.passes ?? 0;
    await trace?.close();
    await this.stopWorkers();
    return summarizePhase(result, cached);
  }

  async #startWorkers(cached: boolean): Promise<void> {
    const { databaseUrl, schema, cacheName, slot, shared } = this.#servers;
    const assets = this.#options.flags.dashboard ? await dashboardAssets() : undefined;
    const cache = cached ? { name: cacheName, slot, shared, assets } : undefined;
    const starting = Array.from({ length: this.#workerCount() }, async () => {
      const worker = await WorkerProcess.start({ databaseUrl, schema, cache });
      this.#workers.push(worker);
      void worker.exited.then((how) => {
        if (this.#workers.includes(worker)) {
          this.#options.stop.abort(new Error(`A worker ended unexpectedly (${how})`));
        }
      });
    });
    this.#starting = Promise.allSettled(starting);
    await Promise.all(starting);
    const [dashboard] = this.#workers.flatMap((worker) => worker.dashboard ?? []);
    if (dashboard !== undefined) this.#options.view.say(`Dashboard: ${dashboard}`);
  }

  /** Without a shared tier nothing would tell a second worker of the first one's writes. */
  #workerCount(): number {
    return this.#options.flags.cache && this.#servers.shared === undefined ? 1 : 2;
  }

  async #bounds(): Promise<Bounds> {
    const { MAX_STALENESS } = await import("../tracker/cached.js");
    return { otherWorker: MAX_STALENESS, outOfBand: MAX_STALENESS };
  }
}

function issueOf(trace: TraceKeys, issues: number): number | Promise<number> {
  const key = trace.next();
  return typeof key === "string" ? entityOf(key, issues) + 1 : key.then((text) => entityOf(text, issues) + 1);
}
