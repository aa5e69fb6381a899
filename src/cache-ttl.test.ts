import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import type { Cache } from "./api.js";
import type { EntryPolicy } from "./options.js";
import type { FakeClock } from "./testing/index.js";

const start = oneCache();

/** Milliseconds of freshness left in memory. */
async function freshFor(cache: Cache, key: string): Promise<number | undefined> {
  return (await cache.explain(key)).tiers[0]?.freshFor;
}

async function expectFreshFor(cache: Cache, clock: FakeClock, key: string, ms: number): Promise<void> {
  await clock.advance(ms - 1);
  expect(cache.peek(key)).toBeDefined();
  await clock.advance(1);
  expect(cache.peek(key)).toBeUndefined();
}

describe("ttl", () => {
  it.each([
    ["by default", {}, 300_000],
    ["as a number", { ttl: 1_500 }, 1_500],
    ["as text", { ttl: "2s" }, 2_000],
    [
      "as a function of value and key",
      { ttl: (value: unknown, key: string) => `${(value as number[]).length + key.length}s` },
      4_000,
    ],
    ["up to maxTtl", { ttl: "1d", maxTtl: "1h" }, 3_600_000],
    ["in memory no longer than its own", { ttl: "1h", tierTtl: { memory: "10s" } }, 10_000],
    ["in memory never longer than the ttl", { ttl: "5s", tierTtl: { memory: "10s" } }, 5_000],
    ["whatever the shared tier's is, when there is none", { ttl: "5s", tierTtl: { shared: "1s" } }, 5_000],
  ] satisfies [string, EntryPolicy, number][])("%s: fresh until the very millisecond", async (_how, policy, ms) => {
    const { cache, clock } = start(policy);
    await cache.set("k", [1, 2, 3]);
    await cache.getOrLoad("l", () => [1, 2, 3]);
    expect(await freshFor(cache, "l")).toBe(ms);
    await expectFreshFor(cache, clock, "k", ms);
    expect(cache.peek("l")).toBeUndefined();
  });

  it("by a schedule: the window at the time of the write decides", async () => {
    const { cache, clock } = start({ ttl: { windows: [{ from: "08:00", to: "20:00", ttl: "1m" }], otherwise: "1h" } });
    const midnight = Date.UTC(2024, 0, 1) - clock.wall();
    clock.stepWall(midnight + 10 * 3_600_000);
    await cache.set("day", 1);
    clock.stepWall(12 * 3_600_000);
    await cache.set("night", 1);
    expect(await freshFor(cache, "day")).toBe(60_000);
    expect(await freshFor(cache, "night")).toBe(3_600_000);
  });

  it("0 stores nothing, and what was there is gone", async () => {
    const { cache } = start({ staleIfError: "1h" });
    await cache.set("k", "old");
    await cache.set("k", "new", { ttl: 0 });
    expect(await cache.get("k", { stale: true })).toBeUndefined();
    expect(await cache.getOrLoad("k", () => 1, { ttl: 0 })).toBe(1);
    expect(await cache.getOrLoad("k", () => 2, { ttl: 0 })).toBe(2);
    expect(cache.stats().total.refused.skipped).toBe(2);
  });

  it("setMany with a ttl of some values 0 stores the others", async () => {
    const { cache } = start();
    await cache.set("a", "old");
    await cache.setMany(
      [
        ["a", 0],
        ["b", 1],
      ],
      { ttl: (value) => (value as number) * 1_000 },
    );
    expect(await cache.getMany(["a", "b"])).toEqual([undefined, 1]);
  });

  it("decided by the loader wins over every policy but maxTtl", async () => {
    const { cache } = start({ ttl: "1m", maxTtl: "1h", negativeTtl: "1s" });
    await cache.getOrLoad("k", ({ ttl }) => ttl("5m"));
    await cache.getOrLoad("long", ({ ttl }) => (ttl("1d"), 1), { ttl: "2m" });
    await cache.getOrLoad("none", ({ ttl }) => (ttl(0), 1));
    expect(await freshFor(cache, "k")).toBe(300_000);
    expect(await freshFor(cache, "long")).toBe(3_600_000);
    expect(await cache.has("none")).toBe(false);
  });

  it("a function that gives nonsense, or throws, leaves a loaded value unstored and refuses a set", async () => {
    const { cache } = start();
    const failure = new Error("ttl");
    for (const ttl of [() => Number.NaN, () => "soon", () => -1] as const) {
      expect(await cache.getOrLoad("k", () => 1, { ttl })).toBe(1);
      await expect(cache.set("k", 1, { ttl })).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    }
    const ttl = (): never => {
      throw failure;
    };
    expect(await cache.getOrLoad("k", () => 1, { ttl })).toBe(1);
    await expect(cache.set("k", 1, { ttl })).rejects.toBe(failure);
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats().total.refused).toEqual({ error: 4 });
  });

  it("is measured on the monotonic clock: stepping the wall clock changes nothing", async () => {
    const { cache, clock } = start({ ttl: 1_000 });
    await cache.set("k", 1);
    clock.stepWall(86_400_000);
    expect(cache.peek("k")).toBe(1);
    clock.stepWall(-2 * 86_400_000);
    await clock.advance(1_000);
    expect(cache.peek("k")).toBeUndefined();
  });
});

describe("negativeTtl", () => {
  it("is for null and undefined, and for nothing else that is falsy", async () => {
    const { cache } = start({ ttl: "1m", negativeTtl: "1s" });
    for (const [key, value] of Object.entries({
      null: null,
      undefined: undefined,
      zero: 0,
      empty: "",
      nan: Number.NaN,
      no: false,
    }))
      await cache.set(key, value);
    expect(await freshFor(cache, "null")).toBe(1_000);
    expect(await freshFor(cache, "undefined")).toBe(1_000);
    for (const key of ["zero", "empty", "nan", "no"]) expect(await freshFor(cache, key)).toBe(60_000);
  });

  it("is the ttl when it is not given", async () => {
    const { cache } = start({ ttl: "1m" });
    await cache.set("k", null);
    expect(await freshFor(cache, "k")).toBe(60_000);
  });

  it("of 0 stores no absence", async () => {
    const { cache } = start({ negativeTtl: 0 });
    expect(await cache.getOrLoad("k", () => null)).toBeNull();
    expect(await cache.has("k")).toBe(false);
  });
});

describe("jitter", () => {
  it("takes up to its share off the ttl, never more and never adds", () => {
    return fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (jitter, chance) => {
          const { cache } = start({ ttl: 1_000, jitter, random: () => chance });
          await cache.set("k", 1);
          const ms = (await freshFor(cache, "k")) ?? 0;
          expect(ms).toBeLessThanOrEqual(1_000);
          expect(ms).toBeGreaterThan(1_000 * (1 - jitter) - 1e-6);
          expect(ms).toBeCloseTo(1_000 * (1 - jitter * chance), 6);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("is a twentieth by default", async () => {
    const { cache } = start({ jitter: undefined, ttl: 1_000, random: () => 0.999 });
    await cache.set("k", 1);
    expect(await freshFor(cache, "k")).toBeCloseTo(950.05, 2);
  });
});

describe("sliding", () => {
  it("each read starts the ttl again, by whatever method", async () => {
    const { cache, clock } = start({ ttl: 1_000, sliding: true });
    await cache.set("k", 1);
    const reads = [
      () => cache.peek("k"),
      () => cache.get("k"),
      () => cache.has("k"),
      () => cache.getOrLoad("k", () => 2),
      () => cache.getMany(["k"]),
    ];
    for (const read of reads) {
      await clock.advance(900);
      expect(await read()).not.toBeUndefined();
    }
    expect(await freshFor(cache, "k")).toBe(1_000);
    await clock.advance(1_000);
    expect(cache.peek("k")).toBeUndefined();
  });

  it("does not bring back what was expired by hand, nor what was invalidated softly", async () => {
    const { cache } = start({ ttl: 1_000, sliding: true, staleIfError: "1h" });
    await cache.setMany(
      [
        ["a", 1],
        ["b", 1],
      ],
      { tags: ["t"] },
    );
    await cache.expire("a");
    await cache.invalidate({ tag: "t" }, { mode: "soft" });
    expect(await cache.get("a")).toBeUndefined();
    expect(await cache.get("b")).toBeUndefined();
    expect(await cache.get("a")).toBeUndefined();
  });

  it("slides the stale windows along", async () => {
    const { cache, clock } = start({ ttl: 1_000, sliding: true, staleIfError: 500 });
    await cache.set("k", 1);
    await clock.advance(900);
    await cache.get("k");
    await clock.advance(1_400);
    expect(await cache.get("k", { stale: true })).toBe(1);
    await clock.advance(200);
    expect(await cache.get("k", { stale: true })).toBeUndefined();
  });

  it("of one that does not slide, reads change nothing", async () => {
    const { cache, clock } = start({ ttl: 1_000 });
    await cache.set("k", 1);
    await clock.advance(900);
    await cache.get("k");
    await expectFreshFor(cache, clock, "k", 100);
  });
});

describe("what a cache, a preset, an entity and a call say", () => {
  it("the nearer wins, field by field", async () => {
    const { cache } = start({ ttl: "1m", negativeTtl: "1s" });
    const entity = cache.entity<string, number | null>({ name: "e", ttl: "2m" });
    await entity.set("k", 1);
    await entity.set("call", 1, { ttl: "3m" });
    await entity.set("null", null, { ttl: "3m" });
    const ms = async (id: string): Promise<number | undefined> => (await entity.explain(id)).tiers[0]?.freshFor;
    expect([await ms("k"), await ms("call"), await ms("null")]).toEqual([120_000, 180_000, 1_000]);
  });

  it("a preset lies below what is said next to it, and above what is farther", async () => {
    const { cache } = start({ ttl: "1m", presets: { quick: { ttl: "1s", negativeTtl: "2s" }, search: { ttl: "7s" } } });
    await cache.set("preset", 1, { preset: "quick" });
    await cache.set("both", 1, { preset: "quick", ttl: "3s" });
    await cache.set("null", null, { preset: "quick", ttl: "3s" });
    await cache.set("built-in", 1, { preset: "user" });
    await cache.set("replaced", 1, { preset: "search" });
    const ms = ["preset", "both", "null", "built-in", "replaced"].map((key) => freshFor(cache, key));
    expect(await Promise.all(ms)).toEqual([1_000, 3_000, 2_000, 3_600_000, 7_000]);
  });

  it("a preset of the cache or of an entity is where its calls start from", async () => {
    const { cache } = start({ preset: "trending" });
    await cache.set("k", 1);
    expect(await freshFor(cache, "k")).toBe(60_000);
    const entity = cache.entity<string, number>({ name: "e", preset: "user" });
    await entity.set("k", 1);
    expect((await entity.explain("k")).tiers[0]?.freshFor).toBe(3_600_000);
  });

  it("`undefined` says nothing", async () => {
    const { cache } = start({ ttl: "1m", staleIfError: undefined });
    await cache.set("k", 1, { ttl: undefined, preset: undefined });
    expect(await freshFor(cache, "k")).toBe(60_000);
  });
});
