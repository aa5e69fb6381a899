import { afterEach, describe, expect, it } from "vitest";

import type { Cache } from "../src/index.js";
import { deferred } from "./support/deferred.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes & { a: Cache; b: Cache; c: Cache }> {
  running = await processes(...args);
  const [a, b, c] = running.caches;
  return { ...running, a: a as Cache, b: (b ?? a) as Cache, c: (c ?? a) as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

describe("refresh", () => {
  it("loads although a fresh value is stored, and every process gets the new one", async () => {
    const { a, b, c, settle } = await start(3);
    await a.set("k", "old");
    await Promise.all([b.get("k"), c.get("k")]);
    expect(await b.refresh("k", () => "new")).toBe("new");
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(c.peek("k")).toBeUndefined();
    expect(await a.get("k")).toBe("new");
    expect(await c.getOrLoad("k", () => "never")).toBe("new");
  });

  it("is waited for by readers in other processes, who load nothing", async () => {
    const { a, b, settle } = await start(2);
    await a.set("k", "old");
    await b.get("k");
    const load = deferred<string>();
    const refreshing = a.refresh("k", () => load.promise);
    await settle();
    let loads = 0;
    const read = b.getOrLoad("k", () => `b's ${(loads += 1)}`);
    await settle();
    load.resolve("new");
    expect(await refreshing).toBe("new");
    expect(await read).toBe("new");
    expect(loads).toBe(0);
  });

  it("lets other processes serve stale meanwhile where the policy allows, without a load of theirs", async () => {
    const { a, b, settle } = await start(2, { staleWhileRevalidate: "1h" });
    await a.set("k", "old");
    await b.get("k");
    const load = deferred<string>();
    const refreshing = a.refresh("k", () => load.promise);
    await settle();
    let loads = 0;
    const loader = (): string => `b's ${(loads += 1)}`;
    expect(await b.getOrLoad("k", loader)).toBe("old");
    await settle();
    load.resolve("new");
    await refreshing;
    await settle();
    expect(await b.getOrLoad("k", loader)).toBe("old");
    await settle();
    expect(await b.getOrLoad("k", loader)).toBe("new");
    expect(loads).toBe(0);
  });

  it("in two processes at once: the later one counts, and the earlier one's value is stored nowhere", async () => {
    const { a, b, c, settle } = await start(3);
    const first = deferred<string>();
    const earlier = a.refresh("k", () => first.promise);
    await settle();
    expect(await b.refresh("k", () => "later")).toBe("later");
    first.resolve("earlier");
    expect(await earlier).toBe("earlier");
    await settle();
    expect(a.peek("k")).toBeUndefined();
    expect(await c.get("k")).toBe("later");
  });

  it("that fails leaves the stale value to stale-if-error, in every process", async () => {
    const { a, b, settle } = await start(2, { staleIfError: "1h" });
    await a.set("k", "old");
    await b.get("k");
    expect(await a.refresh("k", () => Promise.reject(new Error("down")))).toBe("old");
    await settle();
    expect(await b.getOrLoad("k", () => Promise.reject(new Error("down")))).toBe("old");
  });
});

describe("getOrLoadMany", () => {
  it("in two processes at once loads no key twice, with one call in each", async () => {
    const { a, b, clock } = await start(2);
    const calls: { who: string; items: readonly number[] }[] = [];
    const gates = { a: deferred(), b: deferred() };
    const loader = (who: "a" | "b") => async (items: readonly number[]) => {
      calls.push({ who, items: [...items] });
      await gates[who].promise;
      return items.map((item) => `${item} by ${who}`);
    };
    const key = (item: number): [string, number] => ["item", item];
    const first = a.getOrLoadMany([1, 2, 3, 4], key, loader("a"));
    await clock.advance(0);
    const second = b.getOrLoadMany([3, 4, 5, 6], key, loader("b"));
    await clock.advance(0);
    expect(calls).toEqual([
      { who: "a", items: [1, 2, 3, 4] },
      { who: "b", items: [5, 6] },
    ]);
    gates.b.resolve();
    await clock.advance(0);
    gates.a.resolve();
    await clock.advance(1);
    expect(await first).toEqual(["1 by a", "2 by a", "3 by a", "4 by a"]);
    expect(await second).toEqual(["3 by a", "4 by a", "5 by b", "6 by b"]);
    expect(calls).toHaveLength(2);
  });

  it("overlapping from both ends at the same moment loads each key exactly once", async () => {
    const { caches, clock } = await start(5);
    const loaded: number[] = [];
    const items = Array.from({ length: 20 }, (_, n) => n);
    const loader = async (missing: readonly number[]): Promise<string[]> => {
      loaded.push(...missing);
      await new Promise<void>((resolve) => clock.after(50, resolve));
      return missing.map((item) => `v${item}`);
    };
    const reads = caches.map((cache, at) =>
      cache.getOrLoadMany(at % 2 === 0 ? items : items.toReversed(), (item) => `k:${item}`, loader),
    );
    await clock.advance(1_000);
    const expected = items.map((item) => `v${item}`);
    for (const [at, read] of reads.entries())
      expect(await read).toEqual(at % 2 === 0 ? expected : expected.toReversed());
    expect(loaded.toSorted((a, b) => a - b)).toEqual(items);
  });

  it("takes over the items of a process that died, and only those", async () => {
    const { a, b, clock, connections } = await start(2, { shared: { leaseTtl: "2s" }, hardTimeout: "1h" });
    a.getOrLoadMany(
      [1, 2],
      (item) => `k:${item}`,
      () => new Promise<string[]>(() => undefined),
    ).catch(() => undefined);
    await clock.advance(0);
    connections[0]?.hang();
    const calls: number[][] = [];
    const read = b.getOrLoadMany(
      [1, 2, 3],
      (item) => `k:${item}`,
      async (missing) => {
        calls.push([...missing]);
        return missing.map((item) => `b's ${item}`);
      },
    );
    await clock.advance(3_000);
    expect(await read).toEqual(["b's 1", "b's 2", "b's 3"]);
    expect(calls.flat().toSorted((x, y) => x - y)).toEqual([1, 2, 3]);
    expect(calls[0]).toEqual([3]);
  });

  it("has an item invalidated meanwhile stored nowhere, and the others everywhere", async () => {
    const { a, b, settle } = await start(2);
    const load = deferred<string[]>();
    const read = a.getOrLoadMany(
      ["x", "y"],
      (item) => item,
      () => load.promise,
    );
    await settle();
    await b.invalidate({ key: "x" });
    load.resolve(["old x", "y"]);
    expect(await read).toEqual(["old x", "y"]);
    await settle();
    expect(a.peek("x")).toBeUndefined();
    expect(await b.getMany(["x", "y"])).toEqual([undefined, "y"]);
  });
});

describe("stale-while-revalidate", () => {
  it("is one refresh cluster-wide, and every process serves stale until it is there", async () => {
    const { caches, a, clock, settle } = await start(5, { ttl: "1s", staleWhileRevalidate: "1h" });
    await a.set("k", "old");
    for (const cache of caches) expect(await cache.get("k")).toBe("old");
    await clock.advance(1_001);
    const load = deferred<string>();
    let loads = 0;
    const loader = (): Promise<string> => {
      loads += 1;
      return load.promise;
    };
    for (let round = 0; round < 3; round += 1) {
      for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("old");
      await clock.advance(100);
    }
    expect(loads).toBe(1);
    load.resolve("new");
    await settle();
    // The read that finds stale in memory starts the look at the shared tier; the next one has it.
    for (const cache of caches) await cache.getOrLoad("k", loader);
    await settle();
    for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("new");
    expect(loads).toBe(1);
  });

  it("whose refresh fails is tried by somebody else, and stale is served throughout", async () => {
    const { a, b, clock, settle } = await start(2, { ttl: "1s", staleWhileRevalidate: "1h" });
    await a.set("k", "old");
    await b.get("k");
    await clock.advance(1_001);
    expect(await a.getOrLoad("k", () => Promise.reject(new Error("down")))).toBe("old");
    await settle();
    expect(await b.getOrLoad("k", () => "new")).toBe("old");
    await settle();
    expect(await b.getOrLoad("k", () => "never")).toBe("new");
  });

  it("ends with a hard invalidation: nobody is served the stale value any more", async () => {
    const { a, b, clock, settle } = await start(2, { ttl: "1s", staleWhileRevalidate: "1h" });
    await a.set("k", "old");
    await b.get("k");
    await clock.advance(1_001);
    await a.invalidate({ key: "k" });
    await settle();
    expect(await b.getOrLoad("k", () => "new")).toBe("new");
  });
});

describe("early refresh", () => {
  // With chance at ½ and β 1 an entry whose load took 1 s is refreshed −ln ½ ≈ 693 ms before its end.
  const EARLY = { ttl: "10s", earlyRefresh: 1 } as const;

  async function loadedSlowly({ a, clock }: { a: Cache; clock: Processes["clock"] }): Promise<void> {
    const load = a.getOrLoad("k", () => new Promise<string>((resolve) => clock.after(1_000, () => resolve("old"))));
    await clock.advance(1_000);
    await load;
  }

  it("loads before the entry ends, once in the cluster, while everybody is answered from memory", async () => {
    const cluster = await start(3, EARLY);
    const { a, caches, clock, settle } = cluster;
    await loadedSlowly(cluster);
    for (const cache of caches) expect(await cache.get("k")).toBe("old");
    const load = deferred<string>();
    let loads = 0;
    const loader = (): Promise<string> => {
      loads += 1;
      return load.promise;
    };
    await clock.advance(9_306);
    for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("old");
    await settle();
    expect(loads).toBe(0);
    await clock.advance(1);
    for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("old");
    await settle();
    expect(loads).toBe(1);
    for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("old");
    load.resolve("new");
    await settle();
    expect(a.peek("k")).toBe("new");
    for (const cache of caches) expect(await cache.getOrLoad("k", loader)).toBe("new");
    expect(loads).toBe(1);
  });

  it("of an entry that only this memory keeps for a shorter time asks the shared tier, not the source", async () => {
    const cluster = await start(2, { ...EARLY, tierTtl: { memory: "2s" } });
    const { b, clock, settle } = cluster;
    await loadedSlowly(cluster);
    await b.get("k");
    await clock.advance(1_500);
    let loads = 0;
    expect(await b.getOrLoad("k", () => `v${(loads += 1)}`)).toBe("old");
    await settle();
    await clock.advance(1_000);
    expect(b.peek("k")).toBe("old");
    expect(loads).toBe(0);
  });
});

describe("a process that waits for another's load", () => {
  it("is woken by the fill", async () => {
    const { a, b, clock, settle } = await start(2);
    const load = deferred<string>();
    const first = a.getOrLoad("k", () => load.promise);
    await settle();
    const began = clock.now();
    const second = b.getOrLoad("k", () => "never");
    await settle();
    load.resolve("v");
    await first;
    await settle();
    expect(await second).toBe("v");
    expect(clock.now()).toBe(began);
    expect(b.stats().total.coalesced.cluster).toBe(1);
  });

  it("is woken by a failed load, and loads itself", async () => {
    const { a, b, clock, settle } = await start(2);
    const load = deferred<string>();
    const first = a.getOrLoad("k", () => load.promise);
    first.catch(() => undefined);
    await settle();
    const began = clock.now();
    const second = b.getOrLoad("k", () => "b's");
    await settle();
    load.reject(new Error("a's source is down"));
    await settle();
    expect(await second).toBe("b's");
    expect(clock.now()).toBe(began);
  });

  it("asks again after a quarter of a second when the wake-up is lost", async () => {
    const { a, b, clock, connections, settle } = await start(2);
    connections[1]?.dropPushes(true);
    const load = deferred<string>();
    const first = a.getOrLoad("k", () => load.promise);
    await settle();
    let value: string | undefined;
    void b.getOrLoad("k", () => "never").then((got) => (value = got));
    await settle();
    load.resolve("v");
    await first;
    await clock.advance(249);
    expect(value).toBeUndefined();
    await clock.advance(1);
    expect(value).toBe("v");
  });

  it("starts no load when its own caller has given up meanwhile", async () => {
    const { a, b, clock, settle } = await start(2);
    const load = deferred<string>();
    const first = a.getOrLoad("k", () => load.promise);
    await settle();
    let loads = 0;
    const gaveUp = b.getOrLoad("k", () => `b's ${(loads += 1)}`, { waitTimeout: "100ms" });
    const outcome = expect(gaveUp).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    await clock.advance(100);
    await outcome;
    await clock.advance(1_000);
    expect(loads).toBe(0);
    load.resolve("v");
    expect(await first).toBe("v");
    expect(await b.get("k")).toBe("v");
  });

  it("a lease whose holder could not end it, for the tier was away, holds nobody up once the tier is back", async () => {
    const { a: holder, b: other, connections, clock, settle } = await start(2);
    const load = deferred<string>();
    const first = holder.getOrLoad("k", () => load.promise);
    await settle();
    connections[0]?.fail();
    load.resolve("loaded");
    expect(await first).toBe("loaded");
    connections[0]?.heal();
    await clock.advance(1_000);
    let answer: string | undefined;
    const second = other.getOrLoad("k", () => "other").then((value) => (answer = value));
    await clock.advance(500);
    expect(answer).toBe("other");
    await clock.advance(10_000);
    await second;
  });
});
