import type { Pool, PoolClient } from "pg";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCache, type Cache, type CacheEvent, type WriteBehind } from "../../src/index.js";
import { postgresCounts } from "../../src/postgres/sink-counts.js";
import { postgresSink, type PostgresSinkOptions } from "../../src/postgres/sink.js";
import { transaction } from "../../src/postgres/sink-transaction.js";
import { MemoryJournal } from "../../src/testing/index.js";
import { createPeople } from "../support/people.js";
import { onePostgres } from "./one-postgres.js";

interface Person {
  readonly name: string;
  readonly email?: string;
  readonly version?: number;
  readonly [column: string]: unknown;
}

const database = onePostgres(5);
let pool: Pool;
let cache: Cache;
let journal: MemoryJournal;
let events: CacheEvent[];

beforeAll(() => {
  pool = database.pool;
});
beforeEach(async () => {
  await createPeople(pool);
  await pool.query("DROP TABLE IF EXISTS tiercache_flush_state, tiercache_flush_batch, views");
  journal = new MemoryJournal();
  cache = createCache({ name: "crm" });
  events = [];
  cache.on("*", (event) => events.push(event));
  return () => cache.close();
});

async function people(
  options: Partial<PostgresSinkOptions> = {},
  own: Cache = cache,
): Promise<WriteBehind<number, Person>> {
  const sink = postgresSink(pool, { table: "people", key: "id", version: "version", ...options });
  await sink.ensure();
  return own.writeBehind<number, Person>({
    name: "people",
    journal: journal.journal(),
    sink,
    flushEvery: "1h",
    load: async (id) => (await pool.query<Person>("SELECT * FROM people WHERE id = $1", [id])).rows[0],
  });
}

const stored = async (id: number): Promise<Record<string, unknown> | undefined> =>
  (await pool.query<Record<string, unknown>>("SELECT * FROM people WHERE id = $1", [id])).rows[0];

describe("rows written behind", () => {
  it("are read as they will be, and stored as they are by a flush", async () => {
    const rows = await people();
    await rows.put(1, { name: "Ada" });
    await rows.patch(1, { email: "ada@example.org" });
    expect(await rows.get(1)).toEqual({ name: "Ada", email: "ada@example.org" });
    expect(await stored(1)).toBeUndefined();
    await rows.flush();
    expect(await stored(1)).toMatchObject({ id: "1", name: "Ada", email: "ada@example.org", version: "2" });
    await rows.delete(1);
    expect(await rows.get(1)).toBeUndefined();
    await rows.flush();
    expect(await stored(1)).toBeUndefined();
  });

  it("keep every common type", async () => {
    const rows = await people();
    const born = new Date("1815-12-10T00:00:00Z");
    const data = { a: [1, { b: 'é\\"' }], c: null };
    await rows.put(1, {
      name: "Ada",
      data,
      photo: Uint8Array.of(0, 92, 255),
      score: Number.NaN,
      tags: ["x", "y,z"],
      born,
    });
    await rows.put(2, { name: "Bob", score: Number.NEGATIVE_INFINITY, data: "text", email: "" });
    await rows.flush();
    expect(await stored(1)).toMatchObject({
      data,
      photo: Buffer.from([0, 92, 255]),
      score: Number.NaN,
      tags: ["x", "y,z"],
    });
    expect(await stored(2)).toMatchObject({ score: Number.NEGATIVE_INFINITY, data: "text", email: "" });
  });

  it("set aside the row that the database refuses, and only that", async () => {
    const rows = await people();
    for (let id = 0; id < 20; id++) await rows.put(id, { name: id === 13 ? "poison" : `n${id}` });
    await rows.put(20, { name: "nul \0 in text" });
    await rows.put(21, { name: "a map", data: new Map() });
    await rows.flush();
    expect((await pool.query("SELECT count(*)::int AS n FROM people")).rows).toEqual([{ n: 19 }]);
    const letters = await rows.deadLetters.list();
    expect(letters.map(({ id }) => id)).toEqual([13, 20, 21]);
    expect(letters[0]?.reason).toMatch(/people_name_check/);
    expect(letters[2]?.reason).toMatch(/JSON can say, got `Map`/);
    expect(events.filter(({ type }) => type === "parked")).toHaveLength(3);
    expect(await rows.stats()).toMatchObject({ depth: 0, dead: 3, flushed: 22 });
    // What was refused is read as the database has it, not as it was to be.
    expect(await rows.get(13)).toBeUndefined();
  });

  it("are retried from the dead letters once, and forgotten by a word", async () => {
    const rows = await people();
    await rows.put(1, { name: "poison" });
    await rows.put(2, { name: "poison" });
    await rows.flush();
    await pool.query("ALTER TABLE people DROP CONSTRAINT people_name_check");
    const [first, second] = await rows.deadLetters.list();
    expect(await rows.deadLetters.retry(first?.opId ?? "")).toBe(true);
    expect(await rows.deadLetters.retry(first?.opId ?? "")).toBe(false);
    expect(await rows.deadLetters.discard(second?.opId ?? "")).toBe(true);
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "poison", version: "1" });
    expect(await stored(2)).toBeUndefined();
    expect(await rows.deadLetters.list()).toEqual([]);
  });

  it("wait while the database cannot be written to for another reason", async () => {
    const rows = await people();
    await rows.put(1, { name: "Ada" });
    await pool.query("ALTER TABLE people RENAME TO folk");
    await expect(rows.flush()).rejects.toThrow(/people/);
    expect(await rows.stats()).toMatchObject({ depth: 1, dead: 0, failures: 1 });
    expect(events.filter(({ type }) => type === "flush-failed")).toHaveLength(1);
    await pool.query("ALTER TABLE folk RENAME TO people");
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "Ada" });
  });

  it("say what to do when the tables of the flush are missing", async () => {
    const rows = await people();
    await rows.put(1, { name: "Ada" });
    await pool.query("DROP TABLE tiercache_flush_state");
    await expect(rows.flush()).rejects.toThrow(expect.objectContaining({ code: "ERR_CACHE_TIER" }));
    await expect(rows.flush()).rejects.toThrow(/call `ensure\(\)`/);
    await pool.query(
      "CREATE TABLE tiercache_flush_state (name text PRIMARY KEY, generation text, tiercache_flush_seq bigint)",
    );
    await expect(rows.flush()).rejects.toThrow(/not of this release/);
    await pool.query("DROP TABLE tiercache_flush_state");
    await postgresSink(pool, { table: "people", key: "id" }).ensure();
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "Ada" });
  });

  it("refuse a state that holds no number", async () => {
    const rows = await people();
    await pool.query("INSERT INTO tiercache_flush_state VALUES ('crm.people', 'g', -7, 'b')");
    await rows.put(1, { name: "Ada" });
    await expect(rows.flush()).rejects.toThrow(/holds `-7` for a number/);
  });

  it("are checked with deferred constraints, too", async () => {
    const rows = await people();
    await pool.query("ALTER TABLE people DROP CONSTRAINT people_email_key");
    await pool.query("ALTER TABLE people ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED");
    await rows.put(1, { name: "Ada", email: "a" });
    await rows.put(2, { name: "Bob", email: "a" });
    await rows.flush();
    expect((await rows.deadLetters.list()).map(({ id }) => id)).toEqual([2]);
  });

  it("are made from a key of several columns", async () => {
    await pool.query("DROP TABLE IF EXISTS seats");
    await pool.query('CREATE TABLE seats ("row" int, "Seat" text, taken boolean, PRIMARY KEY ("row", "Seat"))');
    const sink = postgresSink(pool, { table: "public.seats", key: ["row", "Seat"] });
    await sink.ensure();
    const seats = cache.writeBehind<readonly [number, string], { taken: boolean }>({
      name: "seats",
      journal: journal.journal(),
      sink,
      flushEvery: "1h",
      load: () => Promise.resolve(undefined),
    });
    await seats.put([1, "A"], { taken: true });
    await seats.put([1, "B"], { taken: false });
    await seats.delete([1, "B"]);
    await seats.flush();
    expect((await pool.query("SELECT * FROM seats")).rows).toEqual([{ row: 1, Seat: "A", taken: true }]);
  });
});

describe("a connection that breaks between two statements of a transaction", () => {
  it("rejects the next one, and ends neither the process nor the pool", async () => {
    const { pool } = database;
    const flushing = transaction(pool, async (query, client) => {
      const [session] = await query("SELECT pg_backend_pid() AS pid");
      // Not `once` of node:events, which would hear the error.
      const ended = new Promise<void>((resolve) => (client as PoolClient).once("end", resolve));
      await pool.query("SELECT pg_terminate_backend($1)", [(session as { pid: number }).pid]);
      await ended;
      await query("SELECT 1");
    });
    await expect(flushing).rejects.toThrow(/not queryable/);
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });
});

describe("a conflict with another writer", () => {
  beforeEach(async () => {
    await pool.query("INSERT INTO people (id, name, version) VALUES (1, 'Ada', 5), (2, 'Bob', 5)");
  });

  it("is none when the row is of the version the write was made from, however many there are", async () => {
    const rows = await people();
    expect((await rows.put(1, { name: "A" }, { base: 5 })).version).toBe(6);
    expect((await rows.put(1, { name: "AA" }, { base: 6 })).version).toBe(7);
    await rows.flush();
    await rows.patch(1, { email: "a" }, { base: 7 });
    await rows.put(3, { name: "new" }, { base: 0 });
    await rows.delete(2, { base: 5 });
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "AA", email: "a", version: "8" });
    expect(await stored(3)).toMatchObject({ version: "1" });
    expect(await stored(2)).toBeUndefined();
    expect(await rows.deadLetters.list()).toEqual([]);
  });

  it("is rejected: the other's write stays, the cache forgets ours", async () => {
    const rows = await people();
    await rows.put(1, { name: "ours" }, { base: 5 });
    await rows.delete(2, { base: 4 });
    await rows.patch(9, { name: "nobody" });
    await rows.put(2, { name: "there" }, { base: 0 });
    await pool.query("UPDATE people SET name = 'theirs', version = 6 WHERE id = 1");
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "theirs", version: "6" });
    expect(await stored(2)).toMatchObject({ name: "Bob" });
    expect((await rows.get(1))?.name).toBe("theirs");
    expect((await rows.deadLetters.list()).map(({ id, reason }) => [id, reason])).toEqual([
      [1, "conflict: the row is not of version 5"],
      [2, "conflict: the row is not of version 4"],
      [9, "conflict: there is no row to patch"],
      [2, "conflict: the row is not of version 0"],
    ]);
  });

  it("of two writes in the log is seen, too: the first wins", async () => {
    const rows = await people();
    await rows.put(1, { name: "first" }, { base: 5 });
    await rows.put(1, { name: "second" }, { base: 5 });
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "first", version: "6" });
    expect(await rows.deadLetters.list()).toMatchObject([{ value: { name: "second" } }]);
  });

  it("is overwritten where that is wanted", async () => {
    const rows = await people({ conflict: "overwrite" });
    await rows.put(1, { name: "ours" }, { base: 2 });
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "ours", version: "6" });
  });

  it("is merged by a function, which sees the row", async () => {
    const rows = await people({
      conflict: "merge",
      merge: ({ current, change }) => ({ ...(change.value as Person), email: String(current?.["name"]) }),
    });
    await rows.put(1, { name: "ours" }, { base: 2 });
    expect((await rows.get(1))?.email).toBeUndefined();
    await rows.flush();
    expect(await stored(1)).toMatchObject({ name: "ours", email: "Ada", version: "6" });
    expect((await rows.get(1))?.email).toBe("Ada");
  });

  it("that cannot be merged is a dead letter", async () => {
    const rows = await people({
      conflict: "merge",
      merge: () => {
        throw new Error("no way");
      },
    });
    await rows.put(1, { name: "ours" }, { base: 2 });
    await rows.flush();
    expect((await rows.deadLetters.list())[0]?.reason).toBe("merge failed: no way");
  });
});

describe("counts", () => {
  beforeEach(() => pool.query("CREATE TABLE views (page text PRIMARY KEY, n bigint NOT NULL)").then(() => undefined));

  it("are what is stored and what is pending, before, between and after flushes", async () => {
    await pool.query("INSERT INTO views VALUES ('home', 100)");
    const sink = postgresCounts(pool, { table: "views", key: "page", count: "n" });
    await sink.ensure();
    const views = cache.counter("views", { journal: journal.journal(), sink, flushEvery: "1h", maxBatch: 3 });
    expect(await views.get("home")).toBe(100);
    for (let n = 1; n <= 5; n++) await views.increment("home", n);
    await views.increment("new");
    expect(await views.get("home")).toBe(115);
    await views.flush();
    expect(await views.get("home")).toBe(115);
    expect(await views.get("new")).toBe(1);
    expect((await pool.query("SELECT * FROM views ORDER BY page")).rows).toEqual([
      { page: "home", n: "115" },
      { page: "new", n: "1" },
    ]);
  });

  it("set aside the increment that overflows, and those of rows that must be there", async () => {
    await pool.query("INSERT INTO views VALUES ('full', 9223372036854775807), ('home', 0)");
    const sink = postgresCounts(pool, { table: "views", key: "page", count: "n", insert: false });
    await sink.ensure();
    const views = cache.counter("views", { journal: journal.journal(), sink, flushEvery: "1h" });
    await Promise.all([
      views.increment("full"),
      views.increment("home"),
      views.increment("missing"),
      views.increment("home"),
    ]);
    await views.flush();
    const letters = await views.deadLetters.list();
    expect(letters.map(({ id, by }) => [id, by])).toEqual([
      ["full", 1],
      ["missing", 1],
    ]);
    expect(await views.get("home")).toBe(2);
    await expect(views.get("full")).rejects.toThrow(expect.objectContaining({ code: "ERR_CACHE_VALUE" }));
  });
});
