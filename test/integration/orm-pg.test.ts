import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { cachedPool, type CachedPool } from "../../src/postgres/queries-pg.js";
import type { CachedQuery, QueryCacheOptions } from "../../src/postgres/queries.js";
import { describeOrm, ormWorld, outside, type OrmTransaction, type PersonRow } from "./orm-suite.js";

const READ = "SELECT id, name FROM person WHERE team_id = $1 ORDER BY id";
const RENAME = "UPDATE person SET name = $2 WHERE id = $1";
const minute: CachedQuery = { ttl: "1m" };

describeOrm("pg", async ({ server, options }) => {
  const pool = cachedPool(new pg.Pool({ connectionString: server.url, max: 8 }), options);
  pool.on("error", () => undefined);
  const inside = (client: { query: CachedPool<pg.Pool>["query"] }): OrmTransaction => {
    let depth = 0;
    return {
      read: async (team) => (await client.query<PersonRow>({ text: READ, values: [team], cache: minute })).rows,
      rename: (id, name) => client.query(RENAME, [id, name]),
      nested: async (body) => {
        depth += 1;
        const name = `deep_${depth}`;
        await client.query(`SAVEPOINT ${name}`);
        try {
          await body(inside(client));
        } catch (error) {
          await client.query(`ROLLBACK TO SAVEPOINT ${name}`);
          throw error;
        }
        await client.query(`RELEASE ${name}`);
      },
    };
  };
  return {
    read: async (team, cache = minute) => (await pool.query<PersonRow>({ text: READ, values: [team], cache })).rows,
    rename: (id, name) => pool.query(RENAME, [id, name]),
    transaction: async (body) => {
      const client = await pool.connect();
      try {
        await client.query("BEGIN");
        await body(inside(client));
        await client.query("COMMIT");
      } catch (error) {
        await client.query("ROLLBACK");
        throw error;
      } finally {
        client.release();
      }
    },
    fail: () => pool.query({ text: "SELECT 1 / (id - id) FROM person", cache: minute }),
    failure: { code: "22012", severity: "ERROR" },
    close: () => pool.end(),
  };
});

describe("pg: a wrapped pool", () => {
  const world = ormWorld();
  let pool: CachedPool<pg.Pool>;
  beforeEach(() => {
    pool = cachedPool(new pg.Pool({ connectionString: world.current.server.url, max: 4 }), world.current.options);
    pool.on("error", () => undefined);
  });
  afterEach(() => pool.end());

  it("passes for the pool itself", () => {
    expect(pool).toBeInstanceOf(pg.Pool);
    expect(pool.totalCount).toBe(0);
  });

  it("gives every type back as the driver gives it", async () => {
    const text = `SELECT *, 'Infinity'::float8 AS far, '2020-01-01'::date AS day, ARRAY[[1,2],[3,4]] AS grid,
      '(1,2)'::point AS spot, ARRAY['2020-01-01'::timestamptz] AS days, 7::int8 AS long, false AS no FROM person ORDER BY id`;
    const { rows } = await world.current.admin.query(text);
    const loaded = await pool.query({ text, cache: minute });
    const hit = await pool.query({ text, cache: minute });
    expect(loaded.rows).toStrictEqual(rows);
    expect(hit.rows).toStrictEqual(rows);
    expect(Buffer.isBuffer(hit.rows[0]?.["photo"])).toBe(true);
    expect(hit.rowCount).toBe(3);
    expect(hit.command).toBe("SELECT");
    expect(hit.fields.map((field) => field.name)).toEqual(Object.keys(rows[0] as object));
    expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(1);
  });

  it("takes a value that is no plain data from the database each time", async () => {
    const ask = { text: "SELECT '1 day'::interval AS pause, name FROM person WHERE id = 1", cache: minute };
    const first = await pool.query<{ pause: { days: number } }>(ask);
    const second = await pool.query<{ pause: { days: number } }>(ask);
    expect(first.rows[0]?.pause.days).toBe(1);
    expect(second.rows[0]?.pause).toStrictEqual(first.rows[0]?.pause);
    expect(world.current.events.some((event) => event.type === "refused" && event.reason === "unstorable")).toBe(true);
  });

  it("tells parameters apart by type and value", async () => {
    const text = "SELECT pg_typeof($1::text)::text AS type, $1::text AS value";
    const day = new Date("2020-01-02T03:04:05Z");
    const values: readonly unknown[] = [
      1,
      "1",
      true,
      "true",
      null,
      undefined,
      "",
      1n,
      day,
      day.toISOString(),
      Buffer.from("a"),
      Buffer.from("b"),
      "\\x61",
      ["a", "b"],
      ["a,b"],
      [["a"], ["b"]],
      [null],
      [],
      { a: 1 },
      '{"a":1}',
    ];
    for (const value of values) await pool.query({ text, values: [value], cache: minute });
    expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(values.length);
    for (const value of values) await pool.query({ text, values: [value], cache: minute });
    expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(values.length);
  });

  it("tells the rows of arrays from those of objects", async () => {
    const text = "SELECT id, name FROM person WHERE id = 1";
    expect((await pool.query({ text, cache: minute })).rows).toEqual([{ id: 1, name: "Ann" }]);
    expect((await pool.query({ text, rowMode: "array", cache: minute })).rows).toEqual([[1, "Ann"]]);
  });

  it("sees joins, subqueries and CTEs, quoted and with a schema", async () => {
    const reads = [
      "SELECT t.title FROM person p JOIN team t ON t.id = p.team_id WHERE p.id = 1",
      "WITH x AS (SELECT * FROM public.team) SELECT x.title FROM x WHERE id = 1",
      'SELECT (SELECT "title" FROM "team" WHERE id = 1) AS title',
      "SELECT title FROM (SELECT 1 AS one) o, lateral (SELECT title FROM team WHERE id = 1) t",
      "SELECT title FROM person, team WHERE person.team_id = team.id AND person.id = 1",
      "SELECT title FROM (person JOIN team ON team.id = person.team_id) WHERE person.id = 1",
    ];
    for (const text of reads)
      expect((await pool.query({ text, cache: minute })).rows).toMatchObject([{ title: "one" }]);
    await pool.query(
      "WITH done AS (UPDATE ONLY public.team SET title = 'uno' WHERE id = 1 RETURNING id) SELECT * FROM done",
    );
    for (const text of reads)
      expect((await pool.query({ text, cache: minute })).rows).toMatchObject([{ title: "uno" }]);
  });

  it.each([
    ["INSERT", "INSERT INTO team VALUES (5, 'five') ON CONFLICT (id) DO UPDATE SET title = 'five'"],
    ["UPDATE", "UPDATE team SET title = 'changed'"],
    ["DELETE", "DELETE FROM team WHERE id = 9"],
    ["TRUNCATE", "TRUNCATE TABLE team, person"],
    [
      "MERGE",
      "MERGE INTO team t USING (VALUES (7)) v (id) ON t.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (7, 'seven')",
    ],
    ["several in one text", "UPDATE person SET name = 'x' WHERE id = 2; UPDATE team SET title = 'changed'"],
  ])("drops readers after %s", async (_, sql) => {
    const ask = { text: "SELECT * FROM team ORDER BY id", cache: minute };
    await pool.query(ask);
    await pool.query(sql);
    const { rows } = await pool.query(ask);
    expect(rows).toStrictEqual((await world.current.admin.query(ask.text)).rows);
    expect(world.current.problems).toEqual([]);
  });

  it("says so when it cannot tell what was written, and invalidates nothing", async () => {
    await pool.query({ text: "SELECT * FROM team", cache: minute });
    await pool.query("DO $$ BEGIN UPDATE team SET title = 'hidden'; END $$");
    expect(world.current.problems).toMatchObject([{ type: "unrecognised", why: "DO may change anything" }]);
    expect(world.current.events.some((event) => event.type === "invalidated")).toBe(false);
  });

  it("does not cache what is no plain read", async () => {
    for (const text of [
      "SELECT * FROM team FOR UPDATE",
      "UPDATE team SET title = title RETURNING *",
      "SELECT 1; SELECT 2",
    ]) {
      await pool.query({ text, cache: minute });
    }
    expect(world.current.events.filter((event) => event.type === "stored")).toEqual([]);
    expect(world.current.problems.filter((problem) => problem.type === "not-cached")).toHaveLength(3);
  });

  it("is used by callbacks as by promises", async () => {
    const rows = await new Promise((resolve, reject) => {
      pool.query("SELECT name FROM person WHERE id = $1", [1], (error, result) =>
        error === undefined || error === null ? resolve(result.rows) : reject(error),
      );
    });
    expect(rows).toEqual([{ name: "Ann" }]);
    const name = await new Promise((resolve, reject) => {
      (pool as pg.Pool).connect((error, client, done) => {
        if (client === undefined) return reject(error);
        client.query("UPDATE person SET name = 'Anna' WHERE id = 1 RETURNING name", (failed, result) => {
          done();
          return failed === null || failed === undefined ? resolve(result.rows) : reject(failed);
        });
      });
    });
    expect(name).toEqual([{ name: "Anna" }]);
  });

  it("keeps connections with different settings apart", async () => {
    const { admin } = world.current;
    await admin.query(
      "DROP SCHEMA IF EXISTS acme CASCADE; CREATE SCHEMA acme; CREATE TABLE acme.team (id int, title text)",
    );
    await admin.query("INSERT INTO acme.team VALUES (1, 'acme')");
    const ask = { text: "SELECT title FROM team WHERE id = 1", cache: minute };
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
    const client = await pool.connect();
    await client.query("SET search_path TO acme");
    expect((await client.query(ask)).rows).toEqual([{ title: "acme" }]);
    expect((await client.query(ask)).rows).toEqual([{ title: "acme" }]);
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
    expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(2);
    await client.query("RESET search_path");
    expect((await client.query(ask)).rows).toEqual([{ title: "one" }]);
    expect(world.current.events.filter((event) => event.type === "loaded")).toHaveLength(2);
    await client.query("SELECT set_config('search_path', 'acme', false)");
    expect((await client.query(ask)).rows).toEqual([{ title: "acme" }]);
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
    client.release(true);
  });

  it("is no longer fooled by a role once the connection is back in the pool", async () => {
    const one = cachedPool(new pg.Pool({ connectionString: world.current.server.url, max: 1 }), world.current.options);
    const { admin } = world.current;
    await admin.query(
      "DROP SCHEMA IF EXISTS acme CASCADE; CREATE SCHEMA acme; CREATE TABLE acme.team (id int, title text)",
    );
    const ask = { text: "SELECT title FROM team WHERE id = 1", cache: minute };
    const client = await one.connect();
    await client.query("SET search_path TO acme");
    client.release();
    // The pool's only connection reads the other schema: as without a cache, and nothing of it is kept.
    expect((await one.query(ask)).rows).toEqual([]);
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
    await one.end();
  });

  it("counts a transaction from the moment BEGIN is sent", async () => {
    const ask = { text: "SELECT name FROM person WHERE id = 1", cache: minute };
    const client = await pool.connect();
    const begun = client.query("BEGIN");
    const wrote = client.query("UPDATE person SET name = 'mine' WHERE id = 1");
    const read = client.query(ask);
    await Promise.all([begun, wrote]);
    expect((await read).rows).toEqual([{ name: "mine" }]);
    await client.query("ROLLBACK");
    client.release();
    expect((await pool.query(ask)).rows).toEqual([{ name: "Ann" }]);
  });

  it("knows the transaction of a connection wherever it is used from", async () => {
    const ask = { text: "SELECT name FROM person WHERE id = 1", cache: minute };
    await pool.query(ask);
    const client = await pool.connect();
    await client.query("BEGIN");
    await client.query("UPDATE person SET name = 'mine' WHERE id = 1");
    // A worker of its own, say, that was started before.
    expect((await outside(() => client.query(ask))).rows).toEqual([{ name: "mine" }]);
    await outside(() => client.query("UPDATE team SET title = 'mine too' WHERE id = 1"));
    expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
    // And the pool, from inside: another connection, which is not answered from the cache either.
    await world.current.admin.query("UPDATE team SET title = 'seen' WHERE id = 2");
    const other = { text: "SELECT title FROM team WHERE id = 2", cache: minute };
    const stored = world.current.events.filter((event) => event.type === "stored").length;
    expect((await pool.query(other)).rows).toEqual([{ title: "seen" }]);
    expect(world.current.events.filter((event) => event.type === "stored")).toHaveLength(stored);
    await client.query("ROLLBACK");
    client.release();
    expect((await pool.query(ask)).rows).toEqual([{ name: "Ann" }]);
  });

  it("does not store a load that was overtaken by BEGIN on its own connection", async () => {
    const ask = { text: "SELECT name FROM person WHERE id = 1", cache: minute };
    const client = await pool.connect();
    const read = client.query(ask);
    const begun = client.query("BEGIN");
    const wrote = client.query("UPDATE person SET name = 'mine' WHERE id = 1");
    await Promise.all([read, begun, wrote]);
    await client.query("ROLLBACK");
    client.release();
    expect((await pool.query(ask)).rows).toEqual([{ name: "Ann" }]);
  });

  it("follows a transaction of one text, and COMMIT AND CHAIN", async () => {
    const ask = { text: "SELECT title FROM team WHERE id = 1", cache: minute };
    await pool.query(ask);
    const client = await pool.connect();
    await client.query("BEGIN; UPDATE team SET title = 'in one' WHERE id = 1; COMMIT");
    expect((await pool.query(ask)).rows).toEqual([{ title: "in one" }]);
    await client.query("BEGIN");
    await client.query("UPDATE team SET title = 'first' WHERE id = 1");
    await client.query("COMMIT AND CHAIN");
    expect((await pool.query({ ...ask, values: [] })).rows).toEqual([{ title: "first" }]);
    await client.query("UPDATE team SET title = 'second' WHERE id = 1");
    await client.query("ROLLBACK");
    client.release();
    expect((await pool.query(ask)).rows).toEqual([{ title: "first" }]);
  });

  it("takes a commit that rolled back for a rollback", async () => {
    await pool.query({ text: "SELECT * FROM team", cache: minute });
    const client = await pool.connect();
    await client.query("BEGIN");
    await client.query("UPDATE team SET title = 'never'");
    await client.query("SELECT 1/0").catch(() => undefined);
    expect((await client.query("COMMIT")).command).toBe("ROLLBACK");
    client.release();
    expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
  });

  it("invalidates when the connection is lost while the commit is under way", async () => {
    await pool.query({ text: "SELECT * FROM team", cache: minute });
    const client = await pool.connect();
    client.on("error", () => undefined);
    await client.query("BEGIN");
    await client.query("UPDATE team SET title = 'perhaps'");
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    // Sent and cut off: nobody knows what became of it.
    const lost = client.query("COMMIT; SELECT pg_sleep(10)");
    const cut = world.current.admin.query("SELECT pg_terminate_backend($1)", [rows[0]?.pid]);
    await expect(lost).rejects.toMatchObject({ severity: "FATAL" });
    await cut;
    client.release(true);
    expect(world.current.events.filter((event) => event.type === "invalidated").length).toBeGreaterThan(0);
    const { rows: now } = await pool.query({ text: "SELECT * FROM team", cache: minute });
    expect(now).toStrictEqual((await world.current.admin.query("SELECT * FROM team")).rows);
  });

  it("invalidates when a COMMIT's answer is lost with its connection", async () => {
    const { admin, events } = world.current;
    await admin.query(`
      CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON team DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION dawdle()`);
    await pool.query({ text: "SELECT * FROM team", cache: minute });
    const client = await pool.connect();
    client.on("error", () => undefined);
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await client.query("BEGIN");
    await client.query("UPDATE team SET title = 'perhaps' WHERE id = 1");
    const lost = expect(client.query("COMMIT")).rejects.toMatchObject({ severity: "FATAL" });
    const isCommitting = `SELECT 1 FROM pg_stat_activity WHERE pid = ${rows[0]?.pid} AND wait_event = 'PgSleep'`;
    await expect.poll(async () => (await admin.query(isCommitting)).rowCount, { timeout: 10_000 }).toBe(1);
    await admin.query("SELECT pg_terminate_backend($1)", [rows[0]?.pid]);
    await lost;
    client.release(true);
    expect(events.filter((event) => event.type === "invalidated")).toHaveLength(1);
  });

  it("does not store what is read in a transaction that nobody saw begin", async () => {
    const raw = new pg.Pool({ connectionString: world.current.server.url, max: 1 });
    raw.on("connect", (client) => void client.query("BEGIN; UPDATE team SET title = 'mine'").catch(() => undefined));
    const wrapped = cachedPool(raw, world.current.options);
    const ask = { text: "SELECT title FROM team WHERE id = 1", cache: minute };
    expect((await wrapped.query(ask)).rows).toEqual([{ title: "mine" }]);
    expect((await wrapped.query(ask)).rows).toEqual([{ title: "mine" }]);
    await wrapped.end();
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
  });

  it("does not mix a temporary table with the table it hides", async () => {
    const ask = { text: "SELECT title FROM team WHERE id = 1", cache: minute };
    const client = await pool.connect();
    await client.query("CREATE TEMPORARY TABLE team AS SELECT 1 AS id, 'temporary' AS title");
    expect((await client.query(ask)).rows).toEqual([{ title: "temporary" }]);
    expect((await pool.query(ask)).rows).toEqual([{ title: "one" }]);
    client.release(true);
  });

  it("remembers a transaction that was left open when its connection went back to the pool", async () => {
    const one = cachedPool(new pg.Pool({ connectionString: world.current.server.url, max: 1 }), world.current.options);
    const ask = { text: "SELECT name FROM person WHERE id = 1", cache: minute };
    const client = await one.connect();
    await client.query("BEGIN");
    await client.query("UPDATE person SET name = 'mine' WHERE id = 1");
    client.release();
    await one.query(ask);
    const again = await one.connect();
    await again.query("ROLLBACK");
    again.release();
    expect((await one.query(ask)).rows).toEqual([{ name: "Ann" }]);
    await one.end();
  });

  it("keeps two databases of one cache apart", async () => {
    const { admin, server, options } = world.current;
    await admin.query("DROP DATABASE IF EXISTS other").then(() => admin.query("CREATE DATABASE other"));
    const other = cachedPool(new pg.Pool({ connectionString: server.url.replace(/postgres$/, "other") }), options);
    const ask = { text: "SELECT current_database() AS name", cache: minute };
    expect((await pool.query(ask)).rows).toEqual([{ name: "postgres" }]);
    expect((await other.query(ask)).rows).toEqual([{ name: "other" }]);
    await other.end();
  });

  it("refuses options it does not know, before the database is asked", async () => {
    await expect(pool.query({ text: "SELECT 1", cache: { tll: "1m" } as CachedQuery })).rejects.toMatchObject({
      code: "ERR_CACHE_OPTION",
    });
    await expect(pool.query({ text: "SELECT 1", cache: 60 as CachedQuery })).rejects.toMatchObject({
      code: "ERR_CACHE_OPTION",
    });
    expect(world.current.sent("SELECT 1")).toBe(0);
    const bare = new pg.Pool();
    for (const options of [undefined, {}, { cache: {} }, { ...world.current.options, nmae: "x" }]) {
      expect(() => cachedPool(bare, options as QueryCacheOptions)).toThrow(
        expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
      );
    }
  });
});
