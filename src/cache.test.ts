import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import { deferred } from "../test/support/deferred.js";
import type { CacheEvent } from "./events.js";
import { createCache, key, memory } from "./index.js";

const start = oneCache();

describe("get, set and has", () => {
  it("give back what was set, and nothing for what was not", async () => {
    const { cache } = start();
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.has("k")).toBe(false);
    await cache.set("k", { a: [1] });
    expect(await cache.get("k")).toEqual({ a: [1] });
    expect(await cache.has("k")).toBe(true);
  });

  it.each([
    undefined,
    null,
    0,
    -0,
    "",
    Number.NaN,
    false,
    10n,
    new Date(5),
    new Map([["a", 1]]),
    new Set([1]),
    new Uint8Array([1, 2]),
  ])("treat %o as a value like any other", async (value) => {
    const { cache } = start();
    await cache.set("k", value);
    expect(await cache.has("k")).toBe(true);
    expect(await cache.get("k")).toStrictEqual(value);
    expect(cache.peek("k")).toStrictEqual(value);
    const never = (): never => expect.unreachable("a stored value is a hit");
    expect(await cache.getOrLoad("k", never)).toStrictEqual(value);
    expect(cache.stats().total).toMatchObject({ gets: 4, hits: { memory: 4 }, misses: 0 });
  });

  it("take every form of a key, and tell text from numbers in arrays only", async () => {
    const { cache } = start();
    await cache.set(["user", 42], "number");
    await cache.set(["user", "42"], "text");
    expect(await cache.get("user:42")).toBe("number");
    expect(await cache.get(key`user:${42}`)).toBe("number");
    expect(await cache.get(key`user:${"42"}`)).toBe("text");
    await cache.set(7, "seven");
    expect(await cache.get("7")).toBe("seven");
  });

  it("replace what was there, in the order of the calls", async () => {
    const { cache } = start();
    await Promise.all([cache.set("k", 1), cache.set("k", 2), cache.set("k", 3)]);
    expect(await cache.get("k")).toBe(3);
  });

  it("get and peek do not load, and peek is synchronous", async () => {
    const { cache } = start();
    expect(cache.peek("k")).toBeUndefined();
    await cache.set("k", 1);
    expect(cache.peek("k")).toBe(1);
    expect(cache.stats().total.loads).toBe(0);
  });
});

describe("many at once", () => {
  it("setMany stores all, the last of two equal keys", async () => {
    const { cache } = start();
    await cache.setMany(
      new Map([
        ["a", 1],
        ["b", 2],
      ]),
    );
    await cache.setMany([
      ["c", 3],
      ["c", 4],
    ]);
    expect(await cache.getMany(["b", "missing", "a", "c", "b"])).toEqual([2, undefined, 1, 4, 2]);
  });

  it("setMany stores none when one cannot be stored", async () => {
    const { cache } = start();
    await cache.set("a", "before");
    await expect(
      cache.setMany([
        ["a", 1],
        ["b", () => 1],
      ]),
    ).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect(await cache.getMany(["a", "b"])).toEqual(["before", undefined]);
  });

  it("deleteMany counts what was stored, each key once", async () => {
    const { cache } = start();
    await cache.setMany([
      ["a", 1],
      ["b", 2],
    ]);
    expect(await cache.deleteMany(["a", "missing", "a"])).toBe(1);
    expect(await cache.deleteMany(["a"])).toBe(0);
    expect(await cache.deleteMany([])).toBe(0);
    expect(await cache.get("b")).toBe(2);
  });
});

describe("delete and expire", () => {
  it("delete removes, and says whether there was something", async () => {
    const { cache } = start({ staleIfError: "1h", staleWhileRevalidate: "1h" });
    await cache.set("k", 1);
    expect(await cache.delete("k")).toBe(true);
    expect(await cache.delete("k")).toBe(false);
    expect(await cache.get("k", { stale: true })).toBeUndefined();
    expect(cache.stats().total.missReasons).toEqual({ "invalidated-key": 1 });
  });

  it("expire makes stale what may be served stale, and misses without a stale window", async () => {
    const { cache } = start();
    await cache.set("plain", 1);
    await cache.set("swr", 1, { staleWhileRevalidate: "1m" });
    expect(await cache.expire("plain")).toBe(true);
    expect(await cache.expire("swr")).toBe(true);
    expect(await cache.expire("missing")).toBe(false);
    expect(await cache.get("plain")).toBeUndefined();
    expect(await cache.get("swr")).toBeUndefined();
    expect(await cache.get("swr", { stale: true })).toBe(1);
    expect(await cache.getOrLoad("plain", () => 2)).toBe(2);
    expect(await cache.getOrLoad("swr", () => 2)).toBe(1);
  });
});

describe("isolation", () => {
  it("freeze: neither what was set nor what was read can change the cache", async () => {
    const { cache } = start();
    const mine = { list: [1], at: new Date(1), map: new Map([["a", 1]]) };
    await cache.set("k", mine);
    mine.list.push(2);
    mine.at.setTime(2);
    const read = (await cache.get("k")) as typeof mine;
    expect(() => read.list.push(3)).toThrow(TypeError);
    read.at.setTime(3);
    read.map.set("b", 2);
    expect(await cache.get("k")).toEqual({ list: [1], at: new Date(1), map: new Map([["a", 1]]) });
  });

  it("freeze: readers share one copy when it holds nothing that freezing does not protect", async () => {
    const { cache } = start();
    await cache.set("k", { a: [1] });
    expect(cache.peek("k")).toBe(cache.peek("k"));
  });

  it("freeze: the callers who share a load get values that do not reach each other's", async () => {
    const { cache } = start();
    const [a, b] = await Promise.all([
      cache.getOrLoad("k", () => new Map([["a", 1]])),
      cache.getOrLoad("k", () => new Map()),
    ]);
    a.set("b", 2);
    expect(b).toEqual(new Map([["a", 1]]));
    expect(cache.peek("k")).toEqual(new Map([["a", 1]]));
  });

  it("clone: every reader may change its own copy", async () => {
    const { cache } = start({ isolation: "clone" });
    await cache.set("k", { list: [1] });
    const read = (await cache.get("k")) as { list: number[] };
    read.list.push(2);
    const loaded = await cache.getOrLoad<{ list: number[] }>("k", () => expect.unreachable());
    loaded.list.push(3);
    expect(cache.peek("k")).toEqual({ list: [1] });
  });

  it("none: the very object, of any kind", async () => {
    const { cache } = start({ isolation: "none" });
    const value = { now: () => 1 };
    await cache.set("k", value);
    expect(cache.peek("k")).toBe(value);
    expect(await cache.getOrLoad("other", () => value)).toBe(value);
    expect(cache.peek("other")).toBe(value);
  });

  it.each(["freeze", "clone"] as const)(
    "%s: a loader that changes `previous` does not change what is stored",
    async (isolation) => {
      const { cache, clock } = start({ isolation, ttl: 100, staleIfError: "1h" });
      await cache.set("k", new Map([["a", 1]]));
      await clock.advance(100);
      const read = await cache.getOrLoad<Map<string, number>>("k", ({ previous }) => {
        (previous?.value as Map<string, number> | undefined)?.set("b", 2);
        throw new Error("source is down");
      });
      expect(read).toEqual(new Map([["a", 1]]));
    },
  );
});

describe("namespaces", () => {
  it("share nothing with each other, nor with the cache they are in", async () => {
    const { cache } = start();
    const a = cache.namespace("a");
    await cache.set("k", "root", { tags: ["t"] });
    await a.set("k", "a", { tags: ["t"] });
    await cache.namespace("b").set("k", "b", { tags: ["t"] });
    await a.namespace("b").set("k", "a/b");
    expect([
      await cache.get("k"),
      await a.get("k"),
      await cache.namespace("b").get("k"),
      await a.namespace("b").get("k"),
    ]).toEqual(["root", "a", "b", "a/b"]);
    await a.invalidate({ tag: "t" });
    expect(await a.get("k")).toBeUndefined();
    expect(await cache.get("k")).toBe("root");
    await cache.invalidate({ tag: "t" });
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.namespace("b").get("k")).toBe("b");
  });

  it("cannot be reached by a key of the cache that looks like theirs", async () => {
    const { cache } = start();
    await cache.namespace("a").set("k", 1);
    expect(await cache.get("/a:k")).toBeUndefined();
    await cache.invalidate({ prefix: "/a:" });
    expect(await cache.namespace("a").get("k")).toBe(1);
  });

  it("are emptied alone by their `all`, and with everything by the cache's", async () => {
    const { cache } = start();
    const [a, ab] = [cache.namespace("a"), cache.namespace("ab")];
    await a.set("k", 1);
    await ab.set("k", 1);
    await cache.set("k", 1);
    await a.invalidate({ all: true });
    expect([await a.has("k"), await ab.has("k"), await cache.has("k")]).toEqual([false, true, true]);
    await cache.invalidate({ all: true });
    expect([await a.has("k"), await ab.has("k"), await cache.has("k")]).toEqual([false, false, false]);
  });

  it("of one name are one room: an entity declared in it is known there", async () => {
    const { cache } = start();
    cache.namespace("a").entity({ name: "user" });
    expect(() => cache.namespace("a").entity({ name: "user" })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_ENTITY" }),
    );
    expect(cache.entity({ name: "user" }).name).toBe("user");
  });

  it("keep what they hold however many there are", async () => {
    const { cache } = start();
    await cache.namespace("first").set("k", 1);
    for (let index = 0; index < 1_100; index += 1) cache.namespace(`n${index}`);
    expect(await cache.namespace("first").get("k")).toBe(1);
  });

  it("have locks of their own", async () => {
    const { cache } = start();
    const lock = await cache.lock("job");
    const other = await cache.namespace("a").lock("job", { wait: 0 });
    expect(other.fence).not.toBe(lock.fence);
    await Promise.all([lock.release(), other.release()]);
  });
});

describe("events", () => {
  it("tell of every step of a read and a write", async () => {
    const { cache, clock } = start({ ttl: 100 });
    const events: CacheEvent[] = [];
    const off = cache.on("*", (event) => events.push(event));
    await cache.getOrLoad("k", async () => {
      await clock.advance(5);
      return 1;
    });
    await cache.get("k");
    await cache.delete("k");
    off();
    await cache.get("k");
    expect(events.map(({ type }) => type)).toEqual(["loaded", "stored", "miss", "hit", "removed", "invalidated"]);
    expect(events[0]).toMatchObject({ key: "k", entity: "", took: 5, background: false });
    expect(events[1]).toMatchObject({ tier: "memory", ttl: 100 });
    expect(events[2]).toMatchObject({ reason: "cold" });
    expect(events[3]).toMatchObject({ tier: "memory", stale: false });
  });

  it("a listener that throws is told of to the others, and reaches nobody else", async () => {
    const { cache } = start();
    const failure = new Error("listener");
    const told: unknown[] = [];
    cache.on("miss", () => {
      throw failure;
    });
    cache.on("*", () => {
      throw failure;
    });
    cache.on("background-failed", (event) => told.push(event.error));
    expect(await cache.getOrLoad("k", () => 1)).toBe(1);
    expect(await cache.get("k")).toBe(1);
    expect(told.length).toBeGreaterThan(0);
    expect(new Set(told)).toEqual(new Set([failure]));
  });

  it("one function registered twice is told twice, and taken back once each", async () => {
    const { cache } = start();
    let told = 0;
    const listener = (): void => void (told += 1);
    const first = cache.on("miss", listener);
    cache.on("miss", listener);
    await cache.get("k");
    expect(told).toBe(2);
    first();
    first();
    await cache.get("k");
    expect(told).toBe(3);
  });

  it("a listener may call the cache, from whatever event", async () => {
    const { cache } = start({ ttl: 100 });
    const inner: Promise<unknown>[] = [];
    let left = 20;
    cache.on("*", () => {
      if (left === 0) return;
      left -= 1;
      inner.push(
        cache.set("other", 1),
        cache.getOrLoad("k", () => 2),
        cache.delete("k"),
        cache.get("k"),
      );
      cache.peek("k");
    });
    expect(await cache.getOrLoad("k", () => 1)).toBeTypeOf("number");
    await cache.set("k", 3);
    for (let reads = 0; reads < 40; reads += 1) await cache.get("k");
    expect(await Promise.allSettled(inner)).toHaveLength(80);
    expect((await Promise.allSettled(inner)).filter(({ status }) => status === "rejected")).toEqual([]);
  });

  it("a miss's listener that reads the key after a failed load does not get that failure again", async () => {
    const { cache } = start();
    let retried: Promise<number> | undefined;
    cache.on("miss", () => void (retried ??= cache.getOrLoad("k", () => 2)));
    await expect(cache.getOrLoad("k", () => Promise.reject(new Error("first")))).rejects.toThrow("first");
    expect(await retried).toBe(2);
  });
});

describe("explain", () => {
  it("tells the state, its reason and its times, and changes nothing", async () => {
    const { cache, clock } = start({ ttl: 100, staleIfError: 100 });
    expect(await cache.explain("k")).toMatchObject({
      key: "k",
      loading: false,
      failures: undefined,
      tiers: [{ state: "absent", reason: "cold" }],
    });
    await cache.set("k", 1, { tags: ["t"] });
    await clock.advance(40);
    const fresh = await cache.explain("k");
    expect(fresh.tiers).toMatchObject([
      { tier: "memory", state: "fresh", reason: undefined, freshFor: 60, age: 40, tags: ["global:t"] },
    ]);
    expect(fresh.summary).toBe("A read is answered from memory.");
    await clock.advance(70);
    expect((await cache.explain("k")).tiers).toMatchObject([{ state: "stale", reason: "expired", freshFor: -10 }]);
    await cache.invalidate({ tag: "t" });
    expect((await cache.explain("k")).tiers).toMatchObject([{ state: "dead", reason: "invalidated-tag" }]);
    expect(cache.stats().total.gets).toBe(0);
  });

  it("tells a load under way, and failures in a row", async () => {
    const { cache } = start();
    const load = deferred<number>();
    const read = cache.getOrLoad("k", () => load.promise);
    expect(await cache.explain("k")).toMatchObject({ loading: true });
    load.reject(new Error("down"));
    await read.catch(() => undefined);
    await cache.getOrLoad("k", () => Promise.reject(new Error("down"))).catch(() => undefined);
    expect(await cache.explain("k")).toMatchObject({ loading: false, failures: { count: 2, retryIn: 100 } });
  });
});

describe("close", () => {
  it("refuses everything afterwards with one code", async () => {
    const { cache } = start();
    const namespace = cache.namespace("n");
    const entity = cache.entity<string, number>({ name: "e", load: () => 1 });
    const scoped = cache.entity<string, number>({ name: "s", scope: "tenant", load: () => 1 });
    const wrapped = cache.wrap((n: number) => n, { name: "w" });
    await cache.close();
    const closed = expect.objectContaining({ code: "ERR_CACHE_CLOSED" });
    for (const one of [cache, namespace]) {
      const calls = [
        () => one.get("k"),
        () => one.getMany(["k"]),
        () => one.has("k"),
        () => one.set("k", 1),
        () => one.setMany([["k", 1]]),
        () => one.delete("k"),
        () => one.deleteMany(["k"]),
        () => one.expire("k"),
        () => one.getOrLoad("k", () => 1),
        () =>
          one.getOrLoadMany(
            [1],
            (n) => n,
            async (ns) => ns,
          ),
        () => one.refresh("k", () => 1),
        () => one.writeThrough("k", async () => 1),
        () => one.invalidate({ key: "k" }),
        () => one.lock("k"),
        () => one.warm([]),
        () => one.explain("k"),
        () => wrapped(1),
        () => wrapped.refresh(1),
        () => wrapped.invalidate(1),
        () => wrapped.invalidateAll(),
        () => entity.get("k"),
        () => entity.find("k"),
        () => entity.getOrLoad("k", () => 1),
        () => entity.getMany(["k"]),
        () => entity.has("k"),
        () => entity.set("k", 1),
        () => entity.refresh("k"),
        () => entity.expire("k"),
        () => entity.writeThrough("k", async () => 1),
        () => entity.invalidate("k"),
        () => entity.invalidateMany(["k"]),
        () => entity.invalidateTag("t"),
        () => entity.invalidateAll(),
        () => entity.explain("k"),
        () => scoped.invalidateAll(),
        () => scoped.in("a").get("k"),
      ];
      for (const call of calls) await expect(call(), String(call)).rejects.toEqual(closed);
      expect(() => one.peek("k")).toThrow(closed);
      expect(() => one.namespace("x")).toThrow(closed);
      expect(() => one.entity({ name: "x" })).toThrow(closed);
    }
    expect(() => entity.peek("k")).toThrow(closed);
    expect(cache.stats().name).toBe("cache");
  });

  it("twice is once, and disposing is closing", async () => {
    const { cache } = start();
    expect(cache.close()).toBe(cache.close());
    await cache[Symbol.asyncDispose]();
  });

  it("waits for the loads under way, whose callers get their value", async () => {
    const { cache, clock } = start();
    const load = deferred<number>();
    const read = cache.getOrLoad("k", () => load.promise);
    let closed = false;
    const closing = cache.close().then(() => (closed = true));
    await clock.advance(1_000);
    expect(closed).toBe(false);
    load.resolve(1);
    expect(await read).toBe(1);
    await closing;
  });

  it("gives up a load that does not end, and tells its signal and its callers", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    let signal: AbortSignal | undefined;
    const hung = cache.getOrLoad("k", (context) => {
      signal = context.signal;
      return new Promise<number>(() => undefined);
    });
    const queued = cache.getOrLoad("q", () => 1);
    const closing = cache.close();
    const ended = Promise.allSettled([hung, queued]);
    await clock.advance(5_000);
    await closing;
    const closed = { status: "rejected", reason: expect.objectContaining({ code: "ERR_CACHE_CLOSED" }) };
    expect(await ended).toEqual([closed, closed]);
    expect(signal?.aborted).toBe(true);
  });
});

describe("a cache of its own defaults", () => {
  it("needs no options, and works on the machine's clock", async () => {
    const cache = createCache();
    await cache.set("k", 1);
    expect(await cache.get("k")).toBe(1);
    expect(cache.name).toBe("cache");
    expect(cache.stats().memory?.maxBytes).toBe(64 * 2 ** 20);
    await cache.close();
  });

  it("keeps within the bounds of its memory, and says why something is gone", async () => {
    const { cache } = start({ tiers: [memory({ maxEntries: 10 })] });
    for (let index = 0; index < 30; index += 1) await cache.set(`k${index}`, index);
    expect(cache.stats().memory?.entries).toBeLessThanOrEqual(10);
    for (let index = 0; index < 30; index += 1) await cache.get(`k${index}`);
    const { missReasons, misses } = cache.stats().total;
    expect(misses).toBeGreaterThanOrEqual(20);
    expect(missReasons.evicted).toBe(misses);
  });

  it("does not store what is too large for its memory, and still answers", async () => {
    const { cache } = start({ tiers: [memory({ maxBytes: "10kb" })] });
    await cache.set("k", "small");
    await cache.set("k", "x".repeat(20_000));
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.getOrLoad("k", () => "y".repeat(20_000))).toHaveLength(20_000);
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats().total.refused["too-large"]).toBe(2);
  });
});
