import pg from "pg";
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from "vitest";

import type { PostgresServer } from "../../scripts/servers/postgres.js";
import { createCache, memory, type Cache, type Entity } from "../../src/index.js";
import { postgresFeed, type PostgresFeed } from "../../src/postgres/feed.js";
import { SharedMemory } from "../../src/testing/index.js";
import { startReplica } from "../support/postgres-copy.js";
import { startSource, type Source } from "../support/postgres-source.js";
import { until } from "./postgres-feed-world.js";

interface Row {
  readonly id: number;
  readonly name: string;
}

let source: Source;
let server: PostgresServer;
let replica: pg.Pool;

beforeAll(async () => {
  source = await startSource();
  await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, name text)");
  server = await startReplica(source.server);
  replica = new pg.Pool({ connectionString: server.url, max: 3 });
  replica.on("error", () => undefined);
}, 120_000);
afterAll(async () => {
  await replica?.end();
  await server?.stop();
  await source?.close();
});

let caches: Cache[] = [];
let feed: PostgresFeed;

beforeEach(async () => {
  await source.sql("TRUNCATE contacts; INSERT INTO contacts VALUES (1, 'Ann')");
});
afterEach(async () => {
  await replica.query("SELECT pg_wal_replay_resume()");
  await Promise.all(caches.map((cache) => cache.close()));
  caches = [];
});

/** A process of a cache whose loader reads the replica, as the rule says or as it comes. */
async function start(ruled: boolean, shared = new SharedMemory()): Promise<Entity<number, Row | undefined>> {
  feed = postgresFeed({ connect: source.server.url, maxStaleness: "10s" });
  const reads = feed.replica<pg.PoolClient>(replica, { wait: "5s" });
  const quick = feed.replica<pg.PoolClient>(replica, { wait: 0 });
  const cache = createCache({ name: "replica", tiers: [memory(), shared.factory()], feed });
  caches.push(cache);
  const select = async (client: pg.ClientBase | pg.Pool, id: number): Promise<Row | undefined> =>
    (await client.query<Row>("SELECT * FROM contacts WHERE id = $1", [id])).rows[0];
  const contacts = cache.entity<number, Row | undefined>({
    name: "contact",
    load: (id, context) => {
      if (!ruled) return select(replica, id);
      return (id === 1 ? quick : reads).read(context, (client) => select(client, id));
    },
  });
  feed.table<Row>("contacts", { entity: contacts, id: (row) => row.id });
  await feed.ready();
  return contacts;
}

async function caughtUp(): Promise<void> {
  const { rows } = await source.sql("SELECT pg_current_wal_flush_lsn()::text AS lsn");
  await until(
    async () =>
      (await replica.query("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS yes", [rows[0]?.lsn])).rows[0]?.yes ===
      true,
    "the replica has caught up",
  );
}

/** Changes the row while the replica replays nothing, and reads it after its invalidation. */
async function readBehind(contacts: Entity<number, Row | undefined>): Promise<string | undefined> {
  await caughtUp();
  await contacts.get(1);
  await replica.query("SELECT pg_wal_replay_pause()");
  await source.sql("UPDATE contacts SET name = 'Bea' WHERE id = 1");
  await feed.wait(await feed.token());
  return (await contacts.get(1))?.name;
}

describe("a loader that reads a replica", { timeout: 30_000 }, () => {
  it("serves what a replica answers that is behind, and stores nothing of it in any tier", async () => {
    const contacts = await start(true);
    expect(await readBehind(contacts)).toBe("Ann");
    expect(await contacts.find(1)).toBeUndefined();
    await replica.query("SELECT pg_wal_replay_resume()");
    await caughtUp();
    expect((await contacts.get(1))?.name).toBe("Bea");
    expect(contacts.peek(1)?.name).toBe("Bea");
  });

  it("without the rule keeps the old row after its only invalidation", async () => {
    const contacts = await start(false);
    expect(await readBehind(contacts)).toBe("Ann");
    await replica.query("SELECT pg_wal_replay_resume()");
    await caughtUp();
    expect(contacts.peek(1)?.name).toBe("Ann");
  });

  it("waits for a replica that gets there in time", async () => {
    const contacts = await start(true);
    await caughtUp();
    await replica.query("SELECT pg_wal_replay_pause()");
    await source.sql("INSERT INTO contacts VALUES (2, 'Bob')");
    await feed.wait(await feed.token());
    const read = contacts.get(2);
    await replica.query("SELECT pg_wal_replay_resume()");
    expect((await read)?.name).toBe("Bob");
    expect(contacts.peek(2)?.name).toBe("Bob");
  });

  it("reads the primary itself where the pool is the primary's, and then stores", async () => {
    const contacts = await start(true);
    const context = { skipped: 0, skip: () => (context.skipped += 1) };
    const { rows } = await feed
      .replica<pg.PoolClient>(source.pool)
      .read(context, (client) => client.query("SELECT 1 AS one"));
    expect(rows).toEqual([{ one: 1 }]);
    expect(context.skipped).toBe(0);
    expect(contacts.name).toBe("contact");
  });

  it("stores nothing while the primary does not answer, and gives its connection back when the read fails", async () => {
    const away = postgresFeed({ connect: "postgres://postgres@127.0.0.1:1/postgres" });
    const context = { skipped: 0, skip: () => (context.skipped += 1) };
    await expect(away.replica(replica).read(context, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(context.skipped).toBe(1);
    expect(replica.idleCount).toBe(replica.totalCount);
    await away.close();
  });

  it("refuses what is no pool, and options it does not know", async () => {
    const away = postgresFeed({ connect: "postgres://postgres@127.0.0.1:1/postgres" });
    expect(() => away.replica({} as never)).toThrow("Expected `pool` to be a pg pool, got `an object`");
    expect(() => away.replica(replica, { waits: 1 } as never)).toThrow("waits");
    await away.close();
  });
});
