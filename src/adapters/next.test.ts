import type { CacheHandler as NextUseCache } from "next/dist/server/lib/cache-handlers/types.js";
import type { CacheHandler as NextIncremental } from "next/dist/server/lib/incremental-cache/index.js";
import { describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { FakeClock, SharedMemory } from "../testing/index.js";
import { nextCacheHandler, nextUseCacheHandler, type NextCacheHandler, type NextCacheOptions } from "./next.js";

interface World {
  readonly clock: FakeClock;
  readonly caches: readonly [Cache, Cache];
  readonly close: () => Promise<void>;
}

function world(): World {
  const clock = new FakeClock();
  const shared = new SharedMemory({ clock });
  const one = (): Cache => createCache({ name: "app", tiers: [memory(), shared.factory()], clock, jitter: 0.5 });
  const caches = [one(), one()] as const;
  return { clock, caches, close: async () => void (await Promise.all(caches.map((cache) => cache.close()))) };
}

/** One request's handler. */
function handler(cache: Cache, clock: FakeClock, options: NextCacheOptions = {}): NextCacheHandler {
  return new (nextCacheHandler(cache, { clock, ...options }))({ revalidatedTags: [] });
}

const page = (html: string, tags: string): { kind: string; [name: string]: unknown } => ({
  kind: "APP_PAGE",
  html,
  rscData: Buffer.from(`rsc of ${html}`),
  headers: { "x-next-cache-tags": tags, "content-type": "text/html" },
  postponed: undefined,
  status: 200,
  segmentData: new Map([["/_tree", Buffer.from("tree")]]),
});
const fetched = (body: string): { kind: string; [name: string]: unknown } => ({
  kind: "FETCH",
  data: { headers: { a: "b" }, body, url: "https://api.example/x", status: 200 },
  revalidate: 60,
});
const PAGE = { kind: "APP_PAGE", isFallback: false } as const;
const FETCH = { kind: "FETCH", softTags: ["_N_T_/layout", "_N_T_/contacts"] } as const;

describe("the handler of Next.js' incremental cache", () => {
  it("is what Next.js' own type says", () => {
    const Handler: new (...args: ConstructorParameters<typeof NextIncremental>) => NextIncremental =
      nextCacheHandler(createCache());
    expect(new Handler({ revalidatedTags: [], _requestHeaders: {} })).toBeDefined();
  });

  it("gives a page back to another process, with its bytes, its times, and free to be changed", async () => {
    const { clock, caches, close } = world();
    const cacheControl = { revalidate: 60, expire: 3_600 };
    await handler(caches[0], clock).set("/contacts", page("<p>1</p>", "a,b"), { cacheControl });
    const stored = clock.wall();
    await clock.advance(5_000);
    const found = await handler(caches[1], clock).get("/contacts", PAGE);
    expect(found).toEqual({ lastModified: stored, value: page("<p>1</p>", "a,b"), cacheControl });
    expect(Buffer.isBuffer(found?.value.rscData)).toBe(true);
    expect(Buffer.isBuffer(found?.value.segmentData.get("/_tree"))).toBe(true);
    delete found?.value.headers["x-next-cache-tags"];
    expect((await handler(caches[1], clock).get("/contacts", PAGE))?.value).toEqual(page("<p>1</p>", "a,b"));
    await close();
  });

  it("forgets a page when a tag of it is revalidated, in every process, by Next.js or by the cache", async () => {
    const { clock, caches, close } = world();
    for (const revalidate of [
      () => handler(caches[0], clock).revalidateTag(["contact:7"]),
      () => caches[0].invalidate({ tag: "contact:7" }),
    ]) {
      await clock.advance(10);
      await handler(caches[0], clock).set("/contacts/7", page("7", "contacts,contact:7"), {});
      await handler(caches[0], clock).set("/contacts/8", page("8", "contacts,contact:8"), {});
      await revalidate();
      await clock.advance(10);
      expect(await handler(caches[1], clock).get("/contacts/7", PAGE)).toBeNull();
      expect((await handler(caches[1], clock).get("/contacts/8", PAGE))?.value.html).toBe("8");
    }
    await close();
  });

  it("serves stale what is revalidated softly, until the profile's end", async () => {
    const { clock, caches, close } = world();
    await handler(caches[0], clock).set("/p", page("old", "t"), { cacheControl: { revalidate: false } });
    await handler(caches[0], clock).set("f", fetched("old"), { fetchCache: true, tags: ["t"] });
    await clock.advance(10);
    await handler(caches[0], clock).revalidateTag("t", { expire: 60 });
    await clock.advance(10);
    const stale = await handler(caches[1], clock).get("/p", PAGE);
    expect(stale?.value.html).toBe("old");
    // Older than it may be fresh, as Next.js counts, and not past its end.
    expect((stale?.lastModified ?? 0) + stale?.cacheControl.revalidate * 1_000).toBeLessThan(clock.wall());
    expect((await handler(caches[1], clock).get("f", { ...FETCH, tags: ["t"] }))?.lastModified).toBe(1);
    await clock.advance(60_000);
    expect(await handler(caches[1], clock).get("/p", PAGE)).toBeNull();
    await close();
  });

  it("forgets what was fetched for a path that is revalidated, though fetches do not carry its tag", async () => {
    const { clock, caches, close } = world();
    await handler(caches[0], clock).set("f", fetched("1"), { fetchCache: true, tags: ["contacts"] });
    await clock.advance(10);
    expect((await handler(caches[1], clock).get("f", FETCH))?.value.data.body).toBe("1");
    await handler(caches[0], clock).revalidateTag("_N_T_/contacts");
    await clock.advance(10);
    expect(await handler(caches[1], clock).get("f", FETCH)).toBeNull();
    expect(
      (await handler(caches[1], clock).get("f", { kind: "FETCH", softTags: ["_N_T_/other"] }))?.value,
    ).toBeDefined();
    await handler(caches[0], clock).set("f", fetched("2"), { fetchCache: true, tags: ["contacts"] });
    await clock.advance(10);
    expect((await handler(caches[1], clock).get("f", FETCH))?.value.data.body).toBe("2");
    await close();
  });

  it("does not store what was rendered from before an invalidation that came meanwhile", async () => {
    const { clock, caches, close } = world();
    const request = handler(caches[0], clock);
    expect(await request.get("/p", PAGE)).toBeNull();
    await clock.advance(10);
    await caches[1].invalidate({ tag: "t" });
    await clock.advance(10);
    await request.set("/p", page("rendered from old rows", "t"), {});
    expect(await handler(caches[0], clock).get("/p", PAGE)).toBeNull();
    await handler(caches[0], clock).set("/p", page("new", "t"), {});
    expect((await handler(caches[0], clock).get("/p", PAGE))?.value.html).toBe("new");
    await close();
  });

  it.each([-300_000, 300_000])("nor when the wall clock was set by %d ms meanwhile", async (step) => {
    const { clock, caches, close } = world();
    const request = handler(caches[0], clock);
    await clock.advance(10);
    if (step < 0) clock.stepWall(step);
    await caches[1].invalidate({ tag: "t" });
    await clock.advance(10);
    if (step > 0) clock.stepWall(step);
    await request.set("/p", page("rendered from old rows", "t"), {});
    expect(await handler(caches[0], clock).get("/p", PAGE)).toBeNull();
    await close();
  });

  it("keeps builds apart, and what they fetched in common", async () => {
    const { clock, caches, close } = world();
    await handler(caches[0], clock, { build: "one" }).set("/p", page("1", ""), {});
    await handler(caches[0], clock, { build: "one" }).set("f", fetched("1"), { fetchCache: true });
    expect(await handler(caches[0], clock, { build: "two" }).get("/p", PAGE)).toBeNull();
    expect((await handler(caches[0], clock, { build: "two" }).get("f", FETCH))?.value.data.body).toBe("1");
    await close();
  });

  it("is a miss when the cache was closed, and remembers a page that was not found", async () => {
    const { clock, caches, close } = world();
    await handler(caches[0], clock).set("/none", null, {});
    expect(await handler(caches[0], clock).get("/none", PAGE)).toMatchObject({ value: null });
    const late = handler(caches[0], clock);
    await close();
    expect(await late.get("/none", PAGE)).toBeNull();
  });
});

const stream = (...chunks: readonly string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
const entry = (clock: FakeClock, value: ReadableStream<Uint8Array>, tags: string[] = []) => ({
  value,
  tags,
  stale: 300,
  timestamp: clock.wall(),
  expire: 3_600,
  revalidate: 900,
});
const text = async (found: { value: ReadableStream<Uint8Array> } | undefined): Promise<string | undefined> =>
  found && new Response(found.value).text();

describe("the handler of Next.js' use cache", () => {
  it("is what Next.js' own type says", () => {
    const own: NextUseCache = nextUseCacheHandler(createCache());
    expect(Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(own)))).toContain("updateTags");
  });

  it("gives each reader a stream of its own, in every process", async () => {
    const { clock, caches, close } = world();
    const [here, there] = caches.map((cache) => nextUseCacheHandler(cache, { clock }));
    await here?.set("k", Promise.resolve(entry(clock, stream("one ", "two"), ["t"])));
    for (const reader of [here, there, there]) {
      const found = await reader?.get("k", []);
      expect(await text(found)).toBe("one two");
      expect(found).toMatchObject({ tags: ["t"], stale: 300, expire: 3_600, revalidate: 900 });
    }
    await close();
  });

  it("has a reader wait for the entry that is being set, and gives none when that fails", async () => {
    const { clock, caches, close } = world();
    const own = nextUseCacheHandler(caches[0], { clock });
    let finish: (value: ReturnType<typeof entry>) => void = () => undefined;
    const setting = own.set("k", new Promise((resolve) => (finish = resolve)));
    const reading = own.get("k", []);
    finish(entry(clock, stream("late")));
    expect(await text(await reading)).toBe("late");
    await setting;
    await own.set("failed", Promise.reject(new Error("the function threw")));
    expect(await own.get("failed", [])).toBeUndefined();
    await close();
  });

  it("stores no stream that is longer than it may be, breaks, or is over at once", async () => {
    const { clock, caches, close } = world();
    const own = nextUseCacheHandler(caches[0], { clock, maxEntryBytes: 4 });
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(3)),
      cancel: () => void (cancelled = true),
    });
    await own.set("long", Promise.resolve(entry(clock, endless)));
    expect(cancelled).toBe(true);
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("broken")) });
    await own.set("broken", Promise.resolve(entry(clock, broken)));
    await own.set("over", Promise.resolve({ ...entry(clock, stream("x")), expire: 0 }));
    await own.set("fits", Promise.resolve(entry(clock, stream("four"))));
    for (const key of ["long", "broken", "over"]) expect(await own.get(key, [])).toBeUndefined();
    expect(await text(await own.get("fits", []))).toBe("four");
    await close();
  });

  it("forgets by tags, by soft tags, and serves once more what was revalidated with a profile", async () => {
    const { clock, caches, close } = world();
    const [here, there] = caches.map((cache) => nextUseCacheHandler(cache, { clock }));
    const fill = async (): Promise<void> => {
      await clock.advance(10);
      await here?.set("k", Promise.resolve(entry(clock, stream("v"), ["t"])));
      await clock.advance(10);
    };
    await fill();
    expect(await here?.getExpiration(["_N_T_/p"])).toBe(Infinity);
    await here?.updateTags(["t"]);
    await clock.advance(10);
    expect(await there?.get("k", [])).toBeUndefined();
    await fill();
    await there?.updateTags(["_N_T_/p"]);
    await clock.advance(10);
    expect(await here?.get("k", ["_N_T_/p"])).toBeUndefined();
    expect(await text(await here?.get("k", ["_N_T_/q"]))).toBe("v");
    await fill();
    await there?.updateTags(["t"], { expire: 60 });
    await clock.advance(10);
    expect((await here?.get("k", []))?.revalidate).toBe(-1);
    await clock.advance(60_000);
    expect(await here?.get("k", [])).toBeUndefined();
    await close();
  });

  it("does not store what was made from before an invalidation that came meanwhile", async () => {
    const { clock, caches, close } = world();
    const own = nextUseCacheHandler(caches[0], { clock });
    const begun = entry(clock, stream("from old rows"), ["t"]);
    await clock.advance(10);
    await caches[1].invalidate({ tag: "t" });
    await clock.advance(10);
    await own.set("k", Promise.resolve(begun));
    expect(await own.get("k", [])).toBeUndefined();
    await close();
  });

  it("takes Next.js' timestamps for what they are where the wall clock was set since the process started", async () => {
    const set = Date.now;
    const cache = createCache({ tiers: [memory()] });
    const own = nextUseCacheHandler(cache);
    const begun = (): ReturnType<typeof entry> => ({
      ...entry(new FakeClock(), stream("from old rows"), ["t"]),
      timestamp: performance.timeOrigin + performance.now(),
    });
    try {
      Date.now = () => set() - 300_000;
      const overtaken = begun();
      await cache.invalidate({ tag: "t" });
      await own.set("overtaken", Promise.resolve(overtaken));
      expect(await own.get("overtaken", [])).toBeUndefined();
      await own.set("path", Promise.resolve(begun()));
      expect(await text(await own.get("path", ["_N_T_/p"]))).toBe("from old rows");
      await own.updateTags(["_N_T_/p"]);
      expect(await own.get("path", ["_N_T_/p"])).toBeUndefined();
    } finally {
      Date.now = set;
      await cache.close();
    }
  });

  it("names options that it does not know or cannot use", () => {
    const cache = createCache();
    expect(() => nextCacheHandler(cache, { prefix: "x" } as never)).toThrow(/prefix/);
    expect(() => nextCacheHandler(cache, { name: "" })).toThrow(/`name`/);
    expect(() => nextCacheHandler(cache, { build: "" })).toThrow(/`build`/);
    expect(() => nextUseCacheHandler(cache, { ttl: 0 })).toThrow(/`ttl`/);
    expect(() => nextUseCacheHandler(cache, { maxEntryBytes: -1 })).toThrow(/`maxEntryBytes`/);
  });
});
