import { getEventListeners } from "node:events";

import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import type { LoaderContext } from "./api.js";

const start = oneCache();
const down = new Error("the source is down");
const never = (): Promise<never> => new Promise(() => undefined);

describe("getOrLoad", () => {
  it("loads once for all who overlap, and counts who shared", async () => {
    const { cache } = start();
    const load = deferred<string>();
    let loads = 0;
    const reads = Array.from({ length: 100 }, () =>
      cache.getOrLoad("k", () => {
        loads += 1;
        return load.promise;
      }),
    );
    load.resolve("v");
    expect(new Set(await Promise.all(reads))).toEqual(new Set(["v"]));
    expect(loads).toBe(1);
    expect(cache.stats().total).toMatchObject({ gets: 100, misses: 100, loads: 1, coalesced: { process: 99 } });
  });

  it("takes loaders that answer at once, with a promise, or with any thenable", async () => {
    const { cache } = start();
    expect(await cache.getOrLoad("a", () => 1)).toBe(1);
    expect(await cache.getOrLoad("b", async () => 2)).toBe(2);
    const thenable = { then: (resolve: (value: number) => void) => resolve(3) };
    expect(await cache.getOrLoad("c", () => thenable as unknown as Promise<number>)).toBe(3);
    expect(await cache.getMany(["a", "b", "c"])).toEqual([1, 2, 3]);
  });

  it("gives every overlapping caller the same failure, by identity, and stores nothing", async () => {
    const { cache } = start();
    const load = deferred<string>();
    const reads = Array.from({ length: 10 }, () => cache.getOrLoad("k", () => load.promise));
    load.reject(down);
    const ended = await Promise.allSettled(reads);
    expect(ended.every((one) => one.status === "rejected" && one.reason === down)).toBe(true);
    expect(await cache.has("k")).toBe(false);
    expect(cache.stats().total.loadFailures).toBe(1);
  });

  it("takes what a loader throws before it returns like a rejection", async () => {
    const { cache } = start();
    const loader = (): never => {
      throw down;
    };
    await expect(cache.getOrLoad("k", loader)).rejects.toBe(down);
  });

  it.each(["text", 0, "", false, { code: 7 }])("hands on a thrown %o as it is", async (thrown) => {
    const { cache } = start();
    const caught = await cache
      .getOrLoad("k", () => Promise.reject(thrown))
      .then(
        () => expect.unreachable(),
        (error: unknown) => error,
      );
    expect(caught).toBe(thrown);
  });

  it.each([undefined, null])("makes an error of a thrown %o, the same for all who share it", async (thrown) => {
    const { cache } = start();
    const reads = [1, 2].map(() =>
      cache
        .getOrLoad("k", () => Promise.reject(thrown))
        .then(
          () => expect.unreachable(),
          (error: unknown) => error,
        ),
    );
    const [a, b] = await Promise.all(reads);
    expect(a).toMatchObject({ code: "ERR_CACHE_LOAD", cause: thrown });
    expect(a).toBe(b);
  });

  it("tries again at once after one failure", async () => {
    const { cache } = start();
    await expect(cache.getOrLoad("k", () => Promise.reject(down))).rejects.toBe(down);
    expect(await cache.getOrLoad("k", () => 1)).toBe(1);
  });

  it("gives the last failure at once while a key that fails in a row backs off, longer each time", async () => {
    const { cache, clock } = start();
    let loads = 0;
    const loader = (): Promise<never> => {
      loads += 1;
      return Promise.reject(down);
    };
    const failing = async (): Promise<void> => expect(cache.getOrLoad("k", loader)).rejects.toBe(down);
    await failing();
    for (const wait of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      const before = loads;
      await failing();
      expect(loads).toBe(before + 1);
      await clock.advance(wait - 1);
      await failing();
      expect(loads).toBe(before + 1);
      await clock.advance(1);
    }
    expect(await cache.getOrLoad("k", () => "well")).toBe("well");
    expect((await cache.explain("k")).failures).toBeUndefined();
    expect(await cache.getOrLoad("other", () => 1)).toBe(1);
  });

  it("does not ask its own options of a caller who gets a hit", async () => {
    const { cache } = start();
    await cache.set("k", 1);
    expect(await cache.getOrLoad("k", () => expect.unreachable(), { ttl: "1m", tags: ["t"] })).toBe(1);
  });
});

describe("what a loader is told and may decide", () => {
  it("works taken apart", async () => {
    const { cache } = start();
    await cache.getOrLoad("k", ({ key, previous, signal, ttl, tags, etag }) => {
      expect(key).toBe("k");
      expect(previous).toBeUndefined();
      expect(signal.aborted).toBe(false);
      ttl("1s");
      tags("a", ["b", 1]);
      tags("a");
      etag("e1");
      return 1;
    });
    expect((await cache.explain("k")).tiers[0]).toMatchObject({ freshFor: 1_000, tags: ["global:a", "global:b:1"] });
  });

  it("adds its tags to the call's", async () => {
    const { cache } = start();
    await cache.getOrLoad("k", ({ tags }) => tags("b"), { tags: ["a"] });
    expect((await cache.explain("k")).tiers[0]?.tags).toEqual(["global:a", "global:b"]);
  });

  it("skip: the callers get the value, and the next one loads", async () => {
    const { cache } = start();
    const object = {};
    expect(await cache.getOrLoad("k", ({ skip }) => (skip(), object))).toBe(object);
    expect(await cache.getOrLoad("k", () => "next")).toBe("next");
    expect(cache.stats().total.refused).toEqual({ skipped: 1 });
  });

  it("previous and notModified: the stored value is fresh again, with its tags and its validator", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    await cache.set("k", { a: 1 }, { etag: "e1", tags: ["t"] });
    const stored = cache.peek("k");
    await clock.advance(1_500);
    const seen: LoaderContext["previous"][] = [];
    const loader = ({ previous, notModified }: LoaderContext): { a: number } => {
      seen.push(previous);
      return notModified();
    };
    expect(await cache.getOrLoad("k", loader)).toEqual({ a: 1 });
    expect(cache.peek("k")).toBe(stored);
    await clock.advance(1_000);
    await cache.getOrLoad("k", loader);
    expect(seen).toEqual([
      { value: { a: 1 }, etag: "e1", age: 1_500 },
      { value: { a: 1 }, etag: "e1", age: 1_000 },
    ]);
    await cache.invalidate({ tag: "t" });
    expect(await cache.has("k")).toBe(false);
  });

  it("previous is there for a refresh, and for what was expired without a stale window", async () => {
    const { cache } = start();
    await cache.set("k", 1);
    expect(await cache.refresh<number>("k", ({ previous }) => ((previous?.value as number | undefined) ?? 0) + 1)).toBe(
      2,
    );
    await cache.expire("k");
    expect(
      await cache.getOrLoad<number>("k", ({ previous }) => ((previous?.value as number | undefined) ?? 0) + 1),
    ).toBe(3);
    await cache.delete("k");
    expect(
      await cache.getOrLoad<number>("k", ({ previous }) => ((previous?.value as number | undefined) ?? 0) + 1),
    ).toBe(1);
  });

  it("refuses what it is not given rightly, as the loader's own failure", async () => {
    const { cache } = start();
    const wrong: ((context: LoaderContext) => unknown)[] = [
      (context) => context.ttl("soon"),
      (context) => context.ttl(-1),
      (context) => context.etag(5 as never),
      (context) => context.tags(undefined as never),
      (context) => context.notModified(),
    ];
    const codes = ["ERR_CACHE_OPTION", "ERR_CACHE_OPTION", "ERR_CACHE_OPTION", "ERR_CACHE_KEY", "ERR_CACHE_LOAD"];
    for (const [index, loader] of wrong.entries()) {
      await expect(cache.getOrLoad(`k${index}`, loader)).rejects.toMatchObject({ code: codes[index] });
    }
  });

  it("its decisions after it has ended change nothing", async () => {
    const { cache } = start({ ttl: "1m" });
    let late: LoaderContext | undefined;
    await cache.getOrLoad<number>("k", (context) => {
      late = context;
      return 1;
    });
    late?.ttl(5);
    late?.skip();
    late?.tags("t");
    expect((await cache.explain("k")).tiers[0]).toMatchObject({ freshFor: 60_000, tags: [] });
  });
});

describe("values that cannot be stored", () => {
  class Money {
    readonly cents = 5;
  }
  const cyclic: { self?: unknown } = {};
  cyclic.self = cyclic;

  it.each([
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a class instance", new Money()],
    ["a cycle", cyclic],
    ["a promise inside", { p: Promise.resolve() }],
  ])("%s: getOrLoad returns it, counts it and stores nothing; set throws and changes nothing", async (_what, value) => {
    const { cache } = start();
    expect(await cache.getOrLoad("k", () => value)).toBe(value);
    expect(await cache.has("k")).toBe(false);
    expect(cache.stats().total.refused).toEqual({ unstorable: 1 });
    await cache.set("k", "before");
    await expect(cache.set("k", value)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect(await cache.get("k")).toBe("before");
    expect(await cache.writeThrough("k", async () => value)).toBe(value);
    expect(await cache.has("k")).toBe(false);
  });
});

describe("hardTimeout", () => {
  it("fails the load, aborts its signal, drops what comes late and leaves the key usable", async () => {
    const { cache, clock } = start({ hardTimeout: 100 });
    const load = deferred<string>();
    let signal: AbortSignal | undefined;
    const read = cache.getOrLoad("k", (context) => {
      signal = context.signal;
      return load.promise;
    });
    const caught = read.catch((error: unknown) => error);
    await clock.advance(99);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(await caught).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(await caught);
    load.resolve("late");
    await clock.advance(0);
    expect(await cache.has("k")).toBe(false);
    expect(await cache.getOrLoad("k", () => "next")).toBe("next");
    expect(cache.stats().gate.active).toBe(0);
  });

  it("is 30 seconds by default", async () => {
    const { cache, clock } = start();
    const caught = cache.getOrLoad("k", never).catch((error: unknown) => error);
    await clock.advance(29_999);
    expect((await cache.explain("k")).loading).toBe(true);
    await clock.advance(1);
    expect(await caught).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
  });

  it("frees a loader that reads its own key, and so waits for itself", async () => {
    const { cache, clock } = start({ hardTimeout: 100 });
    const loader = (): Promise<string> => cache.getOrLoad("k", loader);
    const caught = cache.getOrLoad("k", loader).catch((error: unknown) => error);
    await clock.advance(100);
    expect(await caught).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(await cache.getOrLoad("k", () => "v")).toBe("v");
  });

  it("lets a load inside a load through, when its parent has the last place", async () => {
    const { cache } = start({ loads: { concurrency: 1 } });
    const outer = await cache.getOrLoad("outer", () => cache.getOrLoad("inner", () => "v"));
    expect(outer).toBe("v");
  });

  it("more lists than there are places, each reading its items through the cache, all come through", async () => {
    const { cache, clock } = start({ loads: { concurrency: 4 } });
    let most = 0;
    let running = 0;
    const item = (id: number): Promise<number> =>
      cache.getOrLoad(["item", id], async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise<void>((resolve) => clock.after(1, resolve));
        running -= 1;
        return id;
      });
    const list = (id: number): Promise<number[]> =>
      cache.getOrLoad(["list", id], () => Promise.all([item(id), item(id + 1), item(id + 2)]));
    const items = Array.from({ length: 20 }, (_, id) => item(id));
    const lists = Array.from({ length: 20 }, (_, id) => list(id));
    await clock.advance(1_000);
    expect(await Promise.all(lists)).toEqual(lists.map((_, id) => [id, id + 1, id + 2]));
    await Promise.all(items);
    expect(most).toBeLessThanOrEqual(4);
    expect(cache.stats().gate).toEqual({ active: 0, queued: 0 });
  });

  it("a loader may write its own key, and what it wrote is kept over what it returns", async () => {
    const { cache } = start();
    const read = await cache.getOrLoad("k", async () => {
      await cache.set("k", "written");
      return "returned";
    });
    expect(read).toBe("returned");
    expect(await cache.get("k")).toBe("written");
  });

  it("a late rejection of a load that timed out is nobody's", async () => {
    const { cache, clock } = start({ hardTimeout: 100 });
    const load = deferred<string>();
    const caught = cache.getOrLoad("k", () => load.promise).catch((error: unknown) => error);
    await clock.advance(100);
    await caught;
    load.reject(down);
    await clock.advance(0);
    expect(cache.stats().total.loadFailures).toBe(1);
  });
});

describe("waitTimeout", () => {
  it("ends one caller's wait; the others', and the load, go on", async () => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const impatient = cache.getOrLoad("k", () => load.promise, { waitTimeout: 50 }).catch((error: unknown) => error);
    const patient = cache.getOrLoad("k", never);
    await clock.advance(50);
    expect(await impatient).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    load.resolve("v");
    expect(await patient).toBe("v");
  });

  it("does not end the load even if nobody else waits: the next reader finds its value", async () => {
    const { cache, clock } = start();
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise, { waitTimeout: 50 }).catch((error: unknown) => error);
    await clock.advance(50);
    expect(await read).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    load.resolve("v");
    await clock.advance(0);
    expect(cache.peek("k")).toBe("v");
  });

  it("gives the stale value where one may be served", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const read = cache.getOrLoad<string>("k", never, { waitTimeout: 50 });
    await clock.advance(50);
    expect(await read).toBe("old");
  });

  it("leaves no timer when the value comes in time", async () => {
    const { cache, clock } = start({ softTimeout: 100 });
    const before = clock.pending;
    expect(await cache.getOrLoad("k", async () => 1, { waitTimeout: 50, ttl: 0 })).toBe(1);
    expect(clock.pending).toBe(before);
  });
});

describe("signal", () => {
  it("ends one caller's wait with its reason; the load goes on for the others", async () => {
    const { cache } = start();
    const load = deferred<string>();
    const controller = new AbortController();
    let inner: AbortSignal | undefined;
    const leaving = cache.getOrLoad(
      "k",
      ({ signal }) => {
        inner = signal;
        return load.promise;
      },
      { signal: controller.signal },
    );
    const staying = cache.getOrLoad("k", never);
    controller.abort(down);
    await expect(leaving).rejects.toBe(down);
    expect(inner?.aborted).toBe(false);
    load.resolve("v");
    expect(await staying).toBe("v");
    expect(cache.peek("k")).toBe("v");
  });

  it("aborts the load when nobody waits any more, frees its place, and is no failure of the source", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const before = clock.pending;
    for (let call = 0; call < 5; call += 1) {
      const controllers = [new AbortController(), new AbortController()];
      let inner: AbortSignal | undefined;
      const reads = controllers.map(({ signal }) =>
        cache.getOrLoad(
          "k",
          (context) => {
            inner = context.signal;
            return never();
          },
          { signal },
        ),
      );
      await clock.advance(0);
      controllers[0]?.abort(down);
      expect(inner?.aborted).toBe(false);
      controllers[1]?.abort(down);
      expect(inner?.aborted).toBe(true);
      await Promise.allSettled(reads);
    }
    await clock.advance(0);
    expect(clock.pending).toBe(before);
    expect((await cache.explain("k")).failures).toBeUndefined();
    expect(await cache.getOrLoad("k", () => "v")).toBe("v");
  });

  it("a reader that comes after the load was given up starts a new one", async () => {
    const { cache, clock } = start();
    const controller = new AbortController();
    const old = deferred<string>();
    const given = cache
      .getOrLoad("k", () => old.promise, { signal: controller.signal })
      .catch((error: unknown) => error);
    await clock.advance(0);
    controller.abort(down);
    const next = cache.getOrLoad("k", () => "new");
    old.resolve("old");
    expect(await given).toBe(down);
    expect(await next).toBe("new");
    expect(cache.peek("k")).toBe("new");
  });

  it("is listened to once for all who wait under it, and by nobody when they have their answers", async () => {
    const { cache } = start();
    const controller = new AbortController();
    const { signal } = controller;
    const loads = deferred<string>();
    const reads = Array.from({ length: 20 }, (_, n) => cache.getOrLoad(`n:${n}`, () => loads.promise, { signal }));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    loads.resolve("v");
    await Promise.all(reads);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    const gone = [1, 2].map((n) => cache.getOrLoad(`gone:${n}`, () => new Promise<never>(() => {}), { signal }));
    controller.abort(new Error("gone"));
    for (const read of gone) await expect(read).rejects.toThrow("gone");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  it("aborted beforehand: a hit is served, a miss starts no loader", async () => {
    const { cache, clock } = start();
    const signal = AbortSignal.abort(down);
    await expect(cache.getOrLoad("k", () => expect.unreachable(), { signal })).rejects.toBe(down);
    await clock.advance(0);
    expect(cache.stats().total.loadFailures).toBe(0);
    await cache.set("k", 1);
    expect(await cache.getOrLoad("k", () => 2, { signal })).toBe(1);
  });

  it("leaves no listener behind on a signal that lives long", async () => {
    const { cache } = start();
    let listeners = 0;
    class Counting extends EventTarget {
      readonly aborted = false;
      override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
        listeners += 1;
        super.addEventListener(...args);
      }
      override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
        listeners -= 1;
        super.removeEventListener(...args);
      }
    }
    const signal = new Counting() as unknown as AbortSignal;
    await cache.getOrLoad("k", () => 1, { signal });
    await cache.getOrLoad("f", () => Promise.reject(down), { signal }).catch(() => undefined);
    expect(listeners).toBe(0);
  });
});

describe("refresh and forceFresh", () => {
  it("load whatever is stored, and what they load is served", async () => {
    const { cache } = start();
    await cache.set("k", "old");
    expect(await cache.refresh("k", () => "new")).toBe("new");
    expect(cache.peek("k")).toBe("new");
    expect(await cache.getOrLoad("k", () => "newest", { forceFresh: true })).toBe("newest");
    expect(cache.stats().total.missReasons).toEqual({ bypass: 2 });
  });

  it("join no load that began before, whose value does not come back over theirs", async () => {
    const { cache, clock } = start();
    const old = deferred<string>();
    const first = cache.getOrLoad("k", () => old.promise);
    await clock.advance(0);
    expect(await cache.refresh("k", () => "new")).toBe("new");
    old.resolve("old");
    expect(await first).toBe("old");
    expect(cache.peek("k")).toBe("new");
    expect(cache.stats().total.refused.fenced).toBe(1);
  });

  it("a reader that comes while a refresh runs shares it", async () => {
    const { cache, clock } = start();
    await cache.set("k", "old");
    const load = deferred<string>();
    const refresh = cache.refresh("k", () => load.promise);
    await clock.advance(0);
    const read = cache.getOrLoad("k", () => expect.unreachable());
    load.resolve("new");
    expect(await Promise.all([refresh, read])).toEqual(["new", "new"]);
  });

  it("that fail throw, or give the stale value where the policy allows it", async () => {
    const { cache } = start();
    await cache.set("k", "old", { staleIfError: "1h" });
    expect(await cache.refresh<string>("k", () => Promise.reject(down))).toBe("old");
    await cache.set("plain", "old");
    await expect(cache.refresh("plain", () => Promise.reject(down))).rejects.toBe(down);
  });
});

describe("the load gate", () => {
  it("runs so many loads at once, queues so many, and sheds the rest at once", async () => {
    const { cache, clock } = start({ loads: { concurrency: 2, queue: 3 } });
    const loads = new Map<number, ReturnType<typeof deferred<number>>>();
    const reads = Array.from({ length: 7 }, (_, index) =>
      cache.getOrLoad(`k${index}`, () => {
        const load = deferred<number>();
        loads.set(index, load);
        return load.promise;
      }),
    );
    const ended = Promise.allSettled(reads);
    await clock.advance(0);
    expect([...loads.keys()]).toEqual([0, 1]);
    expect(cache.stats().gate).toEqual({ active: 2, queued: 3 });
    for (const index of [5, 6]) await expect(reads[index]).rejects.toMatchObject({ code: "ERR_CACHE_OVERLOADED" });
    loads.get(1)?.resolve(1);
    await clock.advance(0);
    expect([...loads.keys()]).toEqual([0, 1, 2]);
    loads.get(0)?.reject(down);
    await clock.advance(0);
    expect([...loads.keys()]).toEqual([0, 1, 2, 3]);
    for (const index of [2, 3]) loads.get(index)?.resolve(index);
    await clock.advance(0);
    loads.get(4)?.resolve(4);
    expect((await ended).map(({ status }) => status[0]).join("")).toBe("rffffrr");
    expect(cache.stats().gate).toEqual({ active: 0, queued: 0 });
  });

  it("being shed is covered by staleIfError, and is no failure of the source", async () => {
    const { cache, clock } = start({
      ttl: 1_000,
      loads: { concurrency: 1, queue: 0 },
      staleIfError: { for: "1h", when: () => false },
    });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const load = deferred<number>();
    const running = cache.getOrLoad("other", () => load.promise);
    await clock.advance(0);
    expect(await cache.getOrLoad("k", () => "new")).toBe("old");
    await expect(cache.getOrLoad("cold", () => "new")).rejects.toMatchObject({ code: "ERR_CACHE_OVERLOADED" });
    await expect(cache.getOrLoad("cold", () => "new")).rejects.toMatchObject({ code: "ERR_CACHE_OVERLOADED" });
    expect(cache.stats().total.loadFailures).toBe(0);
    load.resolve(1);
    await running;
    expect(await cache.getOrLoad("cold", () => "new")).toBe("new");
  });

  it("a load given up while it waits leaves the queue, and its loader is not called", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 } });
    const load = deferred<number>();
    const running = cache.getOrLoad("a", () => load.promise);
    await clock.advance(0);
    const controller = new AbortController();
    const waiting = cache.getOrLoad("b", () => expect.unreachable(), { signal: controller.signal });
    await clock.advance(0);
    expect(cache.stats().gate.queued).toBe(1);
    controller.abort(down);
    await expect(waiting).rejects.toBe(down);
    await clock.advance(0);
    expect(cache.stats().gate.queued).toBe(0);
    load.resolve(1);
    await running;
  });

  it("a load is not charged for its wait: the hard timeout begins with the loader", async () => {
    const { cache, clock } = start({ loads: { concurrency: 1 }, hardTimeout: 100 });
    const first = cache.getOrLoad("a", () => new Promise<number>((resolve) => void clock.after(90, () => resolve(1))));
    const second = cache.getOrLoad("b", () => new Promise<number>((resolve) => void clock.after(90, () => resolve(2))));
    await clock.advance(180);
    expect(await Promise.all([first, second])).toEqual([1, 2]);
  });
});

describe("a backing off key", () => {
  it("remembers what a loader threw when that was nothing", async () => {
    const { cache } = start();
    const read = (): Promise<unknown> =>
      cache.getOrLoad("k", () => Promise.reject(undefined)).catch((error: unknown) => error);
    for (let call = 0; call < 3; call += 1) expect(await read()).toMatchObject({ code: "ERR_CACHE_LOAD" });
    expect(cache.stats().total.loadFailures).toBe(2);
  });
});
