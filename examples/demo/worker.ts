import { rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createApi } from "../tracker/api.js";
import type { CachedTracker } from "../tracker/cached.js";
import { openDatabase } from "../tracker/database.js";
import type { Tracker } from "../tracker/model.js";
import { databaseTracker } from "../tracker/repositories.js";
import type { FromWorker, ToWorker, WorkerCounters, WorkerSettings } from "./messages.js";

/** A process of the example API, run by the driver: told what to do and asked for its counters over the IPC channel. */

const REPORT_EVERY = 250;
/** Longer than any pause of the load: the driver's idle connection must not be closed as it sends. */
const KEEP_ALIVE = 60_000;

let hostFolder: string | undefined;
let stopping = false;

// Ctrl-C reaches the whole group; the driver decides when its workers end. Its death ends them too.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
process.on("disconnect", () => {
  // The driver was killed: nobody else is left to do it.
  if (!stopping && hostFolder !== undefined) {
    rmSync(hostFolder, { recursive: true, force: true });
  }
  process.exit();
});
process.once("message", (message: ToWorker) => {
  if (message.type === "start") {
    start(message.settings).catch((error: unknown) => {
      send({ type: "error", message: describe(error) });
      process.exitCode = 1;
      process.disconnect();
    });
  }
});

async function start(settings: WorkerSettings): Promise<void> {
  const database = openDatabase(settings.databaseUrl, { connections: 10, schema: settings.schema });
  const source = databaseTracker(database);
  const cached = settings.cache === undefined ? undefined : await openCache(source, settings.cache);
  const api = createApi(cached?.tracker ?? source, {
    stats: () => ({ sourceQueries: database.queries, cache: cached?.cache.stats() }),
    onError: (error) => send({ type: "error", message: describe(error) }),
  });
  api.keepAliveTimeout = KEEP_ALIVE;
  const report = (final: boolean): void =>
    send({ type: "counters", counters: countersOf(database.queries, cached), final });
  process.on("message", (message: ToWorker) => {
    if (message.type === "report") {
      report(true);
    }
    if (message.type === "stop") {
      stopping = true;
      api.closeAllConnections();
      api.close();
      void Promise.allSettled([cached?.close(), database.close()]).then(() => process.disconnect());
    }
  });
  await new Promise<void>((resolve, reject) => {
    api.once("error", reject);
    api.listen(0, "127.0.0.1", resolve);
  });
  setInterval(report, REPORT_EVERY, false).unref();
  send({ type: "ready", port: (api.address() as AddressInfo).port });
}

async function openCache(source: Tracker, settings: NonNullable<WorkerSettings["cache"]>): Promise<CachedTracker> {
  // Only here: a worker without a cache pays nothing for it.
  const { cachedTracker, MAX_STALENESS, openCachedTracker } = await import("../tracker/cached.js");
  const { name, shared } = settings;
  if (shared?.kind !== "host") {
    return openCachedTracker(source, { name, redisUrl: shared?.url });
  }
  hostFolder = shared.folder;
  const { createCache, memory } = await import("../../src/index.js");
  const { lmdb } = await import("../../src/lmdb/index.js");
  const tiers = [memory(), lmdb({ path: shared.folder })];
  const cache = createCache({ name, tiers, shared: { maxStaleness: MAX_STALENESS } });
  return { cache, tracker: cachedTracker(cache, source), close: () => cache.close() };
}

function countersOf(sourceQueries: number, cached: CachedTracker | undefined): WorkerCounters {
  const { user, system } = process.cpuUsage();
  const total = cached?.cache.stats().total;
  return {
    sourceQueries,
    cpuMs: (user + system) / 1_000,
    gets: total?.gets ?? 0,
    memoryHits: total?.hits.memory ?? 0,
    sharedHits: total?.hits.shared ?? 0,
    staleHits: total?.staleHits ?? 0,
    misses: total?.misses ?? 0,
    loads: total?.loads ?? 0,
    coalesced: total === undefined ? 0 : total.coalesced.process + total.coalesced.cluster,
  };
}

function send(message: FromWorker): void {
  if (process.connected) {
    // The driver may be gone between the question and the answer; `disconnect` then ends this process.
    process.send?.(message, undefined, undefined, () => undefined);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
