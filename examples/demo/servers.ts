import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { findRedisServer, startRedis } from "../../scripts/servers/redis.js";
import { lmdb } from "../../src/lmdb/index.js";
import { openDatabase } from "../tracker/database.js";
import type { Cleanup } from "./cleanup.js";
import type { SharedPlace } from "./messages.js";

export interface Servers {
  readonly databaseUrl: string;
  /** Where the tables are; `undefined` in a database of our own. */
  readonly schema: string | undefined;
  /** Where the workers' caches meet; `undefined` when they cannot, and one worker must do. */
  readonly shared: SharedPlace | undefined;
  /** The cache's name: nobody else's, on a Redis that others use too. */
  readonly cacheName: string;
}

export interface ServersOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cleanup: Cleanup;
  /** Hears one line about each server. */
  readonly say: (line: string) => void;
  /** Hears when a server ended that nobody stopped. */
  readonly onCrash: (what: string) => void;
}

/** Starts what the environment does not name; all of it is undone by `cleanup`. */
export async function startServers(options: ServersOptions, withCache: boolean): Promise<Servers> {
  const cacheName = `tiercache-demo-${randomBytes(6).toString("hex")}`;
  const database = await openDatabaseServer(options);
  const shared = withCache ? ((await openRedis(options, cacheName)) ?? (await openHost(options))) : undefined;
  return { ...database, shared, cacheName };
}

async function openDatabaseServer({
  env,
  cleanup,
  say,
  onCrash,
}: ServersOptions): Promise<Pick<Servers, "databaseUrl" | "schema">> {
  const given = env["DATABASE_URL"];
  if (given !== undefined && given !== "") {
    const schema = `tiercache_demo_${randomBytes(6).toString("hex")}`;
    await runAlone(given, `create schema ${schema}`);
    cleanup.add(`drop the schema ${schema}`, () => runAlone(given, `drop schema ${schema} cascade`));
    say(`PostgreSQL: the one of DATABASE_URL, in the schema ${schema}`);
    return { databaseUrl: given, schema };
  }
  const server = await startPostgres();
  let stopping = false;
  cleanup.add("stop PostgreSQL", () => {
    stopping = true;
    return server.stop();
  });
  void server.exited.then((how) => {
    if (!stopping) {
      onCrash(`PostgreSQL ended unexpectedly (${how})`);
    }
  });
  say(`PostgreSQL: started one (pid ${server.pid}), which does not flush to disk`);
  return { databaseUrl: server.url, schema: undefined };
}

async function openRedis(
  { env, cleanup, say, onCrash }: ServersOptions,
  cacheName: string,
): Promise<SharedPlace | undefined> {
  const given = env["REDIS_URL"];
  if (given !== undefined && given !== "") {
    cleanup.add(`remove the keys of ${cacheName} from Redis`, () => removeKeys(given, cacheName));
    say(`Redis: the one of REDIS_URL, under the name ${cacheName}`);
    return { kind: "redis", url: given };
  }
  const binary = findRedisServer(env);
  if (binary === undefined) {
    return undefined;
  }
  const server = await startRedis(binary);
  let stopping = false;
  cleanup.add("stop Redis", () => {
    stopping = true;
    return server.stop();
  });
  void server.exited.then((how) => {
    if (!stopping) {
      onCrash(`Redis ended unexpectedly (${how})`);
    }
  });
  say(`Redis: started ${binary} (pid ${server.pid}), nothing kept on disk`);
  return { kind: "redis", url: server.url };
}

/** Without a Redis: two processes of one machine can meet in a file. */
async function openHost({ cleanup, say }: ServersOptions): Promise<SharedPlace | undefined> {
  const why = "Redis: none (no redis-server on PATH, no REDIS_URL)";
  const folder = await mkdtemp(join(tmpdir(), "tiercache-demo-"));
  cleanup.add("remove the host tier", () => rm(folder, { recursive: true, force: true }));
  try {
    lmdb({ path: folder });
  } catch (error) {
    say(
      `${why}, and no host tier (${error instanceof Error ? error.message : String(error)}): memory only, one worker`,
    );
    return undefined;
  }
  say(`${why}: two workers share a host tier (LMDB) in ${folder}`);
  return { kind: "host", folder };
}

async function runAlone(url: string, sql: string): Promise<void> {
  const database = openDatabase(url, { connections: 1 });
  try {
    await database.run(sql);
  } finally {
    await database.close();
  }
}

/** SCAN walks the whole server, in steps that block nobody; only keys with our random name are touched. */
async function removeKeys(url: string, cacheName: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on("error", () => undefined);
  await client.connect();
  try {
    for await (const keys of client.scanIterator({ MATCH: `*${cacheName}*`, COUNT: 1_000 })) {
      if (keys.length > 0) {
        await client.unlink(keys);
      }
    }
  } finally {
    client.destroy();
  }
}
