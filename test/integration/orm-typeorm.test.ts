import { DataSource, EntitySchema, type EntityManager } from "typeorm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { typeormCache, type TypeormCache } from "../../src/orm/typeorm.js";
import type { CachedQuery } from "../../src/postgres/queries.js";
import { describeOrm, ormWorld, type OrmTransaction, type OrmWorld } from "./orm-suite.js";

interface Team {
  id: number;
  title: string;
  people?: Person[];
}
interface Person {
  id: number;
  tenant: string;
  name: string;
  score: string | null;
  big: string | null;
  born: Date | null;
  photo: Buffer | null;
  meta: unknown;
  words: string[];
  team?: Team;
}

const TeamSchema = new EntitySchema<Team>({
  name: "Team",
  tableName: "team",
  columns: { id: { type: "int", primary: true }, title: { type: "text" } },
  relations: { people: { type: "one-to-many", target: "Person", inverseSide: "team" } },
});
const PersonSchema = new EntitySchema<Person>({
  name: "Person",
  tableName: "person",
  columns: {
    id: { type: "int", primary: true },
    tenant: { type: "text" },
    name: { type: "text" },
    score: { type: "numeric", nullable: true },
    big: { type: "bigint", nullable: true },
    born: { type: "timestamptz", precision: 3, nullable: true },
    photo: { type: "bytea", nullable: true },
    meta: { type: "jsonb", nullable: true },
    words: { type: "text", array: true },
  },
  relations: {
    team: { type: "many-to-one", target: "Team", inverseSide: "people", joinColumn: { name: "team_id" } },
  },
});

async function connect({ server, options }: OrmWorld): Promise<{ caching: TypeormCache; source: DataSource }> {
  const caching = typeormCache(options);
  const source = new DataSource({
    type: "postgres",
    url: server.url,
    entities: [TeamSchema, PersonSchema],
    cache: { provider: caching.provider },
    extra: { max: 8 },
  });
  await source.initialize();
  return { caching, source };
}

describeOrm("typeorm", async (world) => {
  const { caching, source } = await connect(world);
  const rows = (at: EntityManager, team: number) =>
    at.find(PersonSchema, { where: { team: { id: team } }, select: { id: true, name: true }, cache: 60_000 });
  const rename = (at: EntityManager, id: number, name: string) => at.update(PersonSchema, { id }, { name });
  const inside = (manager: EntityManager): OrmTransaction => ({
    read: (team) => rows(manager, team),
    rename: (id, name) => rename(manager, id, name),
    nested: (body) => manager.transaction((deep) => body(inside(deep))),
  });
  return {
    read: (team, query = {}) => caching.cached(query, () => rows(source.manager, team)),
    rename: (id, name) => rename(source.manager, id, name),
    transaction: (body) => source.transaction((manager) => body(inside(manager))),
    fail: () => source.createQueryBuilder(PersonSchema, "p").where("1 / (p.id - p.id) = 1").cache(60_000).getMany(),
    failure: { code: "22012", severity: "ERROR" },
    close: () => source.destroy(),
  };
});

describe("typeorm: a data source with the provider", () => {
  const world = ormWorld();
  let caching: TypeormCache;
  let source: DataSource;
  beforeEach(async () => {
    ({ caching, source } = await connect(world.current));
  });
  afterEach(() => source.destroy());

  const loads = (): number => world.current.events.filter((event) => event.type === "loaded").length;
  const minute: CachedQuery = { ttl: "1m" };

  it("gives every type back as TypeORM gives it, which JSON would not", async () => {
    const read = (cache: number | false) => source.manager.find(PersonSchema, { order: { id: "ASC" }, cache });
    const plain = await read(false);
    expect(await read(60_000)).toStrictEqual(plain);
    expect(await read(60_000)).toStrictEqual(plain);
    expect(plain[0]?.photo).toStrictEqual(Buffer.from([0, 255, 16]));
    expect(loads()).toBe(1);
  });

  it("sees relations, counts, query builders and raw SQL", async () => {
    const reads = [
      async () =>
        (await source.manager.findOne(PersonSchema, { where: { id: 1 }, relations: { team: true }, cache: 60_000 }))
          ?.team?.title,
      async () =>
        (
          await source
            .createQueryBuilder(PersonSchema, "p")
            .innerJoinAndSelect("p.team", "t")
            .where("p.id = 1")
            .cache(60_000)
            .getOne()
        )?.team?.title,
      async () =>
        (
          await caching.cached(minute, () =>
            source.query<{ title: string }[]>("SELECT title FROM team WHERE id = $1", [1]),
          )
        )[0]?.title,
      async () =>
        (
          (await source
            .createQueryBuilder()
            .select("x.title", "title")
            .addCommonTableExpression("SELECT id, title FROM team", "x")
            .from("x", "x")
            .where("x.id = 1")
            .cache(60_000)
            .getRawOne()) as { title: string }
        ).title,
    ];
    for (const read of reads) expect(await read()).toBe("one");
    const before = loads();
    for (const read of reads) expect(await read()).toBe("one");
    expect(loads()).toBe(before);
    await source.manager.save(TeamSchema, { id: 1, title: "uno" });
    for (const read of reads) expect(await read()).toBe("uno");
    await source.query("UPDATE team SET title = 'eins' WHERE id = 1");
    for (const read of reads) expect(await read()).toBe("eins");
    await source.createQueryBuilder().update(TeamSchema).set({ title: "un" }).where({ id: 1 }).execute();
    for (const read of reads) expect(await read()).toBe("un");
  });

  it("drops a query by the name it was given, and all of them", async () => {
    const read = () => source.manager.find(TeamSchema, { cache: { id: "teams", milliseconds: 60_000 } });
    await read();
    await world.current.admin.query("UPDATE team SET title = 'x'");
    await source.queryResultCache?.remove(["other"]);
    expect((await read())[0]?.title).not.toBe("x");
    await source.queryResultCache?.remove(["teams"]);
    expect((await read())[0]?.title).toBe("x");
    await world.current.admin.query("UPDATE team SET title = 'y'");
    await source.queryResultCache?.clear();
    expect((await read())[0]?.title).toBe("y");
  });

  it("follows a runner that is driven by hand", async () => {
    const read = (manager: EntityManager) => manager.find(TeamSchema, { order: { id: "ASC" }, cache: 60_000 });
    await read(source.manager);
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.save(TeamSchema, { id: 1, title: "mine" });
    expect((await read(runner.manager))[0]?.title).toBe("mine");
    await caching.cache.invalidate({ all: true });
    await runner.rollbackTransaction();
    expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
    await runner.startTransaction();
    await runner.manager.save(TeamSchema, { id: 1, title: "mine" });
    await runner.commitTransaction();
    await runner.release();
    expect((await read(source.manager))[0]?.title).toBe("mine");
  });

  it("tells parameters apart by type and value", async () => {
    const values = [1, "1", null, undefined, new Date(0), Buffer.from("a"), ["a"], ["a", "b"]];
    const read = (value: unknown) =>
      caching.cached(minute, () => source.query("SELECT $1::text AS value", [value] as unknown[]));
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
  });

  it("does not cache a query nobody asked to be cached", async () => {
    await source.manager.find(TeamSchema);
    expect(world.current.events.filter((event) => event.type === "stored")).toEqual([]);
  });

  it("reads what it stores from the primary, and everything else where TypeORM reads it", async () => {
    const { url } = world.current.server;
    const replicated = new DataSource({
      type: "postgres",
      replication: { master: { url }, slaves: [{ url: `${url}?application_name=replica` }] },
      entities: [TeamSchema, PersonSchema],
      cache: { provider: caching.provider },
    });
    await replicated.initialize();
    const where = (cache: number | false) =>
      replicated
        .createQueryBuilder()
        .select("current_setting('application_name')", "name")
        .from(TeamSchema, "t")
        .where("t.id = 1")
        .cache(cache)
        .getRawOne<{ name: string }>();
    expect(await where(false)).toEqual({ name: "replica" });
    expect(await where(60_000)).toEqual({ name: "" });
    expect(await where(60_000)).toEqual({ name: "" });
    expect(loads()).toBe(1);
    await replicated.destroy();
  });

  it("refreshes behind a stale answer, when the runner that asked has been released", async () => {
    const read = () =>
      caching.cached({ ttl: 1, staleWhileRevalidate: "1m" }, () =>
        source.manager.find(TeamSchema, { where: { id: 1 } }),
      );
    await read();
    await world.current.admin.query("UPDATE team SET title = 'later' WHERE id = 1");
    await expect.poll(async () => (await read())[0]?.title, { timeout: 5_000 }).toBe("later");
    expect(world.current.events.filter((event) => event.type === "background-failed")).toEqual([]);
  });
});
