import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";

const start = oneCache();
const down = new Error("the source is down");
const key = (n: number): string => `n:${n}`;

describe("getOrLoadMany", () => {
  it("calls the loader once, with what is missing, and answers in the order asked", async () => {
    const { cache } = start();
    await cache.set("n:2", "stored");
    const calls: (readonly number[])[] = [];
    const values = await cache.getOrLoadMany([3, 2, 1], key, async (missing) => {
      calls.push(missing);
      return missing.map((n) => `loaded ${n}`);
    });
    expect(values).toEqual(["loaded 3", "stored", "loaded 1"]);
    expect(calls).toEqual([[3, 1]]);
    expect(await cache.getMany(["n:1", "n:3"])).toEqual(["loaded 1", "loaded 3"]);
    expect(cache.stats().total).toMatchObject({ gets: 5, hits: { memory: 3 }, misses: 2, loads: 2 });
  });

  it("calls no loader for nothing missing, or for nothing at all", async () => {
    const { cache } = start();
    await cache.set("n:1", 1);
    const loader = (): Promise<never> => Promise.reject(new Error("called"));
    expect(await cache.getOrLoadMany([1], key, loader)).toEqual([1]);
    expect(await cache.getOrLoadMany([], key, loader)).toEqual([]);
  });

  it.each([false, true])("asks for each key once, however often it is named (forceFresh: %s)", async (forceFresh) => {
    const { cache } = start();
    const calls: (readonly number[])[] = [];
    const loader = async (missing: readonly number[]): Promise<number[]> => {
      calls.push(missing);
      return missing.map((n) => n * 10);
    };
    expect(await cache.getOrLoadMany([1, 2, 1, 1], key, loader, { forceFresh })).toEqual([10, 20, 10, 10]);
    expect(calls).toEqual([[1, 2]]);
  });

  it.each([false, true])(
    "loads what it was asked for, whatever its caller does with the list meanwhile (forceFresh: %s)",
    async (forceFresh) => {
      const { cache } = start();
      const asked = [1, 2];
      const answer = cache.getOrLoadMany(asked, key, async (missing) => missing.map((n) => n * 10), { forceFresh });
      asked.splice(0, 2, 8, 9);
      expect(await answer).toEqual([10, 20]);
      expect(await cache.get(key(1))).toBe(10);
    },
  );

  it("takes a map, in which what is not there is undefined and remembered as such", async () => {
    const { cache } = start({ ttl: "1m", negativeTtl: "1s" });
    const loader = async (): Promise<Map<number, string>> => new Map([[2, "two"]]);
    expect(await cache.getOrLoadMany([1, 2], key, loader)).toEqual([undefined, "two"]);
    expect(await cache.has("n:1")).toBe(true);
    expect((await cache.explain("n:1")).tiers[0]?.freshFor).toBe(1_000);
  });

  it.each([
    ["too few values", async () => [1]],
    ["too many values", async () => [1, 2, 3]],
    ["no list and no map", async () => ({ 1: 1 }) as never],
    ["nothing", async () => undefined as never],
    ["null", async () => null as never],
  ])("refuses a loader that gives %s, and stores nothing", async (_what, loader) => {
    const { cache } = start();
    await expect(cache.getOrLoadMany([1, 2], key, loader)).rejects.toMatchObject({ code: "ERR_CACHE_LOAD" });
    expect(await cache.getMany(["n:1", "n:2"])).toEqual([undefined, undefined]);
  });

  it("joins loads that are under way, and is joined", async () => {
    const { cache, clock } = start();
    const one = deferred<string>();
    const single = cache.getOrLoad("n:1", () => one.promise);
    await clock.advance(0);
    const many = deferred<string[]>();
    const calls: (readonly number[])[] = [];
    const first = cache.getOrLoadMany([1, 2, 3], key, (missing) => {
      calls.push(missing);
      return many.promise;
    });
    await clock.advance(0);
    const second = cache.getOrLoadMany([3, 4], key, async (missing) => {
      calls.push(missing);
      return missing.map(() => "own");
    });
    await clock.advance(0);
    expect(calls).toEqual([[2, 3], [4]]);
    one.resolve("one");
    many.resolve(["two", "three"]);
    expect(await single).toBe("one");
    expect(await first).toEqual(["one", "two", "three"]);
    expect(await second).toEqual(["three", "own"]);
  });

  it("sets tags and ttl of single items, and refuses an item that it was not asked for", async () => {
    const { cache } = start({ ttl: "1m" });
    await cache.getOrLoadMany(
      [1, 2],
      key,
      async (missing, { tags, ttl }) => {
        tags(1, "odd");
        ttl(2, "5s");
        return missing;
      },
      { tags: ["all"] },
    );
    expect((await cache.explain("n:1")).tiers[0]).toMatchObject({
      freshFor: 60_000,
      tags: ["global:all", "global:odd"],
    });
    expect((await cache.explain("n:2")).tiers[0]).toMatchObject({ freshFor: 5_000, tags: ["global:all"] });
    const wrong = cache.getOrLoadMany([3], key, async (missing, { tags }) => {
      tags(99, "t");
      return missing;
    });
    await expect(wrong).rejects.toMatchObject({ code: "ERR_CACHE_LOAD" });
  });

  it("a failure is everybody's, by identity, and rejects nowhere else", async () => {
    const { cache } = start();
    const ended = await Promise.allSettled([
      cache.getOrLoadMany([1, 2, 3], key, () => Promise.reject(down)),
      cache.getOrLoadMany([2, 4], key, () => Promise.reject(down)),
    ]);
    expect(ended).toEqual([
      { status: "rejected", reason: down },
      { status: "rejected", reason: down },
    ]);
  });

  it("what a loader throws before it returns is a rejection", async () => {
    const { cache } = start();
    const loader = (): never => {
      throw down;
    };
    await expect(cache.getOrLoadMany([1], key, loader)).rejects.toBe(down);
  });

  it("serves stale items at once, and refreshes them together with what is missing", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: "1h" });
    await cache.set("n:1", "stale");
    await clock.advance(1_000);
    const calls: (readonly number[])[] = [];
    const loader = async (missing: readonly number[]): Promise<string[]> => {
      calls.push(missing);
      return missing.map((n) => `new ${n}`);
    };
    expect(await cache.getOrLoadMany([1, 2], key, loader)).toEqual(["stale", "new 2"]);
    await clock.advance(0);
    expect(calls).toEqual([[1, 2]]);
    expect(cache.peek("n:1")).toBe("new 1");
  });

  it("stores none of the items that were invalidated while they were loaded", async () => {
    const { cache, clock } = start();
    const load = deferred<number[]>();
    const read = cache.getOrLoadMany([1, 2, 3], key, () => load.promise, { tags: ["t"] });
    await clock.advance(0);
    await cache.delete("n:1");
    load.resolve([1, 2, 3]);
    expect(await read).toEqual([1, 2, 3]);
    expect(await cache.getMany(["n:1", "n:2", "n:3"])).toEqual([undefined, 2, 3]);
  });

  it("takes one place at the gate for all of its items, and shares the gate with single loads", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const load = deferred<number[]>();
    const many = cache.getOrLoadMany([1, 2, 3], key, () => load.promise);
    await clock.advance(0);
    const single = cache.getOrLoad("k", () => "v");
    await clock.advance(0);
    expect(cache.stats().gate).toEqual({ active: 1, queued: 1 });
    load.resolve([1, 2, 3]);
    expect(await many).toEqual([1, 2, 3]);
    expect(await single).toBe("v");
  });

  it("a loader that never ends is told by its signal, and gives its place back", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 }, hardTimeout: 100 });
    let signal: AbortSignal | undefined;
    const hung = cache
      .getOrLoadMany([1, 2], key, (_missing, context) => {
        signal = context.signal;
        return new Promise<never>(() => undefined);
      })
      .catch((error: unknown) => error);
    await clock.advance(100);
    expect(await hung).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(signal?.aborted).toBe(true);
    expect(cache.stats().gate.active).toBe(0);
    expect(await cache.getOrLoad("k", () => "v")).toBe("v");
  });

  it("goes on while one of its items is waited for", async () => {
    const { cache, clock } = start();
    const controller = new AbortController();
    const load = deferred<number[]>();
    let signal: AbortSignal | undefined;
    const leaving = cache.getOrLoadMany(
      [1, 2],
      key,
      (_missing, context) => {
        signal = context.signal;
        return load.promise;
      },
      { signal: controller.signal },
    );
    await clock.advance(0);
    const staying = cache.getOrLoad("n:2", () => expect.unreachable());
    controller.abort(down);
    await expect(leaving).rejects.toBe(down);
    expect(signal?.aborted).toBe(false);
    load.resolve([1, 2]);
    expect(await staying).toBe(2);
    expect(cache.peek("n:2")).toBe(2);
  });

  it("given up by its only caller aborts the loader's signal", async () => {
    const { cache, clock } = start();
    const controller = new AbortController();
    let signal: AbortSignal | undefined;
    const read = cache.getOrLoadMany(
      [1, 2],
      key,
      (_missing, context) => {
        signal = context.signal;
        return new Promise<never>(() => undefined);
      },
      { signal: controller.signal },
    );
    await clock.advance(0);
    controller.abort(down);
    await expect(read).rejects.toBe(down);
    expect(signal?.aborted).toBe(true);
  });

  it("given up while it waits for a place calls no loader", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const load = deferred<number>();
    const running = cache.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    const controller = new AbortController();
    const many = cache.getOrLoadMany([1, 2], key, () => expect.unreachable(), { signal: controller.signal });
    await clock.advance(0);
    controller.abort(down);
    await expect(many).rejects.toBe(down);
    await clock.advance(0);
    expect(cache.stats().gate).toEqual({ active: 1, queued: 0 });
    load.resolve(1);
    await running;
    await clock.advance(0);
  });

  it("backs off the items that fail in a row, and asks for the others", async () => {
    const { cache } = start();
    for (let call = 0; call < 2; call += 1)
      await cache.getOrLoadMany([1], key, () => Promise.reject(down)).catch(() => undefined);
    const calls: (readonly number[])[] = [];
    const loader = async (missing: readonly number[]): Promise<readonly number[]> => {
      calls.push(missing);
      return missing;
    };
    await expect(cache.getOrLoadMany([1, 2], key, loader)).rejects.toBe(down);
    expect(await cache.getOrLoadMany([2, 3], key, loader)).toEqual([2, 3]);
    expect(calls).toEqual([[2], [3]]);
  });
});
