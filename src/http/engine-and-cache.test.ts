import { describe, expect, it, onTestFinished } from "vitest";
import { field, read, URL_A, world } from "../../test/support/http-engine.js";
import { createCache } from "../cache.js";
import { FakeClock } from "../testing/fake-clock.js";
import { SharedMemory } from "../testing/shared-memory.js";
import { memory } from "../tiers/memory/memory.js";
import { deferred } from "./deferred.js";
import { HttpEngine } from "./engine.js";
import type { OriginAnswer } from "./exchange.js";
import { cachedFetch } from "./fetch.js";
import { resolveHttpOptions } from "./options.js";
import { purge } from "./purge.js";

/** Until all that can go on without anybody's doing has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe("the statistics of the cache", () => {
  it("count a cold read as one miss, and a hit as one hit", async () => {
    const cache = createCache();
    onTestFinished(() => cache.close());
    const misses: string[] = [];
    cache.on("miss", ({ key }) => misses.push(key));
    const http = cachedFetch(cache, {
      fetch: async () => new Response("x", { headers: { "cache-control": "max-age=60" } }),
    });
    await (await http(URL_A)).text();
    await settled();
    expect(misses).toHaveLength(1);
    expect(cache.stats().total).toMatchObject({ gets: 1, staleHits: 0, misses: 1, loads: 1 });
    expect(await (await http(URL_A)).text()).toBe("x");
    expect(cache.stats().total).toMatchObject({ gets: 2, hits: { memory: 1 }, misses: 1, loads: 1 });
  });

  it("count a response of several variants as one miss too, and a stale one as one stale hit", async () => {
    const { ask, cache, clock } = world(() => ({ body: "x", "cache-control": "max-age=60", vary: "x-a", etag: '"1"' }));
    await read(await ask({ "x-a": "1" }));
    await settled();
    expect(cache.stats().total).toMatchObject({ gets: 1, misses: 1 });
    await clock.advance(61_000);
    await read(await ask({ "x-a": "1" }));
    await settled();
    // The record of the variants, which is fresh, and the variant.
    expect(cache.stats().total).toMatchObject({ gets: 3, hits: { memory: 1 }, staleHits: 1, misses: 1 });
  });

  it("count what is asked of the origin without a place in the store as a miss", async () => {
    const { ask, cache } = world(() => ({ body: "x", "cache-control": "max-age=60" }));
    await ask({}, { method: "HEAD" });
    expect(cache.stats().total).toMatchObject({ gets: 1, misses: 1, loads: 0 });
  });
});

describe("a cache that cannot be asked", () => {
  it.each([
    ["as it is closed", URL_A],
    ["as the URL is too long for a key", `${URL_A}${"x".repeat(70_000)}`],
  ])("is gone without, %s", async (why, url) => {
    const cache = createCache();
    if (why === "as it is closed") await cache.close();
    else onTestFinished(() => cache.close());
    const asked: unknown[] = [];
    const http = cachedFetch(cache, {
      fetch: async (input) => {
        asked.push(input);
        return new Response("x", { headers: { "cache-control": "max-age=60" } });
      },
    });
    for (const method of ["GET", "GET", "POST"]) expect(await (await http(url, { method })).text()).toBe("x");
    expect(asked).toHaveLength(3);
  });
});

describe("a load that was begun before", () => {
  it.each(["a change of the URL", "a purge of the URL", "a purge of its tag", "a purge of a path above it"])(
    "%s gives nothing to who asks after it",
    async (how) => {
      const first = deferred<string>();
      const { ask, text, cache } = world(async ({ method }, number) => ({
        body: method === "GET" && number === 1 ? await first.promise : "new",
        "cache-control": "max-age=60",
        "cache-tag": "a",
      }));
      const before = text();
      await settled();
      if (how === "a change of the URL") await ask({}, { method: "POST" });
      if (how === "a purge of the URL") await purge(cache, { url: URL_A });
      if (how === "a purge of its tag") await purge(cache, { tag: "a" });
      if (how === "a purge of a path above it") await purge(cache, { prefix: "http://a.example/" });
      const after = text();
      await settled();
      first.resolve("old");
      expect([await before, await after, await text()]).toEqual(["old", "new", "new"]);
    },
  );
});

describe("a load that was begun before another process's purge", () => {
  it("gives nothing to who asks after that was heard of, nor in a namespace to who asks after its own", async () => {
    const clock = new FakeClock();
    const room = new SharedMemory({ clock });
    const first = deferred<string>();
    const { text, cache } = world(
      async (_asked, number) => ({
        body: number === 1 ? await first.promise : "new",
        "cache-control": "max-age=60",
        "cache-tag": "a",
      }),
      {},
      { tiers: [memory(), room.factory()], clock },
      (own) => own.namespace("web"),
    );
    const other = createCache({ tiers: [memory(), room.factory()], clock });
    onTestFinished(() => other.close());
    const before = text();
    await clock.advance(10);
    const heard = new Promise<void>((resolve) => void cache.on("invalidated", () => resolve()));
    await purge(other.namespace("web"), { tag: "a" });
    await clock.advance(10);
    await heard;
    const after = text();
    await clock.advance(10);
    first.resolve("old");
    expect([await before, await after]).toEqual(["old", "new"]);
  });
});

describe("a body that nobody reads", () => {
  it("is ended when the one who began its load has gone, and those who waited cannot share it", async () => {
    const cache = createCache();
    onTestFinished(() => cache.close());
    const engine = new HttpEngine(cache, resolveHttpOptions({ shared: true }));
    const head = deferred<void>();
    const ended: string[] = [];
    let asked = 0;
    const send = async (): Promise<OriginAnswer> => {
      asked += 1;
      const number = asked;
      await head.promise;
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(1_024)),
        cancel: () => void ended.push(`body ${number}`),
      });
      return { status: 200, statusText: "", fields: [["cache-control", "private"]], body };
    };
    const exchange = { method: "GET", url: new URL(URL_A), fields: [], mode: "default", send } as const;
    const leaving = new AbortController();
    const first = engine.handle({ ...exchange, signal: leaving.signal });
    const second = engine.handle({ ...exchange, signal: new AbortController().signal });
    await settled();
    expect(asked).toBe(1);
    leaving.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    head.resolve();
    const { body } = await second;
    await settled();
    expect([asked, ended]).toEqual([2, ["body 1"]]);
    await (body as ReadableStream).cancel();
  });
});

describe("an answer to HEAD", () => {
  it("that forbids to store the response has it removed", async () => {
    let directives = "max-age=60";
    const { ask, text, clock, asked } = world(() => ({ body: "x", etag: '"1"', "cache-control": directives }));
    await text();
    await clock.advance(61_000);
    directives = "no-store, max-age=60";
    await ask({}, { method: "HEAD" });
    directives = "max-age=60";
    const again = await ask();
    expect([await read(again), asked.length]).toEqual(["x", 3]);
    expect(field(again, "cache-status")).toContain("fwd=uri-miss");
  });

  it("that tells one who has identified himself something is not taken over for everybody", async () => {
    const { ask, text, clock } = world(({ method }) => ({
      body: "x",
      etag: '"1"',
      "cache-control": "max-age=60, stale-if-error=600",
      ...(method === "HEAD" ? { "x-user": "bob" } : {}),
    }));
    await text();
    await clock.advance(61_000);
    expect(field(await ask({ authorization: "Basic Ym9i" }, { method: "HEAD" }), "x-user")).toBe("bob");
    const stale = await ask({ "cache-control": "max-stale" });
    expect([await read(stale), field(stale, "x-user")]).toEqual(["x", undefined]);
    expect(field(stale, "cache-status")).toContain("hit");
  });

  it("is given though the cache fails to take it over", async () => {
    const { ask, text, clock, cache } = world(async ({ method }) => {
      if (method === "HEAD") await cache.close();
      return { body: "x", etag: '"1"', "cache-control": "max-age=60" };
    });
    await text();
    await clock.advance(61_000);
    expect((await ask({}, { method: "HEAD" })).status).toBe(200);
  });
});

describe("a stale response in the place of an origin that failed", () => {
  it("is a hit where the origin was not reached, and says what it answered where it was (RFC 9211 §2.1)", async () => {
    let failure: "away" | "failing" | undefined;
    const { ask, text, clock } = world(() => {
      if (failure === "away") throw new Error("away");
      const status = failure === "failing" ? 503 : 200;
      return { status, body: "x", "cache-control": "max-age=60, stale-if-error=600" };
    });
    await text();
    await clock.advance(70_000);
    failure = "away";
    expect(field(await ask(), "cache-status")).toBe("tiercache;hit;ttl=-10");
    failure = "failing";
    expect(field(await ask(), "cache-status")).toBe("tiercache;fwd=stale;fwd-status=503;ttl=-10");
  });
});
