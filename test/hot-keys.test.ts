import { afterEach, describe, expect, it } from "vitest";

import { createCache, memory, type Cache, type CacheEvent, type TierFactory } from "../src/index.js";
import type { CacheOptions } from "../src/options.js";
import { chaos, FakeClock, SharedMemory, type Chaos } from "../src/testing/index.js";
import { seededRandom } from "./support/manual-clock.js";

const open: { caches: readonly Cache[]; clock: FakeClock }[] = [];

afterEach(async () => {
  for (const { caches, clock } of open.splice(0)) {
    const closing = Promise.all(caches.map((cache) => cache.close()));
    await clock.advance(10_000);
    await closing;
    expect(clock.pending).toBe(0);
  }
});

/** Caches of as many processes on one server; chance is the same in every run. */
async function start(
  count: number,
  options: CacheOptions = {},
  tiers: (server: SharedMemory) => readonly TierFactory[] = (server) => [memory(), server.factory()],
): Promise<{ caches: readonly Cache[]; clock: FakeClock; server: SharedMemory }> {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock });
  const caches = Array.from({ length: count }, (_, process) =>
    createCache({
      name: "test",
      tiers: tiers(server),
      clock,
      jitter: 0,
      random: seededRandom(process + 1),
      hotKeys: { perSecond: 200 },
      ...options,
    }),
  );
  open.push({ caches, clock });
  await clock.advance(0);
  return { caches, clock, server };
}

/** A source that takes 50 ms, and counts. */
function source(clock: FakeClock): { load: () => Promise<number>; loads: () => number; most: () => number } {
  let loads = 0;
  let running = 0;
  let most = 0;
  return {
    loads: () => loads,
    most: () => most,
    load: async () => {
      loads += 1;
      running += 1;
      most = Math.max(most, running);
      const version = loads;
      await new Promise<void>((resolve) => {
        clock.after(50, resolve);
      });
      running -= 1;
      return version;
    },
  };
}

/** Reads the key from every cache each millisecond. @returns how many reads had to wait for time to pass. */
async function readAll(
  caches: readonly Cache[],
  clock: FakeClock,
  load: () => Promise<number>,
  ms: number,
): Promise<number> {
  let waited = 0;
  const reads: Promise<unknown>[] = [];
  for (let at = 0; at < ms; at += 1) {
    for (const cache of caches) {
      const progress = { answered: false };
      const read = cache.getOrLoad("k", load).then(() => {
        progress.answered = true;
      });
      reads.push(read);
      // Ten turns of the event loop are more than the shared tier in memory takes.
      for (let turn = 0; turn < 10 && !progress.answered; turn += 1) await clock.advance(0);
      if (!progress.answered) waited += 1;
    }
    await clock.advance(1);
  }
  await clock.advance(100);
  await Promise.all(reads);
  return waited;
}

describe("a hot key", () => {
  it("never has a reader wait again, though it expires each second: one load a second by whoever is first", async () => {
    const { caches, clock } = await start(3, { ttl: "1s" });
    const { load, loads, most } = source(clock);
    for (const cache of caches) void cache.getOrLoad("k", load);
    await clock.advance(60);
    expect(loads()).toBe(1);
    expect(await readAll(caches, clock, load, 8_000)).toBe(0);
    // Refreshed a tenth before its end, or somewhat more.
    expect(loads()).toBeGreaterThanOrEqual(8);
    expect(loads()).toBeLessThanOrEqual(12);
    expect(most()).toBe(1);
    for (const cache of caches) expect(cache.stats().hot).toMatchObject([{ key: "k", pinned: true }]);
  });

  it("has no reader wait in processes without memory either", async () => {
    const { caches, clock } = await start(3, { ttl: "1s" }, (server) => [server.factory()]);
    const { load, loads, most } = source(clock);
    for (const cache of caches) void cache.getOrLoad("k", load);
    await clock.advance(60);
    expect(await readAll(caches, clock, load, 5_000)).toBe(0);
    expect(loads()).toBeLessThanOrEqual(8);
    expect(most()).toBe(1);
    for (const cache of caches) expect(cache.stats().hot).toMatchObject([{ key: "k", pinned: false }]);
  });

  it("is asked for once by each process without memory when it is due, not by each of its reads", async () => {
    const connections: Chaos[] = [];
    const { caches, clock } = await start(2, { ttl: "1s" }, (server) => {
      const connection = chaos(server.factory());
      connections.push(connection);
      return [connection.factory];
    });
    const { load, loads } = source(clock);
    await readAll(caches, clock, load, 4_000);
    // A try of either process for each entry that was loaded.
    for (const { calls } of connections) expect(calls.acquire).toBeLessThanOrEqual(2 * loads() + 4);
  });

  it("has its readers wait once a second when they are not looked for", async () => {
    const { caches, clock } = await start(3, { ttl: "1s", hotKeys: false });
    const { load } = source(clock);
    for (const cache of caches) void cache.getOrLoad("k", load);
    await clock.advance(60);
    expect(await readAll(caches, clock, load, 3_000)).toBeGreaterThan(100);
    expect(caches[0]?.stats().hot).toEqual([]);
  });

  it("is refreshed ahead in a process that is alone", async () => {
    const { caches, clock } = await start(1, { ttl: "1s" }, () => [memory()]);
    const { load, loads } = source(clock);
    void caches[0]?.getOrLoad("k", load);
    await clock.advance(60);
    expect(await readAll(caches, clock, load, 5_000)).toBe(0);
    expect(loads()).toBeLessThanOrEqual(8);
  });

  it("is not refreshed ahead where stale is served meanwhile, and nobody waits: one load for each life of it", async () => {
    const { caches, clock } = await start(3, { ttl: "1s", staleWhileRevalidate: "10s" });
    const { load, loads, most } = source(clock);
    for (const cache of caches) void cache.getOrLoad("k", load);
    await clock.advance(60);
    expect(await readAll(caches, clock, load, 4_900)).toBe(0);
    expect(loads()).toBe(5);
    expect(most()).toBe(1);
  });

  it("is not loaded twice as often for a load that takes most of its life", async () => {
    const { caches, clock } = await start(1, { ttl: "100ms" });
    const { load, loads } = source(clock);
    await readAll(caches, clock, load, 3_000);
    // A life of 100 ms, refreshed by a load of 50 ms in the middle of it.
    expect(loads()).toBeLessThanOrEqual(32);
  });

  it("is told of, once when it comes and once when it goes", async () => {
    const { caches, clock } = await start(1, { ttl: "1h" });
    const [cache] = caches as [Cache];
    const told: CacheEvent[] = [];
    cache.on("hot", (event) => told.push(event));
    cache.on("cooled", (event) => told.push(event));
    await cache.set("k", 1);
    for (let at = 0; at < 3_000; at += 1) {
      for (let read = 0; read < 4; read += 1) cache.peek("k");
      await clock.advance(1);
    }
    expect(told).toEqual([{ type: "hot", key: "k", perSecond: expect.any(Number) }]);
    const [hot] = cache.stats().hot;
    expect(Math.abs((hot?.perSecond ?? 0) - 4_000)).toBeLessThan(800);
    await clock.advance(10_000);
    expect(told[1]).toEqual({ type: "cooled", key: "k" });
    expect(cache.stats().hot).toEqual([]);
  });

  it("stays in memory whatever comes through it, until it is invalidated", async () => {
    const { caches, clock } = await start(1, { ttl: "1h" }, (server) => [
      memory({ maxBytes: 100_000, maxEntries: 100 }),
      server.factory(),
    ]);
    const [cache] = caches as [Cache];
    await cache.set("k", 1);
    for (let at = 0; at < 1_000; at += 1) {
      cache.peek("k");
      await clock.advance(1);
    }
    expect(cache.stats().hot).toMatchObject([{ key: "k", pinned: true }]);
    for (let id = 0; id < 2_000; id += 1) {
      await cache.set(`other${id}`, id);
      for (const before of [0, 0, 0, 20, 40]) cache.peek(`other${id - before}`);
    }
    expect(cache.peek("k")).toBe(1);
    await cache.invalidate({ key: "k" });
    expect(cache.peek("k")).toBeUndefined();
  });

  it("of an entity or in a namespace is one as well", async () => {
    const { caches, clock } = await start(1);
    const [cache] = caches as [Cache];
    const users = cache.entity<number, number>({ name: "user", load: (id) => id });
    const room = cache.namespace("room");
    await room.set("k", 1);
    for (let at = 0; at < 1_200; at += 1) {
      await users.get(7);
      room.peek("k");
      await clock.advance(1);
    }
    const keys = cache.stats().hot.map(({ key }) => key);
    expect(keys.sort()).toEqual(["/room:k", users.key(7)].sort());
  });
});
