import { rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Cache, TierFactory } from "../../src/index.js";
import { createApi } from "../tracker/api.js";
import type { CachedTracker } from "../tracker/cached.js";
import { openDatabase, type Database } from "../tracker/database.js";
import { databaseTracker } from "../tracker/repositories.js";
import type { FeedRole, FromWorker, SharedPlace, ToWorker, WorkerCounters, WorkerSettings } from "./messages.js";

/** A process of the example API, run by the driver: told what to do and asked for its counters over the IPC channel. */

const REPORT_EVERY = 250;
/** Longer than any pause of the load: the driver's idle connection must not be closed as it sends. */
const KEEP_ALIVE = 60_000;
const FEED_TIMEOUT = 20_000;

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
  const cached = settings.cache === undefined ? undefined : await openCache(database, settings.cache);
  const api = createApi(cached?.tracker ?? source, {
    stats: () => ({ sourceQueries: database.queries, cache: cached?.cache.stats() }),
    onError: (error) => send({ type: "error", message: describe(error) }),
  });
  api.keepAliveTimeout = KEEP_ALIVE;
  const report = (final: boolean): void =>
    send({
      type: "counters",
      counters: countersOf(database.queries, cached),
      feed: roleOf(cached),
      final,
    });
  process.on("message", (message: ToWorker) => {
    if (message.type === "report") {
      report(true);
    }
    if (message.type === "weigh") {
      send({ type: "weight", heap: livingHeap() });
    }
    if (message.type === "stop") {
      stopping = true;
      api.closeAllConnections();
      api.close();
      void close(cached, database).then(() => process.disconnect());
    }
  });
  await new Promise<void>((resolve, reject) => {
    api.once("error", reject);
    api.listen(0, "127.0.0.1", resolve);
  });
  const dashboard = await cached?.openDashboard();
  setInterval(report, REPORT_EVERY, false).unref();
  send({ type: "ready", port: (api.address() as AddressInfo).port, dashboard });
}

async function openCache(
  database: Database,
  { name, slot, shared, assets }: NonNullable<WorkerSettings["cache"]>,
): Promise<CachedTracker & { closeTier: () => void; openDashboard: () => Promise<string | undefined> }> {
  // Only here: a worker without a cache pays nothing for it.
  const { openCachedTracker } = await import("../tracker/cached.js");
  const { tiers, close: closeTier } = await openTier(shared);
  const cached = await openCachedTracker(databaseTracker(database), { name, database, slot, tiers });
  try {
    await cached.feed?.ready({ timeout: FEED_TIMEOUT });
  } catch (error) {
    const problem = (await cached.feed?.status())?.problem;
    throw new Error(`The feed of changes did not begin: ${problem ?? describe(error)}`, { cause: error });
  }
  return {
    ...cached,
    closeTier,
    openDashboard: async () => (assets === undefined ? undefined : openDashboard(cached.cache, assets)),
  };
}

/** Both workers can be looked at, and each shows the other, too. */
async function openDashboard(cache: Cache, assets: string): Promise<string> {
  const { createAdmin } = await import("../../src/admin/index.js");
  const admin = createAdmin(cache, { environment: "demo", assets, name: `worker ${process.pid}` });
  const { url } = await admin.listen();
  return url;
}

async function openTier(
  shared: SharedPlace | undefined,
): Promise<{ tiers: readonly TierFactory[]; close: () => void }> {
  if (shared === undefined) {
    return { tiers: [], close: () => undefined };
  }
  if (shared.kind === "host") {
    hostFolder = shared.folder;
    const { lmdb } = await import("../../src/lmdb/index.js");
    return { tiers: [lmdb({ path: shared.folder })], close: () => undefined };
  }
  const { createClient } = await import("redis");
  const { redis } = await import("../../src/redis/index.js");
  const client = createClient({ url: shared.url });
  // Every command of a lost connection rejects; the cache counts that and goes on without Redis.
  client.on("error", () => undefined);
  await client.connect();
  return { tiers: [redis(client)], close: () => client.destroy() };
}

/** The cache before the connections that it uses. */
async function close(
  cached: (CachedTracker & { closeTier: () => void }) | undefined,
  database: Database,
): Promise<void> {
  await Promise.allSettled([cached?.close()]);
  cached?.closeTier();
  await Promise.allSettled([database.close()]);
}

function roleOf(cached: CachedTracker | undefined): FeedRole | undefined {
  const role = cached?.cache.stats().feed?.["role"];
  return role === "leader" || role === "standby" ? role : undefined;
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

/** Collects all garbage first; it stops the process for some milliseconds. */
function livingHeap(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What the first run finds dead may have held more, through finalizers and weak references.
  collect();
  collect();
  return process.memoryUsage().heapUsed;
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
