import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { CacheError } from "../../src/index.js";
import { postgresFeed, type PostgresFeed, type PostgresFeedOptions } from "../../src/postgres/feed.js";
import type { SetupProblem } from "../../src/postgres/feed/setup.js";
import { startSource, type Source } from "../support/postgres-source.js";
import { Listener, Shared, until } from "./postgres-feed-world.js";

let source: Source;
const contact = { name: "contact" };

beforeAll(async () => {
  source = await startSource({
    settings: { wal_level: "logical", max_replication_slots: "1", max_slot_wal_keep_size: "100MB" },
  });
  await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, name text)");
  await source.sql("CREATE TABLE loose (id int, name text)");
  await source.sql("CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)");
  await source.sql("CREATE VIEW seen AS SELECT * FROM contacts");
  await source.sql("CREATE ROLE plain LOGIN PASSWORD 'plain'");
  await source.sql("CREATE ROLE feeder LOGIN REPLICATION PASSWORD 'feeder'");
});
afterAll(() => source.close());

function feedOf(tables: readonly string[], options: Partial<PostgresFeedOptions> = {}): PostgresFeed {
  const feed = postgresFeed({ connect: source.server.url, ...options });
  for (const table of tables) feed.table<{ id: number }>(table, { entity: contact, id: (row) => row.id });
  return feed;
}

async function problemsOf(
  tables: readonly string[],
  options: Partial<PostgresFeedOptions> = {},
): Promise<readonly SetupProblem[]> {
  const feed = feedOf(tables, options);
  const problems = await feed.ensure();
  await feed.close();
  return problems;
}

const as = (role: string): string => source.server.url.replace(/\/\/[^@]*@/, `//${role}:${role}@`);

describe("ensure", () => {
  it("finds nothing where everything is as it should be, and has made the publication", async () => {
    expect(await problemsOf(["contacts"], { publication: "good" })).toEqual([]);
    const { rows } = await source.sql("SELECT tablename FROM pg_publication_tables WHERE pubname = 'good'");
    expect(rows).toEqual([{ tablename: "contacts" }]);
  });

  it("refuses a table without a primary key, publishes nothing, and says what to do", async () => {
    const problems = await problemsOf(["loose", "contacts"], { publication: "bad" });
    expect(problems).toContainEqual({
      level: "refused",
      code: "identity",
      message: '"public"."loose" has no primary key: published, its UPDATEs and DELETEs would fail',
      sql: 'ALTER TABLE "public"."loose" ADD PRIMARY KEY (id)',
    });
    expect((await source.sql("SELECT FROM pg_publication WHERE pubname = 'bad'")).rowCount).toBe(0);
    await source.sql("INSERT INTO loose VALUES (1); UPDATE loose SET name = 'x'");
    for (const { code, sql } of problems) if (code === "identity" && sql !== undefined) await source.sql(sql);
    expect(await problemsOf(["loose", "contacts"], { publication: "bad" })).toEqual([]);
  });

  it.each([
    ["a table that is not there", "nowhere", "table", undefined],
    ["a view", "seen", "table", undefined],
    ["an unlogged table", "fleeting", "persistence", 'ALTER TABLE "public"."fleeting" SET LOGGED'],
  ])("refuses %s", async (_, table, code, sql) => {
    const problems = await problemsOf([table], { publication: "odd" });
    expect(problems).toContainEqual({ level: "refused", code, sql, message: expect.any(String) });
  });

  it("refuses a role that may not replicate, with the statement that lets it", async () => {
    const problems = await problemsOf(["contacts"], { connect: as("plain"), publication: "good" });
    expect(problems).toContainEqual({
      level: "refused",
      code: "role",
      message: "The role plain may not replicate",
      sql: 'ALTER ROLE "plain" REPLICATION',
    });
  });

  it("says what a role that may not create the publication must have run for it", async () => {
    const problems = await problemsOf(["contacts"], { connect: as("feeder"), publication: "other" });
    expect(problems).toEqual([
      {
        level: "refused",
        code: "publication",
        message: expect.stringContaining("permission denied"),
        sql: 'CREATE PUBLICATION "other" FOR TABLE "public"."contacts" WITH (publish_via_partition_root = true)',
      },
    ]);
    await source.sql(problems[0]?.sql ?? "");
    expect(await problemsOf(["contacts"], { connect: as("feeder"), publication: "other" })).toEqual([]);
  });

  it("refuses a publication that leaves out kinds of change, or rows, and mends it where it may", async () => {
    await source.sql("CREATE PUBLICATION partial FOR TABLE contacts WHERE (id > 5) WITH (publish = 'insert')");
    const codes = (await problemsOf(["contacts"], { publication: "partial", setup: false })).map(({ code }) => code);
    expect(codes).toEqual(["publication", "publication"]);
    expect(await problemsOf(["contacts"], { publication: "partial" })).toEqual([]);
  });

  it("refuses another's slot, and a server without a place for one", async () => {
    await source.sql("SELECT pg_create_logical_replication_slot('taken', 'test_decoding')");
    const own = await problemsOf(["contacts"], { slot: "taken", publication: "good" });
    expect(own.map(({ code }) => code)).toEqual(["slot"]);
    const full = await problemsOf(["contacts"], { slot: "mine", publication: "good" });
    expect(full).toEqual([
      expect.objectContaining({ code: "slots", sql: "ALTER SYSTEM SET max_replication_slots = 5" }),
    ]);
    await source.sql("SELECT pg_drop_replication_slot('taken')");
  });

  it("refuses a server whose log is not logical, and warns of a slot that keeps the log for ever", async () => {
    const other = await startSource({ settings: { wal_level: "replica" } });
    try {
      await other.sql("CREATE TABLE contacts (id int PRIMARY KEY)");
      const problems = await problemsOf(["contacts"], { connect: other.server.url });
      expect(problems.map(({ level, code, sql }) => [level, code, sql])).toEqual([
        ["refused", "wal-level", "ALTER SYSTEM SET wal_level = 'logical'"],
        ["advice", "wal-keep", "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'; SELECT pg_reload_conf()"],
        ["refused", "publication", expect.stringMatching("^CREATE PUBLICATION")],
      ]);
    } finally {
      await other.close();
    }
  });
});

describe("a feed whose database is not set up", () => {
  it("says so in the cache's events, believes nothing, and begins when it is mended", async () => {
    await source.sql("CREATE TABLE later (id int)");
    const listener = new Listener(source, new Shared(), {
      cacheName: "later",
      publication: "later",
      tables: (feed) => void feed.table<{ id: number }>("later", { entity: contact, id: (row) => row.id }),
    });
    try {
      await until(() => listener.heard("refused"), "it says what is wrong");
      expect(listener.role).toBe("refused");
      expect(listener.completeAt).toBe(Number.NEGATIVE_INFINITY);
      const [news] = listener.news.filter(({ what }) => what === "refused");
      expect(String(news?.error)).toContain('ALTER TABLE "public"."later" ADD PRIMARY KEY (id)');
      await source.sql("ALTER TABLE later ADD PRIMARY KEY (id)");
      await listener.feed.ready();
      expect((await listener.feed.status()).role).toBe("leader");
    } finally {
      await listener.open.close();
      await source.sql("SELECT pg_drop_replication_slot('tiercache_later')");
    }
  });
});

describe("a role with REPLICATION, and nothing else", () => {
  it("feeds, once the publication is there", async () => {
    await source.sql("CREATE PUBLICATION given FOR TABLE contacts");
    const listener = new Listener(source, new Shared(), {
      cacheName: "plain",
      connect: as("feeder"),
      publication: "given",
      setup: false,
      tables: (feed) => void feed.table<{ id: number }>("contacts", { entity: contact, id: (row) => row.id }),
    });
    try {
      await listener.feed.ready();
      await source.sql("INSERT INTO contacts VALUES (77)");
      await listener.settle();
      expect(listener.take()).toEqual([{ of: contact, scope: undefined, ids: [77] }]);
    } finally {
      await listener.open.close();
      await until(async () => {
        await source.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active");
        return (await source.sql("SELECT FROM pg_replication_slots")).rowCount === 0;
      }, "the slot is gone");
    }
  });
});

describe("options that are wrong", () => {
  it.each<[string, () => unknown]>([
    ["no connection", () => postgresFeed({ connect: "" })],
    ["a slot's name with capitals", () => postgresFeed({ connect: "postgres://", slot: "Slot" })],
    ["an option that is none", () => postgresFeed({ connect: "postgres://", maxStale: 5 } as never)],
    ["a bound below what a round trip takes", () => postgresFeed({ connect: "postgres://", maxStaleness: 1 })],
    ["an entity without an id", () => postgresFeed({ connect: "postgres://" }).table("a", { entity: contact })],
    ["a mapping to nothing", () => postgresFeed({ connect: "postgres://" }).table("a", {})],
    [
      "a table's name with three parts",
      () => postgresFeed({ connect: "postgres://" }).table("a.b.c", { tags: () => [] }),
    ],
    ["a message of ours", () => postgresFeed({ connect: "postgres://" }).message("tiercache", () => [])],
  ])("%s throws at once", (_, make) => {
    expect(make).toThrow(CacheError);
  });
});
