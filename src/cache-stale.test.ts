import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import { processes } from "../test/support/processes.js";
import type { Cache } from "./api.js";
import type { CacheEvent } from "./events.js";

const start = oneCache();
const down = new Error("the source is down");
const fail = (): Promise<never> => Promise.reject(down);

describe("staleWhileRevalidate", () => {
  it("serves stale at once, with one refresh behind however many read", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const load = deferred<string>();
    let loads = 0;
    const loader = (): Promise<string> => {
      loads += 1;
      return load.promise;
    };
    for (let reader = 0; reader < 10; reader += 1) expect(await cache.getOrLoad("k", loader)).toBe("old");
    expect(loads).toBe(1);
    load.resolve("new");
    await clock.advance(0);
    expect(cache.peek("k")).toBe("new");
    expect(cache.stats().total).toMatchObject({ staleHits: 10, misses: 0, loads: 1 });
  });

  it("ends with its window: later readers wait, and join the refresh that runs", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000 });
    await cache.set("k", "old");
    await clock.advance(1_999);
    const load = deferred<string>();
    expect(await cache.getOrLoad("k", () => load.promise)).toBe("old");
    await clock.advance(1);
    const late = cache.getOrLoad("k", () => expect.unreachable("a load is under way"));
    load.resolve("new");
    expect(await late).toBe("new");
    expect(cache.stats().total.coalesced.process).toBe(1);
  });

  it("a refresh that fails is told of, rejects nowhere, and is not tried again for a second", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: "1m" });
    const failures: CacheEvent[] = [];
    cache.on("background-failed", (event) => failures.push(event));
    await cache.set("k", "old");
    await clock.advance(1_000);
    let loads = 0;
    const loader = (): Promise<never> => {
      loads += 1;
      return fail();
    };
    const read = async (): Promise<void> => {
      expect(await cache.getOrLoad<string>("k", loader)).toBe("old");
      await clock.advance(0);
    };
    await read();
    await read();
    expect(loads).toBe(1);
    expect(failures).toMatchObject([{ what: "refresh of k", error: down }]);
    await clock.advance(999);
    await read();
    expect(loads).toBe(1);
    await clock.advance(1);
    await read();
    expect(loads).toBe(2);
  });

  it("get and peek take no part in it: they are for what is fresh, unless asked", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000 });
    await cache.set("k", "old");
    await clock.advance(1_500);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.has("k")).toBe(false);
    expect(await cache.get("k", { stale: true })).toBe("old");
    expect(await cache.getMany(["k", "other"], { stale: true })).toEqual(["old", undefined]);
    expect(cache.stats().total).toMatchObject({ staleHits: 2, misses: 4, loads: 0 });
  });

  it("is over at once for what is invalidated hard", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: "1h" });
    await cache.set("k", "old", { tags: ["t"] });
    await clock.advance(1_500);
    await cache.invalidate({ tag: "t" });
    expect(await cache.getOrLoad("k", () => "new")).toBe("new");
  });

  it("begins at once for what is invalidated softly, and lasts no longer than it would have", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000 });
    await cache.set("k", "old", { tags: ["t"] });
    await cache.invalidate({ tag: "t" }, { mode: "soft" });
    expect(cache.peek("k")).toBeUndefined();
    const load = deferred<string>();
    expect(await cache.getOrLoad("k", () => load.promise)).toBe("old");
    await clock.advance(2_000);
    const late = cache.getOrLoad("k", () => "unused");
    load.resolve("new");
    expect(await late).toBe("new");
  });

  it("with a value the loader skips, keeps serving the stale one inside its window only", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    expect(await cache.getOrLoad("k", ({ skip }) => (skip(), "unsaved"))).toBe("old");
    await clock.advance(1_000);
    expect(await cache.getOrLoad("k", () => "new")).toBe("new");
  });

  it("a reader after its window does not get the answer an early reader got of a refresh that still runs", async () => {
    const room = await processes(2, { ttl: 1_000, staleWhileRevalidate: 1_000 });
    const [a, b] = room.caches as [(typeof room.caches)[0], (typeof room.caches)[0]];
    await a.set("k", "old");
    await room.clock.advance(1_500);
    const load = deferred<string>();
    // B's memory holds nothing: the stale value comes from the shared tier, and answers while the flight goes on.
    expect(await b.getOrLoad("k", () => load.promise)).toBe("old");
    await room.clock.advance(1_000);
    const late = b.getOrLoad("k", () => "unused");
    await room.clock.advance(10);
    load.resolve("new");
    await room.clock.advance(1_000);
    expect(await late).toBe("new");
    await room.close();
  });

  it("a reader after a hard invalidation does not get the stale answer of a refresh that began before", async () => {
    const room = await processes(2, { ttl: 1_000, staleWhileRevalidate: "1h" });
    const [a, b] = room.caches as [(typeof room.caches)[0], (typeof room.caches)[0]];
    await a.set("k", "old", { tags: ["t"] });
    await room.clock.advance(1_500);
    const load = deferred<string>();
    expect(await b.getOrLoad("k", () => load.promise)).toBe("old");
    await b.invalidate({ tag: "t" });
    const late = b.getOrLoad("k", () => "newest");
    await room.clock.advance(10);
    load.resolve("new");
    await room.clock.advance(1_000);
    expect(await late).not.toBe("old");
    await room.close();
  });
});

describe("staleIfError", () => {
  it("serves stale when the load fails, and nothing once its window is over", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: 2_000 });
    await cache.set("k", "old");
    await clock.advance(2_999);
    expect(await cache.getOrLoad<string>("k", fail)).toBe("old");
    await clock.advance(1);
    await expect(cache.getOrLoad("k", fail)).rejects.toBe(down);
    expect(cache.stats().total).toMatchObject({ staleHits: 1, misses: 1, loadFailures: 2 });
  });

  it("waits for the load first: a source that answers is always asked", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    await cache.set("k", "old");
    await clock.advance(1_000);
    expect(await cache.getOrLoad("k", () => "new")).toBe("new");
  });

  it("after a failure serves stale for the throttle without asking again", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: { for: "1h", throttle: 5_000 } });
    await cache.set("k", "old");
    await clock.advance(1_000);
    let loads = 0;
    const loader = (): Promise<string> => {
      loads += 1;
      return fail();
    };
    expect(await cache.getOrLoad("k", loader)).toBe("old");
    await clock.advance(4_999);
    expect(await cache.getOrLoad("k", loader)).toBe("old");
    expect(loads).toBe(1);
    await clock.advance(1);
    expect(await cache.getOrLoad("k", loader)).toBe("old");
    expect(loads).toBe(2);
  });

  it("covers only the failures its predicate says", async () => {
    const gone = new Error("404");
    const { cache, clock } = start({
      ttl: 1_000,
      staleIfError: { for: "1h", throttle: 0, when: (error) => error !== gone },
    });
    await cache.set("k", "old");
    await clock.advance(1_000);
    expect(await cache.getOrLoad<string>("k", fail)).toBe("old");
    await expect(cache.getOrLoad("k", () => Promise.reject(gone))).rejects.toBe(gone);
  });

  it("heeds its predicate for a failure that is remembered, too", async () => {
    const gone = new Error("404");
    const { cache, clock } = start({
      ttl: 1_000,
      staleIfError: { for: "1h", throttle: 0, when: (error) => error !== gone },
    });
    await cache.set("k", "old");
    await clock.advance(1_000);
    let loads = 0;
    const loader = (): Promise<never> => {
      loads += 1;
      return Promise.reject(gone);
    };
    for (let call = 0; call < 4; call += 1) await expect(cache.getOrLoad("k", loader)).rejects.toBe(gone);
    expect(loads).toBe(2);
  });

  it("a predicate that throws covers nothing, and is told of", async () => {
    const broken = new Error("predicate");
    const { cache, clock } = start({
      ttl: 1_000,
      staleIfError: {
        for: "1h",
        when: () => {
          throw broken;
        },
      },
    });
    const told: unknown[] = [];
    cache.on("background-failed", ({ error }) => told.push(error));
    await cache.set("k", "old");
    await clock.advance(1_000);
    await expect(cache.getOrLoad("k", fail)).rejects.toBe(down);
    expect(told).toEqual([broken]);
  });

  it("covers context.fail whatever the predicate says, else the caller gets the error given", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: { for: "1h", when: () => false } });
    await cache.set("k", "old");
    await clock.advance(1_000);
    expect(await cache.getOrLoad<string>("k", ({ fail: giveUp }) => giveUp(down))).toBe("old");
    await expect(cache.getOrLoad("other", ({ fail: giveUp }) => giveUp(down))).rejects.toBe(down);
    await expect(cache.getOrLoad("nothing", ({ fail: giveUp }) => giveUp(undefined))).rejects.toMatchObject({
      code: "ERR_CACHE_LOAD",
    });
  });

  it("covers the hard timeout", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h", hardTimeout: 100 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const read = cache.getOrLoad<string>("k", () => new Promise(() => undefined));
    await clock.advance(100);
    expect(await read).toBe("old");
  });

  it("serves nothing that was removed while the load ran", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    await cache.setMany(
      [
        ["a", "old"],
        ["b", "old"],
      ],
      { tags: ["t"] },
    );
    await clock.advance(1_000);
    const load = deferred<string>();
    const reads = [cache.getOrLoad("a", () => load.promise), cache.getOrLoad("b", () => load.promise)];
    await clock.advance(0);
    await cache.delete("a");
    await cache.invalidate({ tag: "t" });
    load.reject(down);
    expect(await Promise.allSettled(reads)).toMatchObject([{ reason: down }, { reason: down }]);
  });

  it("lasts as long beside staleWhileRevalidate: whichever is longer keeps the entry", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000, staleIfError: 3_000 });
    await cache.set("k", "old");
    await clock.advance(2_500);
    expect(await cache.getOrLoad<string>("k", fail)).toBe("old");
  });

  it("a load that its callers gave up is no failure: the next asks the source at once", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const controller = new AbortController();
    const read = cache.getOrLoad("k", () => new Promise<string>(() => undefined), { signal: controller.signal });
    await clock.advance(0);
    controller.abort(down);
    await expect(read).rejects.toBe(down);
    await clock.advance(0);
    expect(await cache.getOrLoad("k", () => "new")).toBe("new");
  });
});

describe("softTimeout", () => {
  it("lets a caller have the stale value, while the load goes on and is stored", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h", softTimeout: 100 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const load = deferred<string>();
    let aborted = false;
    const read = cache.getOrLoad("k", ({ signal }) => {
      signal.addEventListener("abort", () => (aborted = true));
      return load.promise;
    });
    await clock.advance(99);
    let answered = false;
    void read.then(() => (answered = true));
    await clock.advance(0);
    expect(answered).toBe(false);
    await clock.advance(1);
    expect(await read).toBe("old");
    load.resolve("new");
    await clock.advance(0);
    expect(aborted).toBe(false);
    expect(cache.peek("k")).toBe("new");
    expect(cache.stats().total).toMatchObject({ staleHits: 1, loads: 1 });
  });

  it("means nothing where there is no stale value", async () => {
    const { cache, clock } = start({ softTimeout: 100 });
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise);
    await clock.advance(500);
    load.resolve("new");
    expect(await read).toBe("new");
  });

  it("serves nothing that was removed meanwhile", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h", softTimeout: 100 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise);
    await clock.advance(0);
    await cache.delete("k");
    await clock.advance(500);
    load.resolve("new");
    expect(await read).toBe("new");
  });

  it("a load that fails after its callers left with the stale value rejects nowhere", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h", softTimeout: 100 });
    await cache.set("k", "old");
    await clock.advance(1_000);
    const load = deferred<string>();
    const read = cache.getOrLoad("k", () => load.promise);
    await clock.advance(100);
    expect(await read).toBe("old");
    load.reject(down);
    await clock.advance(0);
    expect(cache.stats().total.loadFailures).toBe(1);
  });
});

describe("early refresh", () => {
  it("starts before the end by the measured cost, once, and serves the fresh value meanwhile", async () => {
    const { cache, clock } = start({ ttl: 10_000, earlyRefresh: 1 });
    let loads = 0;
    const loader = async (): Promise<number> => {
      loads += 1;
      await new Promise<void>((resolve) => void clock.after(1_000, resolve));
      return loads;
    };
    const first = cache.getOrLoad("k", loader);
    await clock.advance(1_000);
    expect(await first).toBe(1);
    // 1,000 ms × β 1 × ln 2, with chance ½.
    await clock.advance(9_306);
    expect(await cache.getOrLoad("k", loader)).toBe(1);
    expect(loads).toBe(1);
    await clock.advance(1);
    expect(await cache.getOrLoad("k", loader)).toBe(1);
    expect(await cache.getOrLoad("k", loader)).toBe(1);
    await clock.advance(0);
    expect(loads).toBe(2);
    await clock.advance(1_000);
    expect(cache.peek("k")).toBe(2);
    expect(cache.stats().total).toMatchObject({ staleHits: 0, misses: 1 });
  });

  it("that fails leaves the fresh value until its end, and is not tried again", async () => {
    const { cache, clock } = start({ ttl: 10_000, earlyRefresh: 10 });
    const slow = cache.getOrLoad(
      "k",
      () => new Promise<number>((resolve) => void clock.after(1_000, () => resolve(1))),
    );
    await clock.advance(1_000);
    await slow;
    await clock.advance(9_000);
    let loads = 0;
    const loader = (): Promise<number> => {
      loads += 1;
      return fail();
    };
    expect(await cache.getOrLoad("k", loader)).toBe(1);
    await clock.advance(0);
    expect(await cache.getOrLoad("k", loader)).toBe(1);
    expect(loads).toBe(1);
    await clock.advance(1_000);
    await expect(cache.getOrLoad("k", loader)).rejects.toBe(down);
  });

  it("does not happen to values that were set: nothing is known of their cost", async () => {
    const { cache, clock } = start({ ttl: 1_000, earlyRefresh: 100 });
    await cache.set("k", 1);
    await clock.advance(999);
    expect(await cache.getOrLoad("k", () => expect.unreachable())).toBe(1);
  });
});

describe("an entry softened that has no stale window", () => {
  it("is given to who asks for stale, and neither kept in memory nor counted as refused", async () => {
    const { caches, close } = await processes(2, { staleWhileRevalidate: 0, staleIfError: 0 });
    const [one, other] = caches as [Cache, Cache];
    const [users, others] = caches.map((cache) => cache.entity<number, string>({ name: "user" }));
    await users?.set(7, "Ann");
    expect(await others?.find(7)).toBe("Ann");
    await users?.expire(7);
    expect(await users?.find(7, { stale: true })).toBe("Ann");
    expect(await others?.find(7, { stale: true })).toBe("Ann");
    expect([one.stats().total.refused, other.stats().total.refused]).toEqual([{}, {}]);
    await close();
  });
});
