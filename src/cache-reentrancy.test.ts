import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import type { CacheEventType } from "./events.js";
import type { Cache } from "./api.js";
import { memory } from "./tiers/memory/memory.js";

const start = oneCache();

const TYPES: readonly CacheEventType[] = ["hit", "miss", "loaded", "stored", "removed", "invalidated", "refused"];

/** What a listener may do with the cache it listens to; promises are followed to their end. */
const CALLS: readonly [name: string, call: (cache: Cache, key: string) => Promise<unknown>][] = [
  ["sets", (cache, key) => cache.set(`${key}'`, "by the listener")],
  ["sets the key again", (cache) => cache.set("k1", "by the listener")],
  ["reads and loads", async (cache) => [cache.peek("k1"), await cache.getOrLoad("k2", () => "loaded")]],
  ["deletes", (cache, key) => cache.delete(key)],
  ["invalidates everything", (cache) => cache.invalidate({ all: true })],
];

describe("a listener that calls the cache", () => {
  it.each(TYPES.flatMap((type) => CALLS.map(([called, call]) => ({ type, called, call }))))(
    "and $called on $type, leaves every call its answer",
    async ({ type, call }) => {
      const { cache } = start({ tiers: [memory({ maxEntries: 4, maxEntryBytes: 100_000 })] });
      const work: Promise<unknown>[] = [];
      let left = 12;
      const failures: unknown[] = [];
      cache.on("background-failed", (event) => failures.push(event));
      cache.on(type, (event) => {
        left -= 1;
        if (left > 0) work.push(call(cache, "key" in event ? event.key : "k1"));
      });
      for (let id = 0; id < 12; id += 1) {
        await cache.set(`k${id}`, id);
        expect(["v", id, "by the listener", "loaded"]).toContain(await cache.getOrLoad(`k${id}`, () => "v"));
        expect(["v", "by the listener"]).toContain(await cache.getOrLoad(`l${id}`, () => "v"));
      }
      await cache.set("large", "x".repeat(200_000));
      await cache.invalidate({ key: "k1" });
      cache.peek("k1");
      // The work makes events, whose listeners make work.
      for (let done = 0; done < work.length; done += 1) await work[done];
      expect(left).toBeLessThan(12);
      expect(failures).toEqual([]);
      const { memory: stats } = cache.stats();
      expect(stats?.entries).toBeLessThanOrEqual(4);
      await cache.set("k", "after");
      expect(await cache.getOrLoad("k", () => "loaded")).toSatisfy((value) => value === "after" || value === "loaded");
    },
  );

  it.each(TYPES)("may close it on %s: the call under way still ends", async (type) => {
    const { cache, clock } = start({ tiers: [memory({ maxEntries: 2, maxEntryBytes: 100_000 })] });
    let closing: Promise<void> | undefined;
    cache.on(type, () => {
      closing ??= cache.close();
    });
    const ends: unknown[] = [];
    for (let id = 0; id < 8; id += 1) {
      for (const call of [
        () => cache.set(`k${id}`, id),
        () => cache.getOrLoad(`k${id}`, () => "v"),
        () => cache.getOrLoad(`l${id}`, () => "v"),
        () => cache.set("large", "x".repeat(200_000)),
        () => cache.invalidate({ key: `k${id}` }),
      ]) {
        const end = call().then(
          () => "done",
          (error: { readonly code?: unknown }) => error.code,
        );
        await clock.advance(1);
        ends.push(await end);
      }
    }
    expect(closing).toBeDefined();
    await closing;
    expect(new Set(ends)).toEqual(new Set(["done", "ERR_CACHE_CLOSED"]));
    expect(cache.stats().memory?.entries).toBe(0);
  });
});

describe("an entry larger than memory takes", () => {
  it("is refused, counted and served uncached, each time anew", async () => {
    const { cache } = start({ tiers: [memory({ maxBytes: 10_000, maxEntryBytes: 1_000 })] });
    const reasons: string[] = [];
    cache.on("refused", (event) => reasons.push(`${event.tier}: ${event.reason}`));
    let loads = 0;
    const load = (): string => {
      loads += 1;
      return "x".repeat(2_000);
    };
    for (let read = 0; read < 3; read += 1) expect(await cache.getOrLoad("large", load)).toHaveLength(2_000);
    expect(loads).toBe(3);
    expect(cache.peek("large")).toBeUndefined();
    expect(reasons).toEqual(Array.from({ length: 3 }, () => "memory: too-large"));
    expect(cache.stats().memory).toMatchObject({ entries: 0, bytes: 0, refused: 3 });
    expect(cache.stats().total.refused).toEqual({ "too-large": 3 });
  });

  it("takes the place of the one that was there: what is served is never older than what was set", async () => {
    const { cache } = start({ tiers: [memory({ maxBytes: 10_000, maxEntryBytes: 1_000 })] });
    await cache.set("k", "small");
    await cache.set("k", "x".repeat(2_000));
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.getOrLoad("k", () => "loaded")).toBe("loaded");
  });
});

describe("sizes that a caller's sizeOf gives", () => {
  it.each([-1, -1e9, Number.NaN, Number.POSITIVE_INFINITY, "12", undefined] as number[])(
    "%s is refused and served uncached",
    async (size) => {
      const { cache } = start({ tiers: [memory({ sizeOf: () => size })] });
      await cache.set("k", 1);
      expect(cache.peek("k")).toBeUndefined();
      expect(await cache.getOrLoad("k", () => "loaded")).toBe("loaded");
      expect(cache.stats().memory).toMatchObject({ entries: 0, bytes: 0 });
    },
  );

  it.each([0, 0.5])("%d is taken", async (size) => {
    const { cache } = start({ tiers: [memory({ sizeOf: () => size })] });
    await cache.set("k", 1);
    expect(cache.peek("k")).toBe(1);
  });
});
