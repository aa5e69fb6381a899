import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";

import { decodeEnvelope, encodeEnvelope, newStamp } from "../src/entries/envelope.js";
import { createCache, memory, type Cache, type ShardedTierFactory, type SharedTier } from "../src/index.js";
import type { CacheOptions } from "../src/options.js";
import { FakeClock, SharedMemory, type SharedStep } from "../src/testing/index.js";
import { seededRandom } from "./support/manual-clock.js";

const SHARDS = 3;
const COPY = "!copy:";

/** What was asked of the shards' stores and leases about copies and entries. */
interface Traffic {
  copies: number;
  entries: number;
  copiesStored: number;
}

/** Says which process's invalidations do not get through. */
interface Refusing {
  process: number | undefined;
}

/** Tells reads of copies from reads of entries, and refuses what it is to. */
function watched(inner: ShardedTierFactory, traffic: Traffic, process: number, refusing: Refusing): ShardedTierFactory {
  return {
    kind: inner.kind,
    openShards(name) {
      const tier = inner.openShards(name);
      return {
        ...tier,
        shardOf: (key) => tier.shardOf(key),
        shards: tier.shards.map((shard) => ({
          ...shard,
          store: {
            ...shard.store,
            read: (keys) => {
              for (const key of keys) traffic[key.startsWith(COPY) ? "copies" : "entries"] += 1;
              return shard.store.read(keys);
            },
            invalidate: (...args) =>
              refusing.process === process ? Promise.reject(new Error("refused")) : shard.store.invalidate(...args),
          },
          leases: {
            ...shard.leases,
            fill: (key, ...rest) => {
              if (key.startsWith(COPY)) traffic.copiesStored += 1;
              return shard.leases.fill(key, ...rest);
            },
          },
        })),
      };
    },
  };
}

interface World {
  readonly clock: FakeClock;
  readonly server: SharedMemory;
  readonly caches: readonly Cache[];
  readonly traffic: Traffic;
  readonly refusing: Refusing;
  /** One more process. */
  join(options?: CacheOptions): Promise<Cache>;
  /** Steps held back, while `hold` is on. */
  readonly pending: SharedStep[];
  hold: boolean;
  close(): Promise<void>;
}

const open: World[] = [];
afterEach(async () => {
  for (const world of [...open]) await world.close();
});

async function start(count: number, options: CacheOptions = {}, withMemory: boolean = false): Promise<World> {
  const clock = new FakeClock();
  const pending: SharedStep[] = [];
  let isHeld = (): boolean => false;
  const schedule = (step: SharedStep): void => {
    if (isHeld()) pending.push(step);
    else queueMicrotask(() => step.run());
  };
  const server = new SharedMemory({ clock, schedule, replicaLag: 10 });
  const traffic: Traffic = { copies: 0, entries: 0, copiesStored: 0 };
  const refusing: Refusing = { process: undefined };
  const caches: Cache[] = [];
  const join = async (own: CacheOptions = {}): Promise<Cache> => {
    const shared = watched(server.shardedFactory(SHARDS), traffic, caches.length, refusing);
    const cache = createCache({
      name: "test",
      tiers: withMemory ? [memory(), shared] : [shared],
      clock,
      jitter: 0,
      random: seededRandom(caches.length + 1),
      hotKeys: { perSecond: 1, copies: SHARDS },
      ...options,
      ...own,
    });
    caches.push(cache);
    await clock.advance(0);
    return cache;
  };
  const world: World = {
    clock,
    server,
    caches,
    traffic,
    refusing,
    join,
    pending,
    hold: false,
    async close() {
      if (open.includes(world)) open.splice(open.indexOf(world), 1);
      world.hold = false;
      refusing.process = undefined;
      for (const step of pending.splice(0)) step.run();
      const closing = Promise.all(caches.map((cache) => cache.close()));
      await clock.advance(10_000);
      await closing;
    },
  };
  isHeld = () => world.hold;
  open.push(world);
  for (let process = 0; process < count; process += 1) await join();
  return world;
}

/** Has every cache read the keys until they are hot everywhere. */
async function heat(
  { caches, clock }: World,
  keys: readonly string[],
  load: (key: string) => unknown,
  tagsOf: (key: string) => readonly string[] = () => [],
): Promise<void> {
  for (let round = 0; round < 12; round += 1) {
    await settled(
      clock,
      Promise.all(
        caches.flatMap((cache) => keys.map((key) => cache.getOrLoad(key, () => load(key), { tags: tagsOf(key) }))),
      ),
    );
    await clock.advance(100);
  }
  for (const cache of caches)
    expect(
      cache
        .stats()
        .hot.map(({ key }) => key)
        .sort(),
    ).toEqual([...new Set(keys)]);
}

/** The answer of a call: turns of the event loop, and if those are not enough, time. */
async function settled<T>(clock: FakeClock, call: Promise<T>): Promise<T> {
  const progress = { done: false };
  const end = (): void => {
    progress.done = true;
  };
  call.then(end, end);
  for (let turn = 0; turn < 100 && !progress.done; turn += 1) await clock.advance(turn < 20 ? 0 : 20);
  expect(progress.done).toBe(true);
  return call;
}

function fromCopies(cache: Cache): number {
  return cache.stats().hot.reduce((sum, { fromCopies: reads }) => sum + reads, 0);
}

describe("copies of a hot entry", () => {
  it("answer two of three reads where there are three shards, and are stored once by all processes", async () => {
    const world = await start(3, { ttl: "1h" });
    const { caches, clock, traffic } = world;
    await heat(world, ["k"], () => "value");
    const stored = traffic.copiesStored;
    expect(stored).toBeLessThanOrEqual(2 * 3);
    for (const count of ["copies", "entries"] as const) traffic[count] = 0;
    for (let read = 0; read < 60; read += 1)
      for (const cache of caches) expect(await settled(clock, cache.get("k"))).toBe("value");
    expect(traffic).toEqual({ copies: 120, entries: 60, copiesStored: stored });
  });

  it("lie far from each other, as neighbouring shards may be one server's", async () => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const hotKeys = { perSecond: 1, copies: 3 };
    const cache = createCache({ name: "test", tiers: [server.shardedFactory(12)], clock, hotKeys, ttl: "1h" });
    for (let turn = 0; turn < 30; turn += 1) {
      await settled(
        clock,
        cache.getOrLoad("k", () => 1),
      );
      await clock.advance(50);
    }
    const tier = server.shardedFactory(12).openShards("test");
    const stored = await Promise.all(tier.shards.map((shard) => shard.store.read([`${COPY}k`])));
    const home = tier.shardOf("k");
    const distances = stored.flatMap(({ values }, shard) =>
      values[0] === undefined ? [] : [(shard - home + 12) % 12],
    );
    expect(distances.sort((one, other) => one - other)).toEqual([4, 8]);
    await settled(clock, cache.close());
  });

  it("are not used for a key that is not hot, nor without shards, nor when one copy is all", async () => {
    const world = await start(1, { ttl: "1h", hotKeys: { perSecond: 1 } });
    await heat(world, ["k"], () => 1);
    expect(world.caches[0]?.stats().hot).toMatchObject([{ key: "k", fromCopies: 0 }]);
    expect(world.traffic.copies).toBe(0);
    const cold = await start(1, { ttl: "1h", hotKeys: { perSecond: 1_000, copies: 3 } });
    for (let read = 0; read < 60; read += 1)
      await settled(
        cold.clock,
        (cold.caches[0] as Cache).getOrLoad("k", () => 1),
      );
    expect(cold.traffic.copies).toBe(0);
  });

  it.each([
    ["a key", { key: "k" }],
    ["a tag", { tag: "t" }],
    ["a prefix", { prefix: "k" }],
    ["a pattern", { pattern: "k*" }],
    ["all", { all: true }],
  ] as const)("are not believed after an invalidation of %s, hard or soft", async (_what, target) => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    let version = 0;
    const read = (cache: Cache): Promise<unknown> =>
      settled(
        world.clock,
        cache.getOrLoad("k", () => (version += 1), { tags: ["t"] }),
      );
    for (const mode of ["hard", "soft"] as const) {
      for (let round = 0; round < 30; round += 1) {
        await read(a);
        await read(b);
        await world.clock.advance(50);
      }
      const before = fromCopies(b);
      await settled(world.clock, a.invalidate(target, { mode }));
      const current = version + 1;
      for (let turn = 0; turn < 6; turn += 1) expect(await read(b)).toBe(current);
      // The new entry's copies answer.
      expect(fromCopies(b)).toBeGreaterThan(before);
    }
  });

  it("of a value that was set or written through are those of the value", async () => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    await heat(world, ["k"], () => 0);
    for (let version = 1; version < 10; version += 1) {
      const write = async (): Promise<number> => version;
      await settled<unknown>(world.clock, version % 2 === 0 ? a.set("k", version) : a.writeThrough("k", write));
      for (let turn = 0; turn < 6; turn += 1) expect(await settled(world.clock, b.get("k"))).toBe(version);
      await world.clock.advance(300);
    }
    const before = fromCopies(b);
    for (let turn = 0; turn < 6; turn += 1) await settled(world.clock, b.get("k"));
    expect(fromCopies(b)).toBe(before + 4);
  });

  it("expire with the entry", async () => {
    const world = await start(1, { ttl: "2s" });
    const [cache] = world.caches as [Cache];
    await heat(world, ["k"], () => 1);
    await settled(world.clock, cache.set("k", 2));
    for (let turn = 0; turn < 6; turn += 1) await settled(world.clock, cache.get("k"));
    await world.clock.advance(2_001);
    for (let turn = 0; turn < 6; turn += 1) expect(await settled(world.clock, cache.get("k"))).toBeUndefined();
  });

  it("do not answer when the home does not", async () => {
    const world = await start(1, { ttl: "1h" });
    const [cache] = world.caches as [Cache];
    await heat(world, ["k"], () => 1);
    world.hold = true;
    const reads = Array.from({ length: 3 }, () => cache.get("k"));
    await world.clock.advance(0);
    const home = [0, 1, 2].find((shard) => shardHolds(world, shard));
    for (let turn = 0; turn < 10; turn += 1) {
      for (const step of world.pending.filter(({ shard }) => shard !== home)) {
        world.pending.splice(world.pending.indexOf(step), 1);
        step.run();
      }
      await world.clock.advance(0);
    }
    await world.clock.advance(300);
    await world.clock.advance(300);
    expect(await Promise.all(reads)).toEqual([undefined, undefined, undefined]);
  });

  it("of a shard that does not answer are left, and the home is read", async () => {
    const world = await start(1, { ttl: "1h" });
    const [cache] = world.caches as [Cache];
    await heat(world, ["k"], () => 1);
    const home = [0, 1, 2].find((shard) => shardHolds(world, shard));
    world.hold = true;
    const reads = Array.from({ length: 3 }, () => cache.get("k"));
    for (let turn = 0; turn < 20; turn += 1) {
      await world.clock.advance(40);
      for (const step of world.pending.splice(0)) if (step.shard === home) step.run();
    }
    expect(await Promise.all(reads)).toEqual([1, 1, 1]);
  });

  it.each(["empty", "trimmed"])("are of no use until a home whose log is %s is read again", async (what) => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    let version = 1;
    await heat(world, ["k"], () => version);
    // Invalidated by a process whose record nobody reads in time.
    version = 2;
    await settled(world.clock, a.invalidate({ tag: "another" }));
    const home = [0, 1, 2].find((shard) => shardHolds(world, shard));
    if (what === "empty") world.server.flush(home);
    else {
      world.hold = true;
      const gone = a.delete("k");
      for (let turn = 0; turn < 20; turn += 1) {
        await world.clock.advance(0);
        for (const step of world.pending.splice(0)) if (step.kind !== "push") step.run();
      }
      await gone;
      world.server.trimLog(0, home);
      world.hold = false;
    }
    for (let turn = 0; turn < 6; turn += 1)
      expect(
        await settled(
          world.clock,
          b.getOrLoad("k", () => version),
        ),
      ).toBe(2);
  });

  it("that were torn or changed are read as none", async () => {
    const world = await start(1, { ttl: "1h" });
    const [cache] = world.caches as [Cache];
    await heat(world, ["k"], () => "whole");
    // From now on a copy may well be good up to a later position.
    await settled(world.clock, cache.invalidate({ tag: "another" }));
    const tier = world.server.shardedFactory(SHARDS).openShards("test");
    const other = tier.shards.find((_, shard) => !shardHolds(world, shard)) as SharedTier;
    const { values } = await settled(world.clock, other.store.read([`${COPY}k`]));
    const [copy] = values as [Uint8Array];
    const later = copy.slice();
    const view = new DataView(later.buffer);
    view.setFloat64(later.length - 12, view.getFloat64(later.length - 12, true) + 1, true);
    for (const bytes of [copy.slice(0, -3), copy.slice(0, 8), new Uint8Array(0), later, copy]) {
      await settled(world.clock, other.store.put([{ key: `${COPY}k`, value: bytes, ttl: 60_000 }], "test"));
      await world.clock.advance(300);
      const before = fromCopies(cache);
      for (let turn = 0; turn < 3; turn += 1) expect(await settled(world.clock, cache.get("k"))).toBe("whole");
      expect(fromCopies(cache) - before).toBe(bytes === copy ? 2 : 1);
    }
    expect(cache.stats().shared?.corrupt).toBe(0);
  });

  it("are not believed by a process that has not noted the key's invalidations since they were made", async () => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    await heat({ ...world, caches: [a] }, ["k"], () => 1);
    const cold = await world.join({ hotKeys: false });
    await settled(world.clock, cold.invalidate({ key: "k" }));
    // b has read of the invalidation, of a key that meant nothing to it.
    await world.clock.advance(1_000);
    for (let turn = 0; turn < 40; turn += 1) {
      expect(
        await settled(
          world.clock,
          b.getOrLoad("k", () => 2),
        ),
      ).toBe(2);
      await world.clock.advance(50);
    }
    expect(fromCopies(b)).toBeGreaterThan(0);
  });

  it("are replaced by the process that loads", async () => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    await heat(world, ["k"], () => 1);
    await settled(world.clock, a.invalidate({ key: "k" }));
    await settled(
      world.clock,
      a.getOrLoad("k", () => 2),
    );
    await world.clock.advance(0);
    const before = fromCopies(b);
    for (let turn = 0; turn < 3; turn += 1) expect(await settled(world.clock, b.get("k"))).toBe(2);
    expect(fromCopies(b)).toBe(before + 2);
  });

  it("are not gone back to by a process that has seen a newer entry, refreshed where the key is not hot", async () => {
    const world = await start(1, { ttl: "1h" });
    const [cache] = world.caches as [Cache];
    const cold = await world.join({ hotKeys: false, earlyRefresh: 100 });
    await heat({ ...world, caches: [cache] }, ["k"], () => 1);
    const tier = world.server.shardedFactory(SHARDS).openShards("test");
    const home = tier.shards.find((_, shard) => shardHolds(world, shard)) as SharedTier;
    // As an early refresh does: the entry is replaced while it is fresh, and nothing is invalidated.
    const { values } = await settled(world.clock, home.store.read(["k"]));
    await settled(world.clock, cold.set("other", 2));
    await world.clock.advance(10);
    const entry = decodeEnvelope(values[0] as Uint8Array);
    const bytes = encodeEnvelope({ ...entry, value: 2, stamp: newStamp() }, world.clock.wall());
    await settled(world.clock, home.leases.acquire("k", { token: "t", ttl: 1_000, takeOver: true }));
    expect(await settled(world.clock, home.leases.fill("k", "t", bytes, 60_000))).toBe(true);
    const read: unknown[] = [];
    for (let turn = 0; turn < 9; turn += 1) read.push(await settled(world.clock, cache.get("k")));
    expect(read.slice(read.indexOf(2))).toEqual(read.slice(read.indexOf(2)).map(() => 2));
    expect(read.indexOf(2)).toBeLessThan(3);
  });

  it("are not believed by a read during which the key has cooled", async () => {
    const cooling = await coolingTime();
    const world = await start(2, BRISK);
    const [a, b] = world.caches as [Cache, Cache];
    await heat(world, MANY, () => 1);
    const isHot = (): boolean => b.stats().hot.length > 0;
    // What a tells is not heard.
    const runAll = async (): Promise<void> => {
      for (let turn = 0; turn < 30; turn += 1) {
        const steps = world.pending.splice(0);
        for (const step of steps) if (step.kind !== "push") step.run();
        await world.clock.advance(0);
      }
    };
    await world.clock.advance(cooling - 50);
    world.hold = true;
    const gone = a.delete("k");
    await runAll();
    await gone;
    expect(isHot()).toBe(true);
    const reads = Array.from({ length: 3 }, () => b.get("k"));
    await world.clock.advance(100);
    expect(isHot()).toBe(false);
    await runAll();
    expect(await settled(world.clock, Promise.all(reads))).toEqual([undefined, undefined, undefined]);
  });

  it("are not believed while an invalidation of this process's own is not acknowledged", async () => {
    const world = await start(2, { ttl: "1h" });
    const [a, b] = world.caches as [Cache, Cache];
    await heat(
      world,
      ["k"],
      () => 1,
      () => ["t"],
    );
    world.refusing.process = 0;
    await expect(settled(world.clock, a.invalidate({ tag: "t" }))).rejects.toThrow("did not acknowledge");
    // The log goes on, and a newcomer makes copies that are good up to there.
    await settled(world.clock, b.invalidate({ tag: "another" }));
    await world.clock.advance(1_000);
    const c = await world.join();
    await heat(
      { ...world, caches: [b, c] },
      ["k"],
      () => 1,
      () => ["t"],
    );
    expect(fromCopies(c)).toBeGreaterThan(0);
    for (let turn = 0; turn < 20; turn += 1) {
      expect(await settled(world.clock, a.get("k"))).toBeUndefined();
      await world.clock.advance(100);
    }
    expect(a.stats().hot).toHaveLength(1);
  });

  describe("of a history that was lost in a failover", () => {
    /** The home goes back to before the copies' positions, which it gives again; "k" is invalidated and loaded anew. */
    async function failedOver(skew: number): Promise<{ world: World; cold: Cache }> {
      const world = await start(2, BRISK);
      const [a] = world.caches as [Cache];
      const cold = await world.join({ hotKeys: false });
      const home = [0, 1, 2].find((shard) => shardHolds(world, shard)) as number;
      await heat({ ...world, caches: world.caches.slice(0, 2) }, MANY, () => 1);
      // The log moves on, and one that knows it only from there has the copies good up to there.
      await settled(world.clock, a.invalidate({ tag: "another" }));
      await world.join();
      await heat({ ...world, caches: world.caches.filter((cache) => cache !== cold) }, MANY, () => 1);
      // Nothing but that record is lost.
      expect(world.server.failover(1, { shard: home, clock: skew })).toBeDefined();
      await settled(world.clock, cold.invalidate({ key: "k" }));
      expect(
        await settled(
          world.clock,
          cold.getOrLoad("k", () => 3),
        ),
      ).toBe(3);
      return { world, cold };
    }

    // Those who knew the lost history tell its invalidations again, so "k" may have to be loaded once more.
    const read = (world: World, cache: Cache): Promise<number> =>
      settled(
        world.clock,
        cache.getOrLoad("k", () => 3),
      );

    it("are not believed by who knew it, when its positions have been given again", async () => {
      const { world, cold } = await failedOver(-500);
      const b = world.caches[1] as Cache;
      await world.clock.advance(700);
      await settled(world.clock, cold.invalidate({ tag: "another" }));
      expect(b.stats().hot).toHaveLength(1);
      for (let turn = 0; turn < 3; turn += 1) expect(await read(world, b)).toBe(3);
    });

    it("are not believed by who came after, before its positions have been given again", async () => {
      const { world } = await failedOver(-60_000);
      const c = await world.join();
      for (let turn = 0; turn < 300; turn += 1) {
        expect(await read(world, c)).toBe(3);
        await world.clock.advance(10);
      }
      expect(c.stats().hot).toHaveLength(1);
    });
  });

  it("are not gone back to when the entry was refreshed before its end", async () => {
    const world = await start(2, { ttl: "10s", hotKeys: { perSecond: 1, copies: SHARDS } });
    const { caches, clock } = world;
    let version = 0;
    const load = async (): Promise<number> => {
      version += 1;
      const mine = version;
      await new Promise<void>((resolve) => {
        clock.after(100, resolve);
      });
      return mine;
    };
    const newest = caches.map(() => 0);
    const reads: Promise<void>[] = [];
    for (let at = 0; at < 1_500; at += 1) {
      for (const [process, cache] of caches.entries()) {
        const floor = newest[process] as number;
        reads.push(
          cache.getOrLoad("k", load).then((value) => {
            expect(value).toBeGreaterThanOrEqual(floor);
            newest[process] = Math.max(newest[process] as number, value);
          }),
        );
      }
      await clock.advance(20);
    }
    await Promise.all(reads);
    expect(version).toBeGreaterThan(2);
    for (const cache of caches) expect(fromCopies(cache)).toBeGreaterThan(500);
  });
});

/** So many reads that a few more do not count. */
const BRISK: CacheOptions = { ttl: "1h", hotKeys: { perSecond: 40, copies: SHARDS } };
const MANY = Array.from({ length: 10 }, () => "k");

/** How long two processes that have heated "k" keep it hot without reading it; milliseconds. The same each time. */
async function coolingTime(): Promise<number> {
  const world = await start(2, BRISK);
  await heat(world, MANY, () => 1);
  for (let ms = 0; ; ms += 1) {
    if (world.caches.some((cache) => cache.stats().hot.length === 0)) return ms;
    await world.clock.advance(1);
  }
}

/** Whether the entry "k" lies there. */
function shardHolds(world: World, shard: number): boolean {
  return world.server.shardedFactory(SHARDS).openShards("test").shardOf("k") === shard;
}

const RUNS = Number(process.env["HOT_COPIES_RUNS"] ?? 100);
const ROWS = ["a:1", "a:2"] as const;

function tagsOf(row: number): readonly string[] {
  return ["t", `row${row}`];
}

type Action =
  | { readonly do: "step"; readonly which: readonly number[] }
  | { readonly do: "lose"; readonly which: number }
  | { readonly do: "read"; readonly process: number; readonly row: number; readonly load: boolean }
  | {
      readonly do: "write";
      readonly process: number;
      readonly row: number;
      readonly how: number;
      readonly soft: boolean;
    }
  | { readonly do: "pass"; readonly ms: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant("step" as const),
      which: fc.array(fc.nat(1_000), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), which: fc.nat(1_000) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      process: fc.nat(2),
      row: fc.nat(1),
      load: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      process: fc.nat(2),
      row: fc.nat(1),
      how: fc.nat(5),
      soft: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 5, 20, 60, 300) }) },
);

/** One run: what is read is never older than what was acknowledged before the read began, wherever it is promised. */
class Run {
  readonly #world: World;
  readonly #versions = ROWS.map(() => 1);
  /** By all, and by each process. */
  readonly #acknowledged = ROWS.map(() => 0);
  readonly #own = [0, 1, 2].map(() => ROWS.map(() => 0));
  readonly #calls: Promise<void>[] = [];
  broken: string | undefined;
  /** Reads that copies answered. */
  answered = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async play(actions: readonly Action[]): Promise<void> {
    const { clock, pending } = this.#world;
    for (const next of actions) {
      if (next.do === "step") await this.#step(next.which);
      else if (next.do === "lose") this.#lose(next.which);
      else if (next.do === "read") this.#read(next.process, next.row, next.load);
      else if (next.do === "write") this.#write(next.process, next.row, next.how, next.soft);
      await clock.advance(next.do === "pass" ? next.ms : 0);
    }
    this.#world.hold = false;
    for (let turn = 0; turn < 5; turn += 1) {
      for (const step of pending.splice(0)) step.run();
      await clock.advance(0);
    }
    for (const cache of this.#world.caches) this.answered += fromCopies(cache);
    const calls = new Set(this.#calls);
    for (const call of this.#calls) void call.finally(() => calls.delete(call));
    for (let turn = 0; turn < 100 && calls.size > 0; turn += 1) {
      for (const step of pending.splice(0)) step.run();
      await clock.advance(200);
    }
    expect(calls.size).toBe(0);
    await this.#world.close();
  }

  async #step(which: readonly number[]): Promise<void> {
    const { clock, pending } = this.#world;
    for (const one of which) {
      pending.splice(one % Math.max(1, pending.length), 1)[0]?.run();
      await clock.advance(0);
    }
  }

  /** A push that does not arrive. */
  #lose(which: number): void {
    const { pending } = this.#world;
    const pushes = pending.filter(({ kind }) => kind === "push");
    const push = pushes[which % Math.max(1, pushes.length)];
    if (push !== undefined) pending.splice(pending.indexOf(push), 1);
  }

  #read(process: number, row: number, load: boolean): void {
    const cache = this.#world.caches[process] as Cache;
    const key = ROWS[row] as string;
    // Memory may not have heard of another process's invalidation yet, nor a load that a caller joins.
    const isShared = !load && cache.peek(key) === undefined;
    const floor = (isShared ? this.#acknowledged : (this.#own[process] as number[]))[row] as number;
    const call = load ? cache.getOrLoad(key, ({ tags }) => this.#load(row, tags)) : cache.get<number>(key);
    this.#follow(
      call.then((value) => {
        if (value !== undefined && value < floor)
          this.broken ??= `${key} read as ${value} after ${floor} was acknowledged`;
      }),
    );
  }

  async #load(row: number, tags: (...names: string[]) => void): Promise<number> {
    const version = this.#versions[row] as number;
    await new Promise<void>((resolve) => {
      this.#world.pending.push({ kind: "reply", name: "load", shard: 0, run: resolve });
    });
    // Named at the end only: the position the entry carries is older.
    tags(...tagsOf(row));
    return version;
  }

  #write(process: number, row: number, how: number, soft: boolean): void {
    const cache = this.#world.caches[process] as Cache;
    const key = ROWS[row] as string;
    if (how === 5) {
      let version = 0;
      const write = async (): Promise<number> => (version = this.#commit(row));
      this.#follow(
        cache.writeThrough(key, write, { tags: tagsOf(row) }).then(() => this.#acknowledge(process, row, version)),
      );
      return;
    }
    const targets = [{ key }, { key }, { tag: `row${row}` }, { tag: "t" }, { prefix: "a" }] as const;
    const rows = how < 3 ? [row] : [0, 1];
    const versions = rows.map((one) => this.#commit(one));
    this.#follow(
      cache.invalidate(targets[how] as { key: string }, { mode: soft ? "soft" : "hard" }).then(() => {
        for (const [at, one] of rows.entries()) this.#acknowledge(process, one, versions[at] as number);
      }),
    );
  }

  #commit(row: number): number {
    this.#versions[row] = (this.#versions[row] as number) + 1;
    return this.#versions[row];
  }

  #acknowledge(process: number, row: number, version: number): void {
    const own = this.#own[process] as number[];
    own[row] = Math.max(own[row] as number, version);
    // A write succeeds with its invalidation still to be sent: then others need not know of it.
    if ((this.#world.caches[process] as Cache).stats().shared?.unsent !== 0) return;
    this.#acknowledged[row] = Math.max(this.#acknowledged[row] as number, version);
  }

  /** A shard that was not answered for too long is down for its callers: that is no broken promise. */
  #follow(call: Promise<void>): void {
    this.#calls.push(call.catch(() => undefined));
  }
}

describe.each([
  ["without memory", false],
  ["with memory", true],
] as const)("in any order of things, %s", (_name, withMemory) => {
  it(
    "no read gets what was invalidated before it began",
    async () => {
      let answered = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(action, { minLength: 40, maxLength: 160, size: "max" }), async (actions) => {
          // Memory that keeps things only for a moment, so that reads go on to the shared tier.
          const options: CacheOptions = {
            ttl: "1h",
            hardTimeout: "2s",
            shared: { heartbeat: "2s", leaseTtl: "1s" },
            ...(withMemory ? { tierTtl: { memory: 10 } } : {}),
          };
          const world = await start(3, options, withMemory);
          await heat(
            world,
            ROWS,
            () => 1,
            (key) => tagsOf(ROWS.indexOf(key as (typeof ROWS)[0])),
          );
          const heated = world.caches.reduce((sum, cache) => sum + fromCopies(cache), 0);
          world.hold = true;
          const run = new Run(world);
          await run.play(actions);
          answered += run.answered - heated;
          expect(run.broken).toBeUndefined();
        }),
        { numRuns: RUNS },
      );
      // Runs in which no copy is read prove nothing.
      expect(answered).toBeGreaterThan(60);
    },
    Math.max(60_000, RUNS * 600),
  );
});
