import { Kysely, PostgresDialect, sql, CamelCasePlugin } from "kysely";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { kyselyCache, type KyselyCache } from "../../src/orm/kysely.js";
import type { CachedQuery } from "../../src/postgres/queries.js";
import { inTransaction } from "../../src/postgres/transactional.js";
import { describeOrm, ormWorld, outside, type OrmTransaction } from "./orm-suite.js";

interface Database {
  team: { id: number; title: string };
  person: {
    id: number;
    team_id: number;
    tenant: string;
    name: string;
    score: string | null;
    born: Date | null;
    photo: Buffer | null;
    meta: unknown;
    words: string[];
  };
}

const minute: CachedQuery = { ttl: "1m" };

describeOrm("kysely", async ({ server, options }) => {
  const caching = kyselyCache(options);
  const pool = new pg.Pool({ connectionString: server.url, max: 8 });
  pool.on("error", () => undefined);
  const db = new Kysely<Database>({ dialect: caching.dialect(new PostgresDialect({ pool })) });
  const read = (at: Kysely<Database>, team: number, query = minute) =>
    at
      .selectFrom("person")
      .select(["id", "name"])
      .where("team_id", "=", team)
      .withPlugin(caching.cached(query))
      .execute();
  const rename = (at: Kysely<Database>, id: number, name: string) =>
    at.updateTable("person").set({ name }).where("id", "=", id).execute();
  return {
    read: (team, query) => read(db, team, query),
    rename: (id, name) => rename(db, id, name),
    // By hand, for savepoints; the callback form is tested below. What begins by hand needs its scope said.
    transaction: (body) =>
      inTransaction(caching.cache, async () => {
        const transaction = await db.startTransaction().execute();
        let depth = 0;
        const nested: OrmTransaction["nested"] = async (deeper) => {
          depth += 1;
          const name = `deep_${depth}`;
          const deep = await transaction.savepoint(name).execute();
          try {
            await deeper({ read: (team) => read(deep, team), rename: (id, to) => rename(deep, id, to) });
          } catch (error) {
            await deep.rollbackToSavepoint(name).execute();
            throw error;
          }
          await deep.releaseSavepoint(name).execute();
        };
        try {
          await body({
            read: (team) => read(transaction, team),
            rename: (id, name) => rename(transaction, id, name),
            nested,
          });
          await transaction.commit().execute();
        } catch (error) {
          await transaction.rollback().execute();
          throw error;
        }
      }),
    fail: () =>
      db
        .selectFrom("person")
        .select(sql`1 / (id - id)`.as("nothing"))
        .withPlugin(caching.cached(minute))
        .execute(),
    failure: { code: "22012", severity: "ERROR" },
    close: () => db.destroy(),
  };
});

describe("kysely: a wrapped dialect", () => {
  const world = ormWorld();
  let caching: KyselyCache;
  let db: Kysely<Database>;
  beforeEach(() => {
    caching = kyselyCache(world.current.options);
    const pool = new pg.Pool({ connectionString: world.current.server.url, max: 2 });
    pool.on("error", () => undefined);
    db = new Kysely<Database>({ dialect: caching.dialect(new PostgresDialect({ pool })), log: () => undefined });
  });
  afterEach(() => db.destroy());

  const loads = (): number => world.current.events.filter((event) => event.type === "loaded").length;

  it("knows of the callback form of transactions", async () => {
    const read = (at: Kysely<Database>) =>
      at.selectFrom("team").selectAll().orderBy("id").withPlugin(caching.cached(minute)).execute();
    await read(db);
    await db.transaction().execute(async (transaction) => {
      await transaction.updateTable("team").set({ title: "uno" }).where("id", "=", 1).execute();
      expect((await read(transaction))[0]?.title).toBe("uno");
      // The scope is in the transaction, so this is not answered from the cache either.
      expect((await read(db))[0]?.title).toBe("one");
      await caching.cache.invalidate({ tag: "any" });
      expect(world.current.events.some((event) => event.type === "invalidated")).toBe(false);
    });
    expect(loads()).toBe(1);
    expect((await read(db))[0]?.title).toBe("uno");
    const undone = db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom("person").execute();
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(world.current.events.filter((event) => event.type === "invalidated")).toHaveLength(1);
  });

  it("takes no connection for an answer from the cache", async () => {
    const read = () => db.selectFrom("team").selectAll().withPlugin(caching.cached(minute)).execute();
    await read();
    // Both connections are taken, and nobody gives them back before the read is done.
    await db.connection().execute(async (one) => {
      await sql`SELECT 1`.execute(one);
      await db.connection().execute(async (other) => {
        await sql`SELECT 1`.execute(other);
        expect(await read()).toHaveLength(2);
      });
    });
  });

  it("gives every type back as the driver gives it", async () => {
    const read = () => db.selectFrom("person").selectAll().orderBy("id").withPlugin(caching.cached(minute)).execute();
    const { rows } = await world.current.admin.query("SELECT * FROM person ORDER BY id");
    expect(await read()).toStrictEqual(rows);
    expect(await read()).toStrictEqual(rows);
    expect(loads()).toBe(1);
  });

  it("tells parameters apart by type and value", async () => {
    const read = (value: unknown) => sql`SELECT ${value}::text AS value`.execute(db.withPlugin(caching.cached(minute)));
    const values = [1, "1", null, undefined, new Date(0), Buffer.from("a"), ["a"], ["a", "b"], [["a"]]];
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
  });

  it("sees joins, CTEs, subqueries, writes in CTEs and raw SQL", async () => {
    const reads = [
      () =>
        db
          .selectFrom("person")
          .innerJoin("team", "team.id", "person.team_id")
          .select("team.title")
          .where("person.id", "=", 1)
          .withPlugin(caching.cached(minute))
          .executeTakeFirst(),
      () =>
        db
          .with("x", (qb) => qb.selectFrom("team").selectAll())
          .selectFrom("x")
          .select("title")
          .where("id", "=", 1)
          .withPlugin(caching.cached(minute))
          .executeTakeFirst(),
      () =>
        db
          .selectFrom("person")
          .select((eb) => eb.selectFrom("team").select("title").where("team.id", "=", 1).as("title"))
          .withPlugin(caching.cached(minute))
          .executeTakeFirst(),
      async () =>
        (
          await sql<{ title: string }>`SELECT title FROM team WHERE id = 1`.execute(
            db.withPlugin(caching.cached(minute)),
          )
        ).rows[0],
    ];
    for (const read of reads) expect(await read()).toEqual({ title: "one" });
    await db
      .with("done", (qb) => qb.updateTable("team").set({ title: "uno" }).where("id", "=", 1).returning("id"))
      .selectFrom("done")
      .selectAll()
      .execute();
    for (const read of reads) expect(await read()).toEqual({ title: "uno" });
    await sql`UPDATE team SET title = 'eins' WHERE id = 1`.execute(db);
    for (const read of reads) expect(await read()).toEqual({ title: "eins" });
    expect(loads()).toBe(12);
  });

  it("goes with other plugins, whichever comes first", async () => {
    const camel = db.withPlugin(new CamelCasePlugin()) as unknown as Kysely<{ person: { id: number; teamId: number } }>;
    const read = () =>
      camel.selectFrom("person").select("teamId").where("id", "=", 1).withPlugin(caching.cached(minute));
    expect(await read().execute()).toEqual([{ teamId: 1 }]);
    expect(await read().execute()).toEqual([{ teamId: 1 }]);
    expect(loads()).toBe(1);
  });

  it("follows a transaction that is begun by text", async () => {
    const read = (at: Kysely<Database>) =>
      at.selectFrom("team").select("title").where("id", "=", 1).withPlugin(caching.cached(minute)).execute();
    await read(db);
    await db.connection().execute(async (connection) => {
      await sql`BEGIN`.execute(connection);
      await connection.updateTable("team").set({ title: "mine" }).where("id", "=", 1).execute();
      expect(await read(connection)).toEqual([{ title: "mine" }]);
      await sql`ROLLBACK`.execute(connection);
    });
    expect(await read(db)).toEqual([{ title: "one" }]);
    expect(loads()).toBe(1);
  });

  it("keeps connections with different settings apart, and what they leave behind", async () => {
    const { admin, options, server } = world.current;
    await admin.query(
      "DROP SCHEMA IF EXISTS acme CASCADE; CREATE SCHEMA acme; CREATE TABLE acme.team (id int, title text)",
    );
    await admin.query("INSERT INTO acme.team VALUES (1, 'acme')");
    const own = kyselyCache(options);
    const pool = new pg.Pool({ connectionString: server.url, max: 1 });
    pool.on("error", () => undefined);
    const single = new Kysely<Database>({ dialect: own.dialect(new PostgresDialect({ pool })) });
    const read = (at: Kysely<Database>) =>
      at.selectFrom("team").select("title").where("id", "=", 1).withPlugin(own.cached(minute)).executeTakeFirst();
    await single.connection().execute(async (connection) => {
      await sql`SET search_path TO acme`.execute(connection);
      expect(await read(connection)).toEqual({ title: "acme" });
      expect(await read(connection)).toEqual({ title: "acme" });
    });
    expect(loads()).toBe(1);
    // The only connection still reads the other schema, as it would without a cache; nothing of it is stored as the pool's.
    expect(await read(single)).toEqual({ title: "acme" });
    await sql`RESET search_path`.execute(single);
    expect(await read(single)).toEqual({ title: "one" });
    await single.destroy();
  });

  it("refreshes behind a stale answer on a connection of its own", async () => {
    const read = () =>
      db
        .selectFrom("team")
        .select("title")
        .where("id", "=", 1)
        .withPlugin(caching.cached({ ttl: 1, staleWhileRevalidate: "1m" }))
        .execute();
    await read();
    await world.current.admin.query("UPDATE team SET title = 'later' WHERE id = 1");
    await expect.poll(read, { timeout: 5_000 }).toEqual([{ title: "later" }]);
  });

  it("gives reads of other scopes their own entries by the wrapper's option", async () => {
    let tenant = "a";
    const scoped = kyselyCache({ ...world.current.options, scope: () => tenant });
    const pool = new pg.Pool({ connectionString: world.current.server.url, max: 1 });
    const of = new Kysely<Database>({ dialect: scoped.dialect(new PostgresDialect({ pool })) });
    const read = () => of.selectFrom("team").selectAll().withPlugin(scoped.cached(minute)).execute();
    await read();
    tenant = "b";
    await read();
    expect(loads()).toBe(2);
    await outside(read);
    expect(loads()).toBe(2);
    await of.destroy();
  });
});
