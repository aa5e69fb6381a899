import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";
import { backupOf, openAddress, startReplica, type Address } from "../support/postgres-copy.js";
import { Listener, Shared, until } from "./postgres-feed-world.js";

const contact = { name: "contact" };
/** Everything of a test that is to be ended, the newest first. */
let ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
});

async function kept(starting: Promise<PostgresServer>): Promise<PostgresServer> {
  const server = await starting;
  ends.push(() => server.stop());
  return server;
}

async function run(server: PostgresServer, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: server.url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A database with a feed on an address that can be pointed elsewhere. */
async function world(): Promise<{ primary: PostgresServer; address: Address; listener: Listener; shared: Shared }> {
  const primary = await kept(startPostgres({ settings: { synchronous_commit: "on" } }));
  await run(primary, "CREATE TABLE contacts (id int PRIMARY KEY, name text)");
  const address = await openAddress(primary);
  ends.push(() => address.close());
  const shared = new Shared();
  const listener = listen(address, shared);
  await listener.feed.ready();
  return { primary, address, listener, shared };
}

function listen(address: Address, shared: Shared): Listener {
  const listener = new Listener({ server: { url: address.url } }, shared, {
    tables: (feed) => feed.table<{ id: number }>("contacts", { entity: contact, id: (row) => row.id }),
  });
  ends.push(() => listener.open.close());
  return listener;
}

/** Nothing is complete again before one of them, whoever reads the slot now, has had everything forgotten. */
async function expectForgotten(listeners: readonly Listener[], since: number): Promise<void> {
  for (const { news } of listeners) news.length = 0;
  await until(() => listeners.every(({ completeAt }) => completeAt > since), "all are complete again");
  expect(listeners.flatMap(({ news }) => news).filter(({ what }) => what === "forgot")).toMatchObject([
    {
      detail: { because: expect.stringMatching(/the database has another history|the log of the database went back/) },
    },
  ]);
}

/** A change is told, once, by whoever reads the slot. */
async function expectHears(listeners: readonly Listener[], server: PostgresServer, id: number): Promise<void> {
  for (const listener of listeners) listener.take();
  await run(server, `INSERT INTO contacts VALUES (${id}, 'after')`);
  for (const listener of listeners) await listener.settle();
  expect(listeners.flatMap((listener) => listener.take())).toEqual([{ of: contact, scope: undefined, ids: [id] }]);
}

describe("a primary that is killed", { timeout: 120_000 }, () => {
  it("whose replica is promoted: everything is forgotten before anything is complete, and then all is heard", async () => {
    const { primary, address, listener, shared } = await world();
    const replica = await kept(startReplica(primary));
    const standby = listen(address, shared);
    await standby.feed.ready();
    await run(primary, "INSERT INTO contacts VALUES (1, 'before')");
    await until(
      async () => (await run(replica, "SELECT FROM contacts")).rowCount === 1,
      "the replica has what the primary has",
    );
    await listener.settle();
    const before = await listener.feed.token();
    // What the replica never gets: readers may have cached it.
    await run(replica, "SELECT pg_wal_replay_pause()");
    process.kill(primary.pid, "SIGKILL");
    await primary.exited;
    const killed = performance.now();
    address.point(undefined);
    const { completeAt } = listener;
    expect(completeAt).toBeLessThanOrEqual(killed);
    await run(replica, "SELECT pg_wal_replay_resume()");
    await run(replica, "SELECT pg_promote(true, 20)");
    address.point(replica);
    await expectForgotten([listener, standby], killed);
    await expectHears([listener, standby], replica, 2);
    // A token of the old history is one of before: nobody waits for it for ever.
    await listener.feed.wait(before, { timeout: 5_000 });
    expect(await listener.feed.token()).not.toBe(before);
  });
});

describe("a database that is restored from a base backup", { timeout: 120_000 }, () => {
  it("onto a new timeline: everything is forgotten before anything is complete", async () => {
    const { primary, address, listener } = await world();
    await run(primary, "INSERT INTO contacts VALUES (1, 'kept')");
    const restored = await kept(
      startPostgres({
        data: backupOf(primary, (data) => writeFile(join(data, "recovery.signal"), "")),
        settings: { synchronous_commit: "on", restore_command: "false" },
      }),
    );
    await until(
      async () => (await run(restored, "SELECT pg_is_in_recovery() AS yes")).rows[0]?.yes === false,
      "it is restored",
    );
    await run(primary, "INSERT INTO contacts VALUES (2, 'lost')");
    await listener.settle();
    const stopped = performance.now();
    await primary.stop();
    address.point(restored);
    await expectForgotten([listener], stopped);
    await expectHears([listener], restored, 2);
  });

  it("onto the same timeline, while the cache runs: it has gone back in its log, and everything is forgotten", async () => {
    const { primary, address, listener } = await world();
    const restored = await kept(startPostgres({ data: backupOf(primary), settings: { synchronous_commit: "on" } }));
    await run(primary, "INSERT INTO contacts SELECT n, 'lost' FROM generate_series(1, 1000) AS n");
    await listener.settle();
    const stopped = performance.now();
    await primary.stop();
    address.point(restored);
    await expectForgotten([listener], stopped);
    await expectHears([listener], restored, 2);
  });

  it("while no process of the cache runs: the next one finds out by the note", async () => {
    const { primary, address, listener, shared } = await world();
    const restored = await kept(startPostgres({ data: backupOf(primary), settings: { synchronous_commit: "on" } }));
    await run(primary, "INSERT INTO contacts VALUES (1, 'lost')");
    await listener.settle();
    await listener.open.close();
    await primary.stop();
    address.point(restored);
    const next = listen(address, shared);
    await next.feed.ready();
    expect(next.forgets).toBe(1);
    await expectHears([next], restored, 1);
  });
});
