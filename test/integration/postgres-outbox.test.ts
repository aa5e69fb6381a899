import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { PostgresFeed } from "../../src/postgres/feed.js";
import { startSource, type Source } from "../support/postgres-source.js";
import { Listener, Shared, until } from "./postgres-feed-world.js";

interface ContactRow {
  id: number;
  tenant_id: string;
  born: Date | null;
  marks: number[];
}

const contact = { name: "contact" };
const contacts = (feed: PostgresFeed): void => {
  feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id, scope: (row) => row.tenant_id });
};

let source: Source;
let shared: Shared;
let listeners: Listener[];

// Where logical replication is not allowed.
beforeAll(async () => {
  source = await startSource({ settings: { wal_level: "replica" } });
});
afterAll(() => source.close());
beforeEach(async () => {
  shared = new Shared();
  listeners = [];
  await source.sql(
    "CREATE TABLE contacts (id int PRIMARY KEY, tenant_id text, born timestamptz, big bigint, marks int[], name text)",
  );
});
afterEach(async () => {
  await Promise.all(listeners.map(({ open }) => open.close()));
  await source.sql("DROP TABLE IF EXISTS contacts, tiercache_crm CASCADE");
  await source.sql("DROP FUNCTION IF EXISTS tiercache_crm CASCADE");
});

async function listen(options: ConstructorParameters<typeof Listener>[2] = {}): Promise<Listener> {
  const listener = new Listener(source, shared, { tables: contacts, method: "outbox", ...options });
  listeners.push(listener);
  await listener.feed.ready();
  listener.take();
  return listener;
}

describe("an outbox", () => {
  it("tells what was committed, with old rows whole, and nothing that was rolled back", async () => {
    const listener = await listen();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await source.sql("BEGIN; UPDATE contacts SET name = 'x'; ROLLBACK");
    await source.sql("UPDATE contacts SET tenant_id = 'zorg', id = 2");
    await source.sql("DELETE FROM contacts");
    await listener.settle();
    const told = listener.take().map((target) => JSON.stringify(target));
    expect(told.filter((target) => !/"scope":"(?:acme|zorg)"/.test(target))).toEqual([]);
    expect(told.join()).toMatch(/"scope":"acme","ids":\[1\]/);
    expect(told.join()).toMatch(/"scope":"zorg","ids":\[2\]/);
    expect((await source.sql("SELECT FROM tiercache_crm")).rowCount).toBe(0);
  });

  it("gives rows as `pg` does", async () => {
    const seen: unknown[] = [];
    const listener = await listen({
      tables: (feed) =>
        feed.table<ContactRow & { big: string; name: string | null }>("contacts", {
          targets: ({ new: row }) => {
            if (row !== undefined) seen.push(row.id, row.born, row.big, row.marks, row.name);
            return [];
          },
        }),
    });
    await source.sql("INSERT INTO contacts VALUES (1, 'acme', '2026-01-02 03:04:05+00', 9007199254740993, '{1,2}')");
    await listener.settle();
    expect(seen).toEqual([1, new Date("2026-01-02T03:04:05Z"), "9007199254740993", [1, 2], null]);
  });

  it("keeps only the columns that are named", async () => {
    const listener = await listen({
      tables: (feed) => feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id, columns: ["id"] }),
    });
    await listener.open.close();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    const { rows } = await source.sql("SELECT kind, new FROM tiercache_crm");
    expect(rows).toEqual([{ kind: "insert", new: { id: 1 } }]);
  });

  it("is truncated as a whole, and past so many rows told as a whole", async () => {
    const listener = await listen({ collapseAt: 20 });
    await source.sql("INSERT INTO contacts SELECT n, 'acme' FROM generate_series(1, 5000) AS n");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
    await source.sql("TRUNCATE contacts");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
  });

  it("is read by one process, and by another when that one ends", async () => {
    const [first, second] = [await listen(), await listen()];
    expect([first.role, second.role]).toEqual(["leader", "standby"]);
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await second.settle();
    expect(first.take()).toEqual([{ of: contact, scope: "acme", ids: [1] }]);
    await first.open.close();
    await source.sql("INSERT INTO contacts VALUES (2, 'acme')");
    await second.settle();
    expect(second.role).toBe("leader");
    expect(second.take()).toEqual([{ of: contact, scope: "acme", ids: [2] }]);
    expect(second.forgets).toBe(0);
  });

  it("is not complete in any process before what was committed is published", async () => {
    const [first, second] = [await listen(), await listen()];
    first.refuses = true;
    second.refuses = true;
    const before = performance.now();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    const token = await second.feed.token();
    const late = { code: "ERR_CACHE_TIMEOUT" };
    await Promise.all(
      [first, second].map(({ feed }) => expect(feed.wait(token, { timeout: 400 })).rejects.toMatchObject(late)),
    );
    expect(Math.max(first.completeAt, second.completeAt)).toBeLessThan(before);
    first.refuses = false;
    second.refuses = false;
    await Promise.all([first.feed.wait(token, { timeout: 20_000 }), second.feed.wait(token, { timeout: 20_000 })]);
  });

  it("keeps what the shared tier has not got", async () => {
    const listener = await listen();
    shared.away = true;
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await until(() => listener.heard("disconnected"), "it was tried");
    expect((await source.sql("SELECT FROM tiercache_crm")).rowCount).toBe(1);
    shared.away = false;
    await listener.settle();
    expect(listener.take()).toEqual([{ of: contact, scope: "acme", ids: [1] }]);
  });

  it("whose triggers were removed, or switched off, has them again, and what they missed is invalidated", async () => {
    const listener = await listen();
    await source.sql("ALTER TABLE contacts DISABLE TRIGGER ALL");
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await until(() => listener.heard("mended"), "the triggers are there again");
    await listener.settle();
    expect(listener.take()).toContainEqual({ of: contact, all: true });
  });

  it("that was emptied by somebody else is found out", async () => {
    const listener = await listen();
    await listener.open.close();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    await source.sql("TRUNCATE tiercache_crm");
    const next = await listen();
    expect(next.forgets).toBe(1);
    await source.sql("BEGIN; INSERT INTO contacts VALUES (2, 'acme'); TRUNCATE tiercache_crm; COMMIT");
    await until(() => next.forgets === 2, "it is found out while it is polled as well");
    await next.settle();
    expect(next.forgets).toBe(2);
  });

  it("never makes a write fail when columns come and go", async () => {
    const listener = await listen({
      tables: (feed) =>
        feed.table<ContactRow>("contacts", { entity: contact, id: (row) => row.id, columns: ["id", "tenant_id"] }),
    });
    await source.sql("ALTER TABLE contacts DROP COLUMN tenant_id, ADD COLUMN more text");
    await source.sql("INSERT INTO contacts (id) VALUES (1)");
    await listener.settle();
    expect(listener.published.length).toBeGreaterThan(0);
  });

  it("can be removed", async () => {
    const listener = await listen();
    await listener.open.close();
    const remover = new Listener(source, shared, { tables: contacts, method: "outbox", setup: false });
    await remover.feed.removeOutbox();
    await remover.open.close();
    await source.sql("INSERT INTO contacts VALUES (1, 'acme')");
    const { rows } = await source.sql(
      "SELECT to_regclass('tiercache_crm') AS outbox, (SELECT count(*)::int FROM pg_trigger WHERE NOT tgisinternal) AS triggers",
    );
    expect(rows).toEqual([{ outbox: null, triggers: 0 }]);
  });

  it("says what must be run for a role that may not create it", async () => {
    await source.sql("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    const connect = source.server.url.replace(/\/\/[^@]*@/, "//plain:plain@");
    const listener = new Listener(source, shared, { tables: contacts, method: "outbox", connect });
    try {
      const [problem] = await listener.feed.ensure();
      expect(problem).toMatchObject({ level: "refused", code: "outbox" });
      expect(listener.completeAt).toBe(Number.NEGATIVE_INFINITY);
      await source.sql(problem?.sql ?? "");
    } finally {
      await listener.open.close();
      await source.sql("DROP OWNED BY plain; DROP ROLE plain");
    }
  });
});
