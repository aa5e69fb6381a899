import { PrismaPg } from "@prisma/adapter-pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { prismaCache, type PrismaCache } from "../../src/orm/prisma.js";
import type { CachedQuery } from "../../src/postgres/queries.js";
import { PrismaClient, type Prisma } from "../fixtures/prisma/client.js";
import { describeOrm, ormWorld, type OrmTransaction, type OrmWorld } from "./orm-suite.js";

const minute: CachedQuery = { ttl: "1m" };

function connect({ server, options }: OrmWorld): { caching: PrismaCache; prisma: PrismaClient } {
  const caching = prismaCache(options);
  const adapter = caching.adapter(new PrismaPg({ connectionString: server.url, max: 8 }));
  return { caching, prisma: caching.client(new PrismaClient({ adapter })) };
}

describeOrm("prisma", async (world) => {
  const { caching, prisma } = connect(world);
  const rows = (at: Prisma.TransactionClient, teamId: number) =>
    at.person.findMany({ where: { teamId }, select: { id: true, name: true } });
  const rename = (at: Prisma.TransactionClient, id: number, name: string) =>
    at.person.update({ where: { id }, data: { name } });
  const inside = (tx: Prisma.TransactionClient): OrmTransaction => {
    let depth = 0;
    return {
      read: (team) => caching.cached(minute, () => rows(tx, team)),
      rename: (id, name) => rename(tx, id, name),
      nested: async (body) => {
        depth += 1;
        await tx.$executeRawUnsafe(`SAVEPOINT deep_${depth}`);
        try {
          await body(inside(tx));
        } catch (error) {
          await tx.$executeRawUnsafe(`ROLLBACK TO SAVEPOINT deep_${depth}`);
          throw error;
        }
        await tx.$executeRawUnsafe(`RELEASE SAVEPOINT deep_${depth}`);
      },
    };
  };
  return {
    read: (team, query = minute) => caching.cached(query, () => rows(prisma, team)),
    rename: (id, name) => rename(prisma, id, name),
    transaction: (body) => prisma.$transaction((tx) => body(inside(tx))),
    fail: () => caching.cached(minute, () => prisma.$queryRaw`SELECT 1 / (id - id) FROM person`),
    failure: { code: "P2010" },
    errorOf: (thrown) => (thrown as { meta: { driverAdapterError: unknown } }).meta.driverAdapterError,
    close: () => prisma.$disconnect(),
  };
});

describe("prisma: a wrapped adapter and client", () => {
  const world = ormWorld();
  let caching: PrismaCache;
  let prisma: PrismaClient;
  beforeEach(() => {
    ({ caching, prisma } = connect(world.current));
  });
  afterEach(() => prisma.$disconnect());

  const loads = (): number => world.current.events.filter((event) => event.type === "loaded").length;

  it("gives every type back as Prisma gives it", async () => {
    const read = () => prisma.person.findMany({ orderBy: { id: "asc" } });
    const plain = await read();
    expect(await caching.cached(minute, read)).toStrictEqual(plain);
    expect(await caching.cached(minute, read)).toStrictEqual(plain);
    expect(plain[0]?.score?.toString()).toBe("1.5");
    expect(plain[0]?.big).toBe(9007199254740993n);
    expect(loads()).toBe(1);
  });

  it("sees includes, aggregates and raw SQL", async () => {
    const reads = [
      async () => (await prisma.person.findMany({ where: { id: 1 }, include: { team: true } }))[0]?.team.title,
      async () => (await prisma.team.findFirst({ where: { people: { some: { id: 1 } } } }))?.title,
      async () => (await prisma.team.aggregate({ _min: { title: true }, where: { id: 1 } }))._min.title,
      async () => (await prisma.$queryRaw<{ title: string }[]>`SELECT title FROM team WHERE id = ${1}`)[0]?.title,
    ];
    for (const read of reads) expect(await caching.cached(minute, read)).toBe("one");
    const before = loads();
    for (const read of reads) expect(await caching.cached(minute, read)).toBe("one");
    expect(loads()).toBe(before);
    await prisma.team.update({ where: { id: 1 }, data: { title: "uno" } });
    for (const read of reads) expect(await caching.cached(minute, read)).toBe("uno");
    await prisma.$executeRaw`UPDATE team SET title = 'eins' WHERE id = 1`;
    for (const read of reads) expect(await caching.cached(minute, read)).toBe("eins");
  });

  it("drops the readers of every table that a nested write touches, once it has committed", async () => {
    const people = () => caching.cached(minute, () => prisma.person.count());
    const teams = () => caching.cached(minute, () => prisma.team.count());
    expect([await people(), await teams()]).toEqual([3, 2]);
    await prisma.team.create({
      data: { id: 3, title: "three", people: { create: [{ id: 10, tenant: "a", name: "Dee" }] } },
    });
    expect([await people(), await teams()]).toEqual([4, 3]);
  });

  it("takes an array of queries for one transaction", async () => {
    const title = () => caching.cached(minute, () => prisma.team.findFirst({ where: { id: 1 } }));
    await title();
    const undone = prisma.$transaction([
      prisma.team.update({ where: { id: 1 }, data: { title: "never" } }),
      prisma.$executeRaw`SELECT 1 / 0`,
    ]);
    await expect(undone).rejects.toThrow("division by zero");
    expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
    await prisma.$transaction([prisma.team.update({ where: { id: 1 }, data: { title: "uno" } })]);
    expect((await title())?.title).toBe("uno");
  });

  it("tells parameters apart by type and value", async () => {
    const values = ["1", 1, true, "true", null, new Date(0), Buffer.from("a"), "a"];
    const read = (value: unknown) => caching.cached(minute, () => prisma.$queryRaw`SELECT ${value}::text AS value`);
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
    for (const value of values) await read(value);
    expect(loads()).toBe(values.length);
  });

  it("does not cache a query nobody asked to be cached", async () => {
    await prisma.team.findMany();
    expect(world.current.events.filter((event) => event.type === "stored")).toEqual([]);
  });

  it("drops nothing for an interactive transaction that ran out of time", async () => {
    await caching.cached(minute, () => prisma.team.findMany());
    const late = prisma.$transaction(
      async (tx) => {
        await tx.team.update({ where: { id: 1 }, data: { title: "never" } });
        await tx.$queryRaw`SELECT pg_sleep(0.3)::text`;
      },
      { timeout: 100 },
    );
    await expect(late).rejects.toMatchObject({ code: "P2028" });
    expect(world.current.events.filter((event) => event.type === "invalidated")).toEqual([]);
  });

  it("does not cache for those whose findUnique Prisma would have merged with one that asked", async () => {
    const find = (id: number) => prisma.team.findUnique({ where: { id } });
    const asked = (id: number) => caching.cached(minute, () => find(id));
    for (let round = 0; round < 3; round++) {
      const title = `round ${round}`;
      await world.current.admin.query("UPDATE team SET title = $1", [title]);
      const rows = await Promise.all([asked(1), find(2), find(1), asked(2), asked(1), find(2)]);
      expect(rows.map((row) => row?.title)).toEqual(["round 0", title, title, "round 0", "round 0", title]);
    }
    expect(loads()).toBe(2);
    const both = await caching.cached(minute, () => Promise.all([find(1), find(2)]));
    expect(both.map((row) => row?.title)).toEqual(["round 2", "round 2"]);
  });
});
