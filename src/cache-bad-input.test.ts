import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import { CacheError, createCache, memory } from "./index.js";
import type { CacheOptions } from "./options.js";

const start = oneCache();

function optionError(option: string): unknown {
  return expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${option}\``) });
}

/** Wrong for whoever takes an `EntryPolicy`. */
const POLICIES: [option: string, policy: object][] = [
  ["ttl", { ttl: -1 }],
  ["ttl", { ttl: Number.NaN }],
  ["ttl", { ttl: Number.POSITIVE_INFINITY }],
  ["ttl", { ttl: "5 minutes" }],
  ["ttl", { ttl: "" }],
  ["ttl", { ttl: null }],
  ["ttl", { ttl: true }],
  ["ttl", { ttl: "11y" }],
  ["ttl.windows", { ttl: {} }],
  ["ttl.windows[0].from", { ttl: { windows: [{ from: "8", to: "20:00", ttl: 1 }], otherwise: 1 } }],
  ["ttl.timeZone", { ttl: { windows: [], otherwise: 1, timeZone: "Mars" } }],
  ["tierTtl", { tierTtl: "5m" }],
  ["tierTtl", { tierTtl: null }],
  ["tierTtl option", { tierTtl: { l1: "5m" } }],
  ["tierTtl.memory", { tierTtl: { memory: 0 } }],
  ["tierTtl.shared", { tierTtl: { shared: "x" } }],
  ["maxTtl", { maxTtl: 0 }],
  ["jitter", { jitter: 1 }],
  ["jitter", { jitter: -0.1 }],
  ["jitter", { jitter: Number.NaN }],
  ["jitter", { jitter: "0.1" }],
  ["sliding", { sliding: 1 }],
  ["staleWhileRevalidate", { staleWhileRevalidate: -1 }],
  ["staleWhileRevalidate", { staleWhileRevalidate: true }],
  ["staleIfError", { staleIfError: "x" }],
  ["staleIfError", { staleIfError: null }],
  ["staleIfError.for", { staleIfError: {} }],
  ["staleIfError.throttle", { staleIfError: { for: 1, throttle: -1 } }],
  ["staleIfError.when", { staleIfError: { for: 1, when: true } }],
  ["staleIfError option", { staleIfError: { for: 1, trottle: 1 } }],
  ["negativeTtl", { negativeTtl: "never" }],
  ["earlyRefresh", { earlyRefresh: -1 }],
  ["earlyRefresh", { earlyRefresh: Number.POSITIVE_INFINITY }],
  ["softTimeout", { softTimeout: 0 }],
  ["hardTimeout", { hardTimeout: 0 }],
  ["hardTimeout", { hardTimeout: "forever" }],
  ["preset", { preset: "nothing" }],
  ["preset", { preset: "toString" }],
  ["preset", { preset: 5 }],
];

describe("createCache refuses, naming the option, its rule and the value", () => {
  const wrong: [string, unknown][] = [
    ...POLICIES,
    ["options", null],
    ["options", "crm"],
    ["createCache option", { tll: "5m" }],
    ["createCache option", { maxBytes: "64mb" }],
    ["name", { name: "" }],
    ["name", { name: 5 }],
    ["tiers", { tiers: [] }],
    ["tiers", { tiers: memory() }],
    ["tiers", { tiers: [memory(), memory()] }],
    ["tiers", { tiers: [{}] }],
    ["tiers", { tiers: [undefined] }],
    ["tiers", { tiers: ["redis"] }],
    ["tiers", { tiers: [{ kind: "s", open: () => ({}) }, memory()] }],
    ["presets", { presets: null }],
    ["presets", { presets: "user" }],
    ["presets.mine", { presets: { mine: null } }],
    ["presets.mine option", { presets: { mine: { tll: 1 } } }],
    ["ttl", { presets: { mine: { ttl: -1 } } }],
    ["isolation", { isolation: "copy" }],
    ["isolation", { isolation: null }],
    ["loads", { loads: 5 }],
    ["loads option", { loads: { concurency: 5 } }],
    ["loads.concurrency", { loads: { concurrency: 0 } }],
    ["loads.concurrency", { loads: { concurrency: 1.5 } }],
    ["loads.queue", { loads: { queue: -1 } }],
    ["shared", { shared: "250ms" }],
    ["shared option", { shared: { timout: 5 } }],
    ["shared.timeout", { shared: { timeout: 0 } }],
    ["shared.breakerFailures", { shared: { breakerFailures: 0 } }],
    ["shared.breakerCooldown", { shared: { breakerCooldown: 0 } }],
    ["shared.leaseTtl", { shared: { leaseTtl: 1 } }],
    ["shared.heartbeat", { shared: { heartbeat: 0 } }],
    ["shared.maxStaleness", { shared: { maxStaleness: 1 } }],
    ["maxKeyLength", { maxKeyLength: 0 }],
    ["maxKeyLength", { maxKeyLength: "65536" }],
    ["clock", { clock: {} }],
    ["clock", { clock: { now: () => 1 } }],
    ["clock", { clock: Date }],
    ["random", { random: 0.5 }],
  ];

  it.each(wrong)("%s: %o", (option, options) => {
    expect(() => createCache(options as CacheOptions)).toThrow(optionError(option));
  });

  it("the message says what was expected and what came", () => {
    expect(() => createCache({ jitter: 2 })).toThrow("Expected `jitter` to be a number from 0 to below 1, got `2`");
    expect(() => createCache({ tll: 1 } as CacheOptions)).toThrow(
      /Expected `createCache option` to be one of ttl, .*, got `"tll"`/,
    );
  });

  it("`undefined` everywhere is the same as nothing", async () => {
    const names = [
      "ttl",
      "tierTtl",
      "maxTtl",
      "jitter",
      "sliding",
      "staleWhileRevalidate",
      "staleIfError",
      "negativeTtl",
      "earlyRefresh",
      "softTimeout",
      "hardTimeout",
      "preset",
      "name",
      "tiers",
      "presets",
      "isolation",
      "loads",
      "shared",
      "maxKeyLength",
      "clock",
      "random",
    ];
    const cache = createCache(Object.fromEntries(names.map((name) => [name, undefined])));
    await cache.set("k", 1, { ttl: undefined, tags: undefined, etag: undefined, tierTtl: undefined });
    expect(
      await cache.getOrLoad("k", () => 2, { signal: undefined, waitTimeout: undefined, forceFresh: undefined }),
    ).toBe(1);
    await cache.close();
  });
});

describe("every call refuses wrong options, and does nothing", () => {
  it.each(POLICIES)("%s: %o", async (option, policy) => {
    const { cache } = start();
    const entity = cache.entity<string, number>({ name: "e", load: () => 1 });
    const loader = (): never => expect.unreachable();
    const many = (): Promise<never> => Promise.reject(new Error("called"));
    const calls = [
      () => cache.set("k", 1, policy),
      () => cache.setMany([["k", 1]], policy),
      () => cache.getOrLoad("k", loader, policy),
      () => cache.refresh("k", loader, policy),
      () => cache.getOrLoadMany([1], (n) => n, many, policy),
      () => cache.writeThrough("k", many, policy),
      () => entity.get("k", policy),
      () => entity.getMany(["k"], policy),
      () => entity.set("k", 1, policy),
      () => entity.writeThrough("k", many, policy),
    ];
    for (const call of calls) await expect(call(), String(call)).rejects.toEqual(optionError(option));
    expect(() => cache.wrap((n: number) => n, { name: "w", ...policy })).toThrow(optionError(option));
    expect(() => cache.entity({ name: "other", ...policy })).toThrow(optionError(option));
    expect(cache.stats().memory?.entries).toBe(0);
    expect(cache.stats().total).toMatchObject({ gets: 0, loads: 0, loadFailures: 0 });
  });

  it.each([
    ["call option", { tll: "5m" }],
    ["call option", { name: "k" }],
    ["tags", { tags: "team:7" }],
    ["etag", { etag: 5 }],
  ])("%s: %o", async (option, options) => {
    const { cache } = start();
    const wrong = options as object;
    await expect(cache.set("k", 1, wrong)).rejects.toEqual(optionError(option));
    await expect(cache.getOrLoad("k", () => 1, wrong)).rejects.toEqual(optionError(option));
    await expect(
      cache.getOrLoadMany(
        [1],
        (n) => n,
        async (n) => n,
        wrong,
      ),
    ).rejects.toEqual(optionError(option));
    const entity = cache.entity<string, number>({ name: "e", load: () => 1 });
    await expect(entity.get("k", wrong)).rejects.toEqual(optionError(option));
    await expect(entity.set("k", 1, wrong)).rejects.toEqual(optionError(option));
    if (!("name" in options))
      expect(() => cache.wrap((n: number) => n, { name: "w", ...wrong })).toThrow(optionError(option));
    expect(cache.stats().memory?.entries).toBe(0);
  });

  it.each([
    ["waitTimeout", { waitTimeout: "soon" }],
    ["waitTimeout", { waitTimeout: -1 }],
    ["signal", { signal: {} }],
    ["signal", { signal: null }],
    ["signal", { signal: new AbortController() }],
    ["forceFresh", { forceFresh: "yes" }],
  ])("of a load, %s: %o, before anything is begun", async (option, options) => {
    const { cache, clock } = start({ softTimeout: 10 });
    const before = clock.pending;
    const loader = (): never => expect.unreachable();
    await expect(cache.getOrLoad("k", loader, options as object)).rejects.toEqual(optionError(option));
    expect(clock.pending).toBe(before);
    await clock.advance(100);
    expect(cache.stats().total.loadFailures).toBe(0);
    await expect(cache.set("k", 1, options as object)).rejects.toEqual(optionError("call option"));
  });

  it.each([
    ["mode", { mode: "gentle" }],
    ["invalidate option", { soft: true }],
  ])("of an invalidation, %s: %o", async (option, options) => {
    const { cache } = start();
    const entity = cache.entity<string, number>({ name: "e" });
    await cache.set("k", 1);
    await expect(cache.invalidate({ key: "k" }, options as object)).rejects.toEqual(optionError(option));
    await expect(entity.invalidate("k", options as object)).rejects.toEqual(optionError(option));
    await expect(entity.invalidateAll(options as object)).rejects.toEqual(optionError(option));
    expect(cache.peek("k")).toBe(1);
  });
});

describe("keys of a wrong type or above the limit", () => {
  const never = (): never => expect.unreachable();

  it.each([
    undefined,
    null,
    "",
    [],
    {},
    true,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Symbol("s"),
    () => "k",
    new Date(),
    [undefined],
    ["a", Number.NaN],
  ])("%o is refused by every method with one code, as a rejection", async (bad) => {
    const { cache } = start();
    const key = bad as never;
    const refused = expect.objectContaining({ code: "ERR_CACHE_KEY" });
    const calls = [
      () => cache.get(key),
      () => cache.getMany(["k", key]),
      () => cache.has(key),
      () => cache.set(key, 1),
      () =>
        cache.setMany([
          ["k", 1],
          [key, 1],
        ]),
      () => cache.delete(key),
      () => cache.deleteMany(["k", key]),
      () => cache.expire(key),
      () => cache.getOrLoad(key, never),
      () => cache.getOrLoadMany([1], () => key, never),
      () => cache.refresh(key, never),
      () => cache.writeThrough(key, never),
      () => cache.explain(key),
      () => cache.lock(key),
      () => cache.set("k", 1, { tags: [key] }),
    ];
    for (const call of calls) await expect(call(), String(call)).rejects.toEqual(refused);
    expect(() => cache.peek(key)).toThrow(refused);
    expect(cache.stats().memory?.entries).toBe(0);
  });

  it("the limit is on the encoded key", async () => {
    const { cache } = start({ maxKeyLength: 10 });
    await cache.set("1234567890", 1);
    await expect(cache.set("12345678901", 1)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    await expect(cache.set("a b c d e", 1)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    await expect(cache.get("x".repeat(1e6))).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
  });

  it("a namespace without a name is refused", () => {
    const { cache } = start();
    for (const name of ["", undefined, 5]) expect(() => cache.namespace(name as string)).toThrow(CacheError);
  });
});

describe("what must be a function and is not", () => {
  it.each([undefined, null, 5, "load", {}, Promise.resolve(1)])(
    "%o is refused before anything is begun",
    async (bad) => {
      const { cache } = start();
      const wrong = bad as never;
      await cache.set("stored", 1);
      await expect(cache.getOrLoad("k", wrong)).rejects.toEqual(optionError("loader"));
      await expect(cache.refresh("stored", wrong)).rejects.toEqual(optionError("loader"));
      await expect(cache.getOrLoadMany([1], (n) => n, wrong)).rejects.toEqual(optionError("loader"));
      await expect(cache.writeThrough("stored", wrong)).rejects.toEqual(optionError("write"));
      expect(() => cache.wrap(wrong, { name: "w" })).toThrow(optionError("fn"));
      expect(() => cache.on("hit", wrong)).toThrow(optionError("listener"));
      expect(cache.peek("stored")).toBe(1);
    },
  );
});
