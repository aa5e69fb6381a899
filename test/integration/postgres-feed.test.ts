import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createCache, memory } from "../../src/index.js";
import { postgresFeed, type PostgresFeed } from "../../src/postgres/feed.js";
import { SharedMemory } from "../../src/testing/index.js";
import { startSource, type Source } from "../support/postgres-source.js";
import { Listener, Shared, until } from "./postgres-feed-world.js";

const contact = { name: "contact" };
const note = { name: "note" };
interface ContactRow {
  id: number;
  tenant_id: string;
  team: number;
  name: string;
}

const contacts = (feed: PostgresFeed): void => {
  feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id });
};

let source: Source;
let shared: Shared;
let listeners: Listener[];

beforeAll(async () => {
  source = await startSource();
});
afterAll(() => source.close());
beforeEach(async () => {
  shared = new Shared();
  listeners = [];
  await source.sql(
    "CREATE TABLE contacts (id int PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'acme', team int, name text)",
  );
});
afterEach(async () => {
  await Promise.all(listeners.map(({ open }) => open.close()));
  await until(async () => {
    await source.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
    return (await source.sql("SELECT FROM pg_replication_slots")).rowCount === 0;
  }, "no slot is left");
  await source.sql("DROP PUBLICATION IF EXISTS tiercache");
  await source.sql("DROP TABLE IF EXISTS notes, contacts, loose");
});

async function listen(options: ConstructorParameters<typeof Listener>[2] = {}): Promise<Listener> {
  const listener = new Listener(source, shared, { tables: contacts, ...options });
  listeners.push(listener);
  await listener.feed.ready();
  listener.take();
  return listener;
}

describe("what a transaction changed", () => {
  it("is told once it is committed, whoever wrote it, and a rollback is not", async () => {
    const listener = await listen();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme', 1, 'Ann'), (2, 'acme', 1, 'Bob')");
    await source.sql("BEGIN; UPDATE contacts SET name = 'x' WHERE id = 2; ROLLBACK");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1, 2] }]);
    await source.sql("UPDATE contacts SET id = 3 WHERE id = 1");
    await source.sql("DELETE FROM contacts WHERE id = 2");
    await listener.settle();
    expect(listener.take().flatMap((target) => ("ids" in target ? target.ids : []))).toEqual([1, 3, 2]);
  });

  it("includes what foreign keys cascaded to, which no driver sees", async () => {
    await source.sql("CREATE TABLE notes (id int PRIMARY KEY, contact_id int REFERENCES contacts ON DELETE CASCADE)");
    const listener = await listen({
      tables: (feed) => {
        contacts(feed);
        feed.table<{ id: number }>("notes", { entity: note, id: (row) => row.id });
      },
    });
    await source.sql("INSERT INTO contacts VALUES (1); INSERT INTO notes VALUES (7, 1), (8, 1)");
    await listener.settle();
    listener.take();
    await source.sql("DELETE FROM contacts WHERE id = 1");
    await listener.settle();
    expect(listener.take()).toEqual([
      { of: contact, scope: undefined, ids: [1] },
      { of: note, scope: undefined, ids: [7, 8] },
    ]);
  });

  it("is told when a reader sees it, not when it is in the log", async () => {
    const listener = await listen();
    await source.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await source.sql("SELECT pg_reload_conf()");
    const writer = new pg.Client({ connectionString: source.server.url });
    await writer.connect();
    try {
      await until(
        async () =>
          (await writer.query("SHOW synchronous_standby_names")).rows[0]?.synchronous_standby_names === "nobody",
        "the setting is heard",
      );
      const commit = writer.query("INSERT INTO contacts VALUES (5)");
      await until(() => Number(listener.open.stats()["waiting"]) === 1, "the event is here");
      const before = listener.completeAt;
      await until(() => listener.completeAt > before + 200, "barriers go on: nobody sees the row");
      expect(listener.take()).toEqual([]);
      await source.sql("ALTER SYSTEM RESET synchronous_standby_names");
      await source.sql("SELECT pg_reload_conf()");
      await commit;
      await listener.settle();
      expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [5] }]);
    } finally {
      await source.sql("ALTER SYSTEM RESET synchronous_standby_names");
      await source.sql("SELECT pg_reload_conf()");
      await writer.end();
    }
  });

  it("is all of the table past a threshold, and when it is truncated", async () => {
    const listener = await listen({ collapseAt: 50 });
    await source.sql("INSERT INTO contacts SELECT n FROM generate_series(1, 5000) AS n");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, all: true }]);
    await source.sql("TRUNCATE contacts");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
  });

  it("is told by scope where the log has the old row, and of every scope where it has not", async () => {
    const scoped = (feed: PostgresFeed): void => {
      feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id, scope: (row) => row.tenant_id });
    };
    const listener = await listen({ tables: scoped });
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: "acme", ids: [1] }]);
    await source.sql("DELETE FROM contacts");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, all: true }]);
    expect(listener.heard("row-incomplete")).toBe(true);
    await source.sql("ALTER TABLE contacts REPLICA IDENTITY FULL");
    await source.sql("INSERT INTO contacts VALUES (2, 'acme')");
    await listener.settle();
    listener.take();
    await source.sql("UPDATE contacts SET tenant_id = 'zorg'");
    // What waits together is told together, and once.
    await listener.settle();
    await source.sql("DELETE FROM contacts");
    await listener.settle();
    expect(listener.take()).toEqual([
      { of: contact, scope: "acme", ids: [2] },
      { of: contact, scope: "zorg", ids: [2] },
      { of: contact, scope: "zorg", ids: [2] },
    ]);
  });

  it("leaves the database only in the columns that are named", async () => {
    let seen: unknown;
    const listener = await listen({
      tables: (feed) =>
        feed.table<ContactRow>("contacts", {
          entity: contact,
          id: (row) => row.id,
          tags: (row) => {
            try {
              seen = row.name;
            } catch (error) {
              seen = error;
            }
            return [`team=${row.team}`];
          },
          columns: ["id", "team"],
        }),
    });
    await source.sql("INSERT INTO contacts VALUES (1, 'acme', 3, 'secret')");
    await listener.settle();
    expect(listener.take()).toEqual([
      { of: contact, scope: undefined, ids: [1] },
      { of: contact, scope: undefined, tags: ["team=3"] },
    ]);
    expect(String(seen)).toMatch("does not have the column `name`");
    const { rows } = await source.sql("SELECT attnames::text FROM pg_publication_tables WHERE tablename = 'contacts'");
    expect(rows).toEqual([{ attnames: "{id,team}" }]);
  });

  it("is not complete in any process before what was committed is published", async () => {
    const [first, second] = [await listen(), await listen()];
    first.refuses = true;
    const before = performance.now();
    await source.sql("INSERT INTO contacts VALUES (1)");
    const token = await second.feed.token();
    const late = { code: "ERR_CACHE_TIMEOUT" };
    await Promise.all(
      [first, second].map(({ feed }) => expect(feed.wait(token, { timeout: 400 })).rejects.toMatchObject(late)),
    );
    expect(Math.max(first.completeAt, second.completeAt)).toBeLessThan(before);
    first.refuses = false;
    await Promise.all([first.feed.wait(token, { timeout: 20_000 }), second.feed.wait(token, { timeout: 20_000 })]);
  });

  it("includes messages, when their transaction commits", async () => {
    const listener = await listen({
      tables: (feed) => {
        contacts(feed);
        feed.message("views", (content) => [{ tag: content }]);
      },
    });
    await source.sql("BEGIN; SELECT pg_logical_emit_message(true, 'views', 'lost'); ROLLBACK");
    await source.sql("SELECT pg_logical_emit_message(true, 'views', 'sums')");
    await listener.settle();
    expect(listener.take()).toEqual([{ tag: "sums" }]);
  });
});

describe("what no row says", () => {
  it("is heard of a table that was dropped and made anew, whose events had ended", async () => {
    const listener = await listen();
    await source.sql("DROP TABLE contacts");
    await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, name text)");
    await source.sql("INSERT INTO contacts VALUES (1)");
    await until(() => listener.heard("mended"), "the table is published again");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
    await source.sql("INSERT INTO contacts VALUES (2)");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [2] }]);
  });

  it("is heard of a column that came with a value for every row", async () => {
    const listener = await listen();
    await source.sql("ALTER TABLE contacts ADD COLUMN stars int DEFAULT 5");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, all: true }]);
  });

  it.each([
    ["some kinds of change", "ALTER PUBLICATION tiercache SET (publish = 'insert')"],
    ["some rows", "ALTER PUBLICATION tiercache SET TABLE contacts WHERE (id > 100)"],
    ["no table at all", "ALTER PUBLICATION tiercache DROP TABLE contacts"],
  ])("is heard of a publication that was narrowed to %s", async (_, narrow) => {
    const listener = await listen();
    await source.sql("INSERT INTO contacts VALUES (1), (2)");
    await listener.settle();
    listener.take();
    await source.sql(narrow);
    await source.sql("UPDATE contacts SET name = 'x' WHERE id = 1");
    await until(() => listener.heard("mended"), "it is whole again");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
    await source.sql("UPDATE contacts SET name = 'y' WHERE id = 2");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [2] }]);
  });

  it("is heard of a publication that was dropped", async () => {
    const listener = await listen();
    await source.sql("DROP PUBLICATION tiercache");
    await source.sql("INSERT INTO contacts VALUES (1)");
    await until(() => listener.published.length > 0 || listener.forgets > 1, "it is invalidated");
    await listener.settle();
    listener.take();
    await source.sql("INSERT INTO contacts VALUES (2)");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [2] }]);
  });
});

describe("a transaction that was open while a table was not published", () => {
  it("is waited for before what it may have changed is invalidated", async () => {
    const listener = await listen();
    await source.sql("DROP PUBLICATION tiercache");
    const writer = await source.pool.connect();
    try {
      await writer.query("BEGIN; INSERT INTO contacts VALUES (9)");
      await until(() => listener.heard("waiting"), "it waits for the transaction");
      const told = [...listener.published];
      const forgets = listener.forgets;
      await writer.query("COMMIT");
      await listener.settle();
      expect([told, forgets]).toEqual([[], 1]);
      expect(listener.forgets > 1 || listener.take().some((target) => "all" in target)).toBe(true);
    } finally {
      writer.release();
    }
  });
});

describe("a partitioned table", () => {
  it("is told of under its own name, and as a whole when a partition goes", async () => {
    await source.sql("CREATE TABLE parted (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)");
    await source.sql("CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu')");
    await source.sql("CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')");
    try {
      const listener = await listen({
        tables: (feed) => void feed.table<{ id: number }>("parted", { entity: contact, id: (row) => row.id }),
      });
      await source.sql("INSERT INTO parted VALUES (1, 'eu'), (2, 'us')");
      await source.sql("UPDATE parted SET region = 'us' WHERE id = 1");
      await listener.settle();
      expect(new Set(listener.take().flatMap((target) => ("ids" in target ? target.ids : [])))).toEqual(
        new Set([1, 2]),
      );
      await source.sql("DROP TABLE parted_us");
      await listener.settle();
      expect(listener.take()).toContainEqual({ of: contact, all: true });
    } finally {
      await source.sql("DROP TABLE parted");
    }
  });
});

describe("the slot", () => {
  it("is one process's, and another's when that one ends", async () => {
    const [first, second] = [await listen(), await listen()];
    expect([first.role, second.role]).toEqual(["leader", "standby"]);
    await source.sql("INSERT INTO contacts VALUES (1)");
    await second.settle();
    expect(first.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    await first.open.close();
    await source.sql("INSERT INTO contacts VALUES (2)");
    await second.settle();
    expect(second.role).toBe("leader");
    expect(second.take().flatMap((target) => ("ids" in target ? target.ids : []))).toContain(2);
    expect([first.forgets, second.forgets]).toEqual([1, 0]);
  });

  it("keeps what changed while nobody was there", async () => {
    const first = await listen();
    await first.open.close();
    await source.sql("INSERT INTO contacts VALUES (3)");
    const second = await listen();
    expect(second.forgets).toBe(0);
    await second.settle();
    expect([...second.published, ...second.take()]).toEqual([]);
  });

  it("that was dropped is made anew, and everything before is forgotten", async () => {
    const listener = await listen();
    await listener.open.close();
    await source.sql("SELECT pg_drop_replication_slot('tiercache_crm')");
    await source.sql("INSERT INTO contacts VALUES (1)");
    const next = await listen();
    expect(next.forgets).toBe(1);
  });

  it("that the server gave up, because it kept too much of the log, is made anew", async () => {
    const listener = await listen();
    await listener.open.close();
    await source.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    await source.sql("SELECT pg_reload_conf()");
    try {
      await until(async () => {
        await source.sql("INSERT INTO contacts (id) SELECT coalesce(max(id), 0) + 1 FROM contacts");
        await source.sql("SELECT pg_switch_wal()");
        await source.sql("CHECKPOINT");
        return (await source.sql("SELECT FROM pg_replication_slots WHERE wal_status = 'lost'")).rowCount === 1;
      }, "the slot is lost");
      const next = await listen();
      expect(next.forgets).toBe(1);
      expect(next.heard("slot-lost")).toBe(true);
    } finally {
      await source.sql("ALTER SYSTEM RESET max_slot_wal_keep_size");
      await source.sql("SELECT pg_reload_conf()");
    }
  });

  it("whose log cannot be read on is given up after some tries, and everything before is forgotten", async () => {
    const listener = await listen();
    // The server computes this for each row of the log: it fails at the same one for ever, whatever is mended later.
    await source.sql("ALTER PUBLICATION tiercache SET TABLE contacts WHERE (1 / id > 0)");
    // In one go, so that the first are not acknowledged yet: they come again each time, and are no progress.
    await source.sql("BEGIN; INSERT INTO contacts VALUES (5); COMMIT; BEGIN; INSERT INTO contacts VALUES (0); COMMIT");
    await until(() => listener.heard("slot-lost"), "the slot is given up");
    await until(() => listener.forgets === 2, "what it did not tell is forgotten");
    await listener.settle();
    listener.take();
    await source.sql("INSERT INTO contacts VALUES (1)");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    expect(listener.news.some(({ error }) => String(error).includes("division by zero"))).toBe(true);
  });

  it("that somebody made anew by hand is found out", async () => {
    const listener = await listen();
    await listener.open.close();
    await source.sql("SELECT pg_drop_replication_slot('tiercache_crm')");
    await source.sql("INSERT INTO contacts VALUES (1)");
    await source.sql("SELECT pg_create_logical_replication_slot('tiercache_crm', 'pgoutput')");
    const next = await listen();
    expect(next.forgets).toBe(1);
    expect(next.news).toContainEqual({ what: "forgot", detail: { because: "the slot was made anew or moved" } });
  });

  it("is waited for while a transaction is open, and that is told", async () => {
    const writer = await source.pool.connect();
    try {
      await writer.query("BEGIN; INSERT INTO contacts VALUES (1)");
      const listener = new Listener(source, shared, { tables: contacts });
      listeners.push(listener);
      await until(() => listener.heard("waiting"), "it says what it waits for");
      expect(listener.completeAt).toBe(Number.NEGATIVE_INFINITY);
      await writer.query("COMMIT");
      await listener.feed.ready();
    } finally {
      writer.release();
    }
  });

  it("is acknowledged only for what the shared tier has", async () => {
    const listener = await listen();
    const before = listener.completeAt;
    const confirmed = async (): Promise<string> => {
      const { rows } = await source.sql("SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots");
      return (rows[0] as { lsn: string }).lsn;
    };
    shared.away = true;
    await source.sql("INSERT INTO contacts VALUES (1)");
    const { rows } = await source.sql("SELECT pg_current_wal_lsn()::text AS lsn");
    await until(() => listener.heard("publish-failed"), "it was tried");
    const late = await source.sql("SELECT $1::pg_lsn >= $2::pg_lsn AS late", [
      await confirmed(),
      (rows[0] as { lsn: string }).lsn,
    ]);
    expect(late.rows).toEqual([{ late: false }]);
    shared.away = false;
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
    expect(listener.completeAt).toBeGreaterThan(before);
  });
});

describe("a connection that is lost", () => {
  it("is made again, and nothing is missed", async () => {
    const listener = await listen();
    for (let id = 1; id <= 3; id++) {
      await source.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
      await source.sql("INSERT INTO contacts VALUES ($1)", [id]);
      await listener.settle();
      expect(listener.take().flatMap((target) => ("ids" in target ? target.ids : []))).toContain(id);
    }
    expect(listener.forgets).toBe(1);
    expect(listener.heard("disconnected")).toBe(true);
  });

  it("is made again after the database crashed", async () => {
    const listener = await listen();
    const client = new pg.Client({ connectionString: source.server.url });
    client.on("error", () => undefined);
    await client.connect();
    const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
    process.kill((rows[0] as { pid: number }).pid, "SIGKILL");
    await client.end().catch(() => undefined);
    await until(async () => {
      try {
        await source.sql("INSERT INTO contacts VALUES (1)");
        return true;
      } catch {
        return false;
      }
    }, "the database is back");
    await until(() => listener.published.length > 0, "the change is told");
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [1] }]);
  });
});

describe("a token", () => {
  it("lets another process wait for a write, the reader of the slot or not", async () => {
    const [first, second] = [await listen(), await listen()];
    for (let id = 1; id <= 5; id++) {
      await source.sql("INSERT INTO contacts VALUES ($1)", [id]);
      const token = await (id % 2 === 0 ? first : second).feed.token();
      await Promise.all([first.feed.wait(token), second.feed.wait(token)]);
      expect(first.published.flatMap((target) => ("ids" in target ? target.ids : []))).toContain(id);
    }
  });

  it("that is none, or not reached in time, is an error", async () => {
    const listener = await listen();
    await expect(listener.feed.wait("yesterday")).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    const token = await listener.feed.token();
    const never = token.replace(/[^.]+$/, "FFFF-0");
    await expect(listener.feed.wait(never, { timeout: 50 })).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  });
});

describe("a cache on it", () => {
  it("serves what any writer committed, in every process", async () => {
    const tier = new SharedMemory();
    const open = (): {
      cache: ReturnType<typeof createCache>;
      feed: PostgresFeed;
      name: (id: number) => Promise<string>;
    } => {
      const feed = postgresFeed({ connect: source.server.url, maxStaleness: "1s" });
      const cache = createCache({ name: "crm", tiers: [memory(), tier.factory()], feed, ttl: "1h" });
      const entity = cache.entity<number, string>({
        name: "contact",
        load: async (id) => {
          const { rows } = await source.sql("SELECT name FROM contacts WHERE id = $1", [id]);
          return (rows[0] as { name: string }).name;
        },
      });
      feed.table<ContactRow>("contacts", { entity, id: (row) => row.id });
      return { cache, feed, name: (id) => entity.get(id) };
    };
    const processes = [open(), open()];
    try {
      await source.sql("INSERT INTO contacts VALUES (1, 'acme', 1, 'Ann')");
      for (const { feed } of processes) await feed.ready();
      for (const name of ["Bea", "Cem", "Dora"]) {
        for (const one of processes) await one.name(1);
        await source.sql("UPDATE contacts SET name = $1", [name]);
        const token = await processes[0]?.feed.token();
        for (const one of processes) {
          await one.feed.wait(token ?? "");
          expect(await one.name(1)).toBe(name);
        }
      }
    } finally {
      for (const { cache } of processes) await cache.close();
    }
  });
});
