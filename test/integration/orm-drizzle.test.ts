import { desc, eq, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, customType, integer, jsonb, numeric, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { cachedDrizzle } from "../../src/orm/drizzle.js";
import { cachedPool } from "../../src/postgres/queries-pg.js";
import type { CachedQuery } from "../../src/postgres/queries.js";
import { describeOrm, ormWorld, type OrmTransaction, type OrmWorld } from "./orm-suite.js";

class Money {
  readonly cents: number;

  constructor(cents: number) {
    this.cents = cents;
  }
}

const money = customType<{ data: Money; driverData: string }>({
  dataType: () => "numeric",
  fromDriver: (value) => new Money(Math.round(Number(value) * 100)),
  toDriver: (value) => String(value.cents / 100),
});
const bytes = customType<{ data: Buffer }>({ dataType: () => "bytea" });

const team = pgTable("team", { id: integer().primaryKey(), title: text().notNull() });
const person = pgTable("person", {
  id: integer().primaryKey(),
  teamId: integer("team_id").notNull(),
  tenant: text().notNull(),
  name: text().notNull(),
  score: numeric(),
  big: bigint({ mode: "bigint" }),
  born: timestamp({ withTimezone: true }),
  photo: bytes(),
  meta: jsonb(),
  words: text().array().notNull(),
});
const teamRelations = relations(team, ({ many }) => ({ people: many(person) }));
const personRelations = relations(person, ({ one }) => ({
  team: one(team, { fields: [person.teamId], references: [team.id] }),
}));
const schema = { team, person, teamRelations, personRelations };
const minute: CachedQuery = { ttl: "1m" };

function connect({ server, options }: OrmWorld) {
  const pool = cachedPool(new pg.Pool({ connectionString: server.url, max: 8 }), options);
  pool.on("error", () => undefined);
  return { pool, db: cachedDrizzle(drizzle({ client: pool, schema })) };
}

type Db = ReturnType<typeof connect>["db"];
type Tx = Parameters<Parameters<Db["transaction"]>[0]>[0];

describeOrm("drizzle", async (world) => {
  const { pool, db } = connect(world);
  const rows = (at: Db | Tx, id: number) =>
    at.select({ id: person.id, name: person.name }).from(person).where(eq(person.teamId, id));
  const rename = (at: Db | Tx, id: number, name: string) => at.update(person).set({ name }).where(eq(person.id, id));
  const inside = (tx: Tx): OrmTransaction => ({
    read: (id) => db.cached(rows(tx, id), minute),
    rename: (id, name) => rename(tx, id, name),
    nested: (body) => tx.transaction((deep) => body(inside(deep))),
  });
  return {
    read: (id, query = minute) => db.cached(rows(db, id), query),
    rename: (id, name) => rename(db, id, name),
    transaction: (body) => db.transaction((tx) => body(inside(tx))),
    fail: () => db.cached(db.select({ nothing: sql`1 / (${person.id} - ${person.id})` }).from(person), minute),
    failure: { cause: expect.objectContaining({ code: "22012" }) as unknown },
    errorOf: (thrown) => (thrown as Error).cause,
    close: () => pool.end(),
  };
});

describe("drizzle: a wrapped database", () => {
  const world = ormWorld();
  let pool: ReturnType<typeof connect>["pool"];
  let db: Db;
  beforeEach(() => {
    ({ pool, db } = connect(world.current));
  });
  afterEach(() => pool.end());

  const loads = (): number => world.current.events.filter((event) => event.type === "loaded").length;

  it("gives every type back as Drizzle gives it", async () => {
    const query = () => db.select().from(person).orderBy(person.id);
    const plain = await query();
    expect(await db.cached(query(), minute)).toStrictEqual(plain);
    expect(await db.cached(query(), minute)).toStrictEqual(plain);
    expect(plain[0]?.born).toBeInstanceOf(Date);
    expect(loads()).toBe(1);
  });

  it("makes values of classes anew for each reader", async () => {
    const priced = pgTable("person", { id: integer().primaryKey(), score: money() });
    const query = () => db.select().from(priced).where(eq(priced.id, 1));
    const [first] = await db.cached(query(), minute);
    const [second] = await db.cached(query(), minute);
    expect(first?.score).toStrictEqual(new Money(150));
    expect(second?.score).toStrictEqual(new Money(150));
    expect(second?.score).not.toBe(first?.score);
    expect(loads()).toBe(1);
  });

  it("sees what Drizzle's own cache does not: CTEs, relational queries, raw SQL, prepared queries", async () => {
    const x = db.$with("x").as(db.select().from(team));
    const prepared = db
      .select({ title: team.title })
      .from(team)
      .where(eq(team.id, sql.placeholder("id")))
      .prepare("one_team");
    const reads = [
      async () => (await db.cached(db.with(x).select({ title: x.title }).from(x).where(eq(x.id, 1)), minute))[0],
      async () =>
        (await db.cached(db.query.person.findFirst({ where: eq(person.id, 1), with: { team: true } }), minute))?.team,
      async () =>
        (await db.cached({ execute: () => db.execute(sql`SELECT title FROM team WHERE id = 1`) }, minute)).rows[0],
      async () => (await db.cached({ execute: () => prepared.execute({ id: 1 }) }, minute))[0],
      async () =>
        (
          await db.cached(
            db
              .select({ title: team.title })
              .from(person)
              .innerJoin(team, eq(team.id, person.teamId))
              .orderBy(desc(person.id))
              .where(eq(person.id, 1)),
            minute,
          )
        )[0],
    ];
    for (const read of reads) expect(await read()).toMatchObject({ title: "one" });
    for (const read of reads) expect(await read()).toMatchObject({ title: "one" });
    expect(loads()).toBe(reads.length);
    await db.update(team).set({ title: "uno" }).where(eq(team.id, 1));
    for (const read of reads) expect(await read()).toMatchObject({ title: "uno" });
    await db.execute(sql`UPDATE team SET title = 'eins' WHERE id = 1`);
    for (const read of reads) expect(await read()).toMatchObject({ title: "eins" });
  });

  it("does not cache a query nobody asked to be cached, nor a write inside a cached call", async () => {
    await db.select().from(team);
    const written = await db.cached(db.insert(team).values({ id: 5, title: "five" }).returning(), minute);
    expect(written).toEqual([{ id: 5, title: "five" }]);
    expect(loads()).toBe(0);
    expect(world.current.events.filter((event) => event.type === "invalidated")).toHaveLength(1);
  });

  it("tells parameters apart by type and value", async () => {
    const values = [1, "1", null, new Date(0).toISOString(), "a", "b"];
    const read = (value: unknown) =>
      db.cached({ execute: () => db.execute(sql`SELECT ${value}::text AS value`) }, minute);
    for (const value of values) await read(value);
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
  });

  it("does not share answers with plain queries of the pool, whose types are others", async () => {
    const sent = db.select({ born: person.born }).from(person).where(eq(person.id, 1));
    const { sql: words, params } = sent.toSQL();
    const [mapped] = await db.cached(sent, minute);
    const { rows } = await pool.query({ text: words, values: params, rowMode: "array", cache: minute });
    expect(mapped?.born).toEqual(new Date("2020-01-02T03:04:05.678Z"));
    expect(rows).toEqual([[new Date("2020-01-02T03:04:05.678Z")]]);
    expect(loads()).toBe(2);
  });

  it("refuses a database whose pool is not wrapped", () => {
    const bare = new pg.Pool({ connectionString: world.current.server.url });
    expect(() => cachedDrizzle(drizzle({ client: bare }))).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
    );
  });
});
