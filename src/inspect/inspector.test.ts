import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { oneCache } from "../../test/support/one-cache.js";
import { processes } from "../../test/support/processes.js";
import { memory, type Cache, type InvalidationTarget } from "../index.js";

const start = oneCache();
const ALL = { sample: 10, most: 1_000_000 };

async function filled(cache: Cache): Promise<void> {
  const contact = cache.entity<number, { id: number }>({
    name: "contact",
    scope: "tenant",
    version: 2,
    ttl: "30s",
    tags: ({ id }: { id: number }) => [`team:${id % 2}`],
  } as never) as never as { in(scope: string): { set(id: number, value: unknown): Promise<void> } };
  for (let id = 0; id < 4; id += 1) await contact.in(id < 2 ? "acme" : "apex").set(id, { id });
  await cache.set("page:1", "x".repeat(500), { tags: ["pages"], ttl: "4m" });
  await cache.set(["page", "1", "more"], 1, { ttl: "2h" });
  await cache.set("page:12", 1, { ttl: "2h" });
  await cache.namespace("inner").set("page:1", 1);
}

describe("a census of memory", () => {
  it("counts entries and bytes by entity, and what frees itself in 1, 5 and 60 minutes", async () => {
    const { cache } = start({ ttl: "2h" });
    await filled(cache);
    const census = await cache.inspect().memory({ ...ALL, marks: [{ kind: "all" }] });
    expect(census).toMatchObject({ entries: 8, examined: 8, complete: true });
    const contact = census?.entities.find(({ entity }) => entity === "contact");
    const raw = census?.entities.find(({ entity }) => entity === "");
    expect(contact?.entries).toBe(4);
    expect(contact?.frees).toEqual([contact?.bytes, contact?.bytes, contact?.bytes]);
    expect(raw?.frees[0]).toBe(0);
    expect(raw?.frees[1]).toBeGreaterThan(500);
    expect(raw?.frees[2]).toBe(raw?.frees[1]);
    expect(raw?.bytes).toBeGreaterThan(raw?.frees[2] ?? 0);
    expect(census?.largest[0]).toMatchObject({ key: "page:1", entity: "", state: "fresh" });
    expect(census?.bytes).toBe(cache.stats().memory?.bytes);
  });

  it("looks at no more than it may, and says so", async () => {
    const { cache } = start();
    await filled(cache);
    const census = await cache.inspect().memory({ sample: 1, most: 3, marks: [{ kind: "all" }] });
    expect(census).toMatchObject({ examined: 3, complete: false });
    expect(census?.sample).toHaveLength(1);
  });

  it("lets the event loop turn while it counts", async () => {
    const { cache } = start({ tiers: [memory({ maxBytes: "256mb" })] });
    for (let i = 0; i < 5_000; i += 1) await cache.set(i, i);
    let turned = 0;
    let counting = true;
    const turn = (): void => {
      turned += 1;
      if (counting) setImmediate(turn);
    };
    setImmediate(turn);
    await cache.inspect().memory({ ...ALL, marks: [{ kind: "all" }] });
    counting = false;
    expect(turned).toBeGreaterThanOrEqual(2);
  });

  it("leaves use, counters and events alone", async () => {
    const { cache } = start();
    await filled(cache);
    const before = cache.stats();
    const heard: unknown[] = [];
    cache.on("*", (event) => heard.push(event));
    await cache.inspect().memory({ ...ALL, marks: [{ kind: "all" }] });
    await cache.inspect().entry("page:1");
    expect(cache.stats().total).toEqual(before.total);
    expect(heard).toEqual([]);
  });
});

const TARGETS: readonly InvalidationTarget[] = [
  { key: "page:1" },
  { tag: "pages" },
  { tag: "team:1", scope: "acme" },
  { tags: ["pages", "other"], match: "all" },
  { prefix: "page" },
  { prefix: "page:1" },
  { prefix: "page:1:" },
  { prefix: "acme:contact:" },
  { pattern: "*:contact:*" },
  { pattern: "page:*" },
  { entity: "contact" },
  { entity: "contact", scope: "apex" },
  { all: true },
];

describe("what a purge is said to hit", () => {
  it.each(TARGETS.map((target) => [JSON.stringify(target), target] as const))(
    "is what the invalidation hits, in memory and in the shared tier: %s",
    async (_name, target) => {
      const world = await processes(1, { ttl: "1h" });
      const [cache] = world.caches as [Cache];
      await filled(cache);
      const inspector = cache.inspect();
      const all = await inspector.memory({ ...ALL, sample: 100, marks: [{ kind: "all" }] });
      const keys = all?.sample.map(({ key }) => key) ?? [];
      const marks = inspector.marksOf(target);
      const held = await inspector.memory({ ...ALL, sample: 100, marks });
      const shared = await inspector.shared({ ...ALL, sample: 100, marks });
      await cache.invalidate(target);
      const gone: string[] = [];
      for (const key of keys) {
        const { explanation } = await inspector.entry(key);
        if (explanation.tiers[0]?.state !== "fresh") gone.push(key);
      }
      expect(held?.sample.map(({ key }) => key).toSorted()).toEqual(gone.toSorted());
      expect([...shared.keys].toSorted()).toEqual(gone.toSorted());
      expect(shared).toMatchObject({ entries: gone.length, complete: true, problem: undefined });
      await world.close();
    },
  );
});

describe("an entry by its path", () => {
  it("is judged as its entity judges it, with its value, its tags and what a read of it does", async () => {
    const world = await processes(1, { ttl: "1m" });
    const [cache] = world.caches as [Cache];
    const user = cache.entity<number, { id: number; mail: string }>({
      name: "user",
      version: 3,
      sensitive: ["mail"],
      exclude: ["mail"],
      load: async (id) => ({ id, mail: "a@b" }),
      tags: ({ id }) => [`u:${id}`],
    });
    await user.get(7);
    const entry = await cache.inspect().entry("global:user:7:v3");
    expect(entry).toMatchObject({ entity: "user", scope: "global", version: 3, sensitive: ["mail"] });
    expect(entry.explanation.tiers.map(({ tier, state }) => `${tier} ${state}`)).toEqual([
      "memory fresh",
      "shared fresh",
    ]);
    expect(entry.memory).toMatchObject({ value: { id: 7 }, ttl: 60_000, tags: ["~user", "global:u:7"] });
    expect(entry.shared?.value).toEqual({ id: 7 });
    expect(entry.steps.map(({ what }) => what)).toEqual(["memory", "shared", "decode"]);
    await world.close();
  });

  it("of an entity that is not declared here is judged by what it says of itself", async () => {
    const world = await processes(2);
    const [a, b] = world.caches as [Cache, Cache];
    const user = a.entity<number, number>({ name: "user", load: async (id) => id });
    await user.get(7);
    const { explanation, shared } = await b.inspect().entry("global:user:7:v1");
    expect(explanation.tiers[1]?.state).toBe("fresh");
    expect(shared?.value).toBe(7);
    await world.close();
  });

  it("says that the shared tier is down, and shows what memory has", async () => {
    const world = await processes(1);
    const [cache] = world.caches as [Cache];
    await cache.set("a", 1);
    world.connections[0]?.fail();
    const { explanation, memory: held, shared } = await cache.inspect().entry("a");
    expect(explanation.tiers.map(({ state }) => state)).toEqual(["fresh", "down"]);
    expect([held?.value, shared]).toEqual([1, undefined]);
    expect(await cache.inspect().shared({ ...ALL, marks: [{ kind: "all" }] })).toMatchObject({
      problem: "down",
      complete: false,
    });
    await world.close();
  });
});

describe("the pinboard", () => {
  it("shows a text to every process for its time, and touches neither the log nor memory", async () => {
    const world = await processes(2);
    const [a, b] = world.caches as [Cache, Cache];
    const position = a.stats().shared?.position;
    const heard: string[] = [];
    b.on("*", ({ type }) => heard.push(type));
    expect(await a.inspect().pinboard.pin("x", "hello", { ttl: 1_000 })).toMatchObject({ state: "pinned" });
    expect(await b.inspect().pinboard.read(["y", "x"])).toEqual([undefined, "hello"]);
    await world.settle();
    expect(b.stats().shared?.position).toBe(position);
    expect([b.stats().memory?.entries, heard]).toEqual([0, []]);
    await world.clock.advance(1_001);
    expect(await b.inspect().pinboard.read(["x"])).toEqual([undefined]);
    await world.close();
  });

  it("gives a place to one process, until its time is over", async () => {
    const world = await processes(2);
    const [a, b] = world.caches.map((cache) => cache.inspect().pinboard);
    const first = await a?.pin("x", "a1", { ttl: 1_000 });
    expect(await b?.pin("x", "b1", { ttl: 1_000 })).toEqual({ state: "taken" });
    const seen = first?.state === "pinned" ? first.stamp : undefined;
    const second = await a?.pin("x", "a2", { ttl: 1_000, seen });
    expect(second?.state).toBe("pinned");
    // The stamp of the text before does not hold the place any more.
    expect(await a?.pin("x", "a3", { ttl: 1_000, seen })).toEqual({ state: "taken" });
    await world.clock.advance(1_001);
    expect(await b?.pin("x", "b2", { ttl: 1_000 })).toMatchObject({ state: "pinned" });
    expect(await a?.pin("x", "over", { ttl: 1_000, over: true })).toMatchObject({ state: "pinned" });
    expect(await b?.read(["x"])).toEqual(["over"]);
    await world.close();
  });
});

describe("a listing of a shared tier", () => {
  it("finds every key once it is over, in steps of any size", () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (ids, count) => {
          const world = await processes(1);
          const [cache] = world.caches as [Cache];
          await cache.setMany(ids.map((id) => [`k:${id}`, id] as const));
          const shared = await cache
            .inspect()
            .shared({ sample: 1_000, most: 1_000, marks: cache.inspect().marksOf({ prefix: "k:" }) });
          expect([...shared.keys].toSorted()).toEqual(ids.map((id) => `k:${id}`).toSorted());
          const tier = world.server.factory().open("test");
          const found: string[] = [];
          let cursor: string | undefined;
          do {
            const step = await tier.store.list?.({ beginning: "k:", cursor, count });
            found.push(...(step?.keys ?? []));
            cursor = step?.cursor;
          } while (cursor !== undefined);
          expect(found.toSorted()).toEqual(ids.map((id) => `k:${id}`).toSorted());
          await world.close();
        },
      ),
      { numRuns: 20 },
    ));
});
