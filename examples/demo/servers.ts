import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { findRedisServer, startRedis } from "../../scripts/servers/redis.js";
import { lmdb } from "../../src/lmdb/index.js";
import { openDatabase, type Database } from "../tracker/database.js";
import { removeFeed } from "../tracker/feed.js";
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
  /** The name of the feed's slot and publication: nobody else's, on a server that others use too. */
  readonly slot: string;
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
  const unique = randomBytes(6).toString("hex");
  const cacheName = `tiercache-demo-${unique}`;
  const slot = `tiercache_demo_${unique}`;
  const database = await openDatabaseServer(options, slot);
  const shared = withCache ? ((await openRedis(options, cacheName)) ?? (await openHost(options))) : undefined;
  return { ...database, shared, cacheName, slot };
}

async function openDatabaseServer(
  { env, cleanup, say, onCrash }: ServersOptions,
  name: string,
): Promise<Pick<Servers, "databaseUrl" | "schema">> {
  const given = env["DATABASE_URL"];
  if (given !== undefined && given !== "") {
    await alone(given, async (database) => {
      const [views] = await database.query("select from pg_namespace where nspname = 'tiercache'", []);
      await database.run(`create schema ${name}`);
      cleanup.add(`drop the schema ${name}, and what the feed and the view left`, () =>
        alone(given, (last) => dropAll(last, name, views === undefined)),
      );
    });
    say(`PostgreSQL: the one of DATABASE_URL, in the schema ${name}`);
    return { databaseUrl: given, schema: name };
  }
  // A commit comes to the feed when it is in the log's file: at once this way, and without it a tenth of a second later.
  const server = await startPostgres({ settings: { synchronous_commit: "on" } });
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

/** @param own whether what views keep in the schema `tiercache` is nobody else's. */
async function dropAll(database: Database, name: string, own: boolean): Promise<void> {
  await database.run(`drop schema ${name} cascade`);
  await removeFeed(database, name);
  await database.run(
    own ? "drop schema if exists tiercache cascade" : `delete from tiercache.view_state where name like '${name}.%'`,
  );
}

async function alone<T>(url: string, act: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase(url, { connections: 1 });
  try {
    return await act(database);
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
