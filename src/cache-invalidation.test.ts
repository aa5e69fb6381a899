import { describe, expect, it } from "vitest";

import { oneCache } from "../test/support/one-cache.js";
import type { Cache, InvalidationTarget } from "./api.js";
import { key, pattern } from "./index.js";

const start = oneCache();

/** What is stored, with its tags. */
const STORED: readonly (readonly [key: string, ...tags: string[]])[] = [
  ["user"],
  ["user:1", "team:7"],
  ["user:1:orders", "team:7", "orders"],
  ["user:12", "team:8"],
  ["user:12:orders", "orders", "team:8"],
  ["team:7"],
];

async function fill(cache: Cache): Promise<void> {
  for (const [name, ...tags] of STORED) await cache.set(name, name, { tags, staleIfError: "1h" });
}

async function gone(cache: Cache, stale = false): Promise<string[]> {
  const names = STORED.map(([name]) => name);
  const values = await cache.getMany(names, { stale });
  return names.filter((_, index) => values[index] === undefined);
}

const TARGETS: [name: string, target: InvalidationTarget | InvalidationTarget[], hit: number, gone: string[]][] = [
  ["a key", { key: "user:1" }, 1, ["user:1"]],
  ["a key made by the tag", { key: key`user:${12}` }, 1, ["user:12"]],
  ["a key that is not stored", { key: "user:2" }, 0, []],
  ["keys, each counted once", { keys: ["user:1", "team:7", "user:1", "none"] }, 2, ["user:1", "team:7"]],
  ["no keys", { keys: [] }, 0, []],
  ["a tag", { tag: "team:7" }, 0, ["user:1", "user:1:orders"]],
  ["a tag of a scope nobody has", { tag: "team:7", scope: "acme" }, 0, []],
  ["any of some tags", { tags: ["team:7", "orders"] }, 0, ["user:1", "user:1:orders", "user:12:orders"]],
  ["any, said aloud", { tags: ["team:8", "none"], match: "any" }, 0, ["user:12", "user:12:orders"]],
  ["all of some tags, in whatever order", { tags: ["team:8", "orders"], match: "all" }, 0, ["user:12:orders"]],
  ["all of one tag", { tags: ["orders"], match: "all" }, 0, ["user:1:orders", "user:12:orders"]],
  ["all of tags that nobody has together", { tags: ["team:7", "team:8"], match: "all" }, 0, []],
  ["all of no tags, which is nothing", { tags: [], match: "all" }, 0, []],
  ["a prefix: the key and what lies below, in whole segments", { prefix: "user:1" }, 0, ["user:1", "user:1:orders"]],
  ["a prefix with a colon at its end: only what lies below", { prefix: "user:1:" }, 0, ["user:1:orders"]],
  [
    "the first segment as a prefix",
    { prefix: "user" },
    0,
    ["user", "user:1", "user:1:orders", "user:12", "user:12:orders"],
  ],
  ["a prefix as an array", { prefix: ["user", 12] }, 0, ["user:12", "user:12:orders"]],
  ["a pattern", { pattern: "user:*:orders" }, 0, ["user:1:orders", "user:12:orders"]],
  ["a pattern inside a segment", { pattern: "user:1*" }, 0, ["user:1", "user:12"]],
  ["a pattern made by the tag", { pattern: pattern`user:${1}:*` }, 0, ["user:1:orders"]],
  ["all", { all: true }, 0, STORED.map(([name]) => name)],
  [
    "several at once",
    [{ key: "user" }, { tag: "team:8" }, { prefix: "team" }],
    1,
    ["user", "user:12", "user:12:orders", "team:7"],
  ],
  ["no targets", [], 0, []],
];

describe("invalidate hits exactly", () => {
  it.each(TARGETS)("%s", async (_name, target, hit, expected) => {
    const { cache } = start();
    await fill(cache);
    expect((await cache.invalidate(target)).hit).toBe(hit);
    expect(await gone(cache)).toEqual(expected);
    expect(await gone(cache, true)).toEqual(expected);
  });

  it.each(TARGETS)("softly: %s, which may then be served stale", async (_name, target, hit, expected) => {
    const { cache } = start();
    await fill(cache);
    expect((await cache.invalidate(target, { mode: "soft" })).hit).toBe(hit);
    expect(await gone(cache)).toEqual(expected);
    expect(await gone(cache, true)).toEqual([]);
  });

  it.each(TARGETS)("what is set again afterwards stays: %s", async (_name, target) => {
    const { cache } = start();
    await fill(cache);
    await cache.invalidate(target);
    await fill(cache);
    expect(await gone(cache)).toEqual([]);
  });

  it.each(TARGETS)("inside a namespace only: %s", async (_name, target, hit, expected) => {
    const { cache } = start();
    const room = cache.namespace("room");
    await fill(cache);
    await fill(room);
    expect((await room.invalidate(target)).hit).toBe(hit);
    expect(await gone(room)).toEqual(expected);
    expect(await gone(cache)).toEqual([]);
  });
});

describe("invalidate", () => {
  it("an entity by name, in all scopes or one", async () => {
    const { cache } = start();
    const plain = cache.entity<number, string>({ name: "plain" });
    const scoped = cache.entity<number, string>({ name: "scoped", scope: "tenant" });
    const fillAll = async (): Promise<void> => {
      await plain.set(1, "p");
      await scoped.in("a").set(1, "a");
      await scoped.in("b").set(1, "b");
    };
    const left = async (): Promise<boolean[]> => [
      await plain.has(1),
      await scoped.in("a").has(1),
      await scoped.in("b").has(1),
    ];
    await fillAll();
    await cache.invalidate({ entity: "plain" });
    expect(await left()).toEqual([false, true, true]);
    await fillAll();
    await cache.invalidate({ entity: "scoped", scope: "a" });
    expect(await left()).toEqual([true, false, true]);
    await fillAll();
    await cache.invalidate({ entity: "scoped" });
    expect(await left()).toEqual([true, false, false]);
  });

  it("returns positions that only grow", async () => {
    const { cache } = start();
    const positions: number[] = [];
    for (const target of [{ key: "a" }, { tag: "t" }, { prefix: "p" }, { all: true }] as const)
      positions.push((await cache.invalidate(target)).position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(new Set(positions).size).toBe(4);
  });

  it("hard after soft takes what was still served stale; soft after hard brings nothing back", async () => {
    const { cache } = start({ staleIfError: "1h" });
    await cache.set("k", 1, { tags: ["t"] });
    await cache.invalidate({ tag: "t" }, { mode: "soft" });
    expect(await cache.get("k", { stale: true })).toBe(1);
    await cache.invalidate({ tag: "t" });
    await cache.invalidate({ tag: "t" }, { mode: "soft" });
    expect(await cache.get("k", { stale: true })).toBeUndefined();
  });

  it.each([
    [{ tag: "t" }, "invalidated-tag"],
    [{ tags: ["t", "u"], match: "all" } as const, "invalidated-tag"],
    [{ prefix: "k" }, "invalidated-prefix"],
    [{ pattern: "k*" }, "invalidated-pattern"],
    [{ all: true } as const, "invalidated-all"],
    [{ key: "k" }, "invalidated-key"],
  ])("%o is told as the reason of the next miss", async (target, reason) => {
    const { cache } = start();
    const reasons: string[] = [];
    cache.on("miss", (event) => reasons.push(event.reason));
    await cache.set("k", 1, { tags: ["t", "u"] });
    await cache.invalidate(target);
    expect(cache.peek("k")).toBeUndefined();
    await cache.set("k", 1, { tags: ["t", "u"] });
    await cache.invalidate(target);
    await cache.getOrLoad("k", () => 1);
    expect(reasons).toEqual([reason, reason]);
  });

  it("ten thousand keys are the most of one call, and more are refused whole", async () => {
    const { cache } = start();
    await cache.set("k0", 1);
    const keys = Array.from({ length: 10_001 }, (_, index) => `k${index}`);
    await expect(cache.invalidate({ keys })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    expect(cache.peek("k0")).toBe(1);
    expect((await cache.invalidate({ keys: keys.slice(1) })).hit).toBe(0);
  });

  it("what is older than a hundred thousand marks is forgotten: it may have been invalidated", async () => {
    const { cache } = start();
    await cache.setMany(
      [
        ["k", 1],
        ["l", 1],
      ],
      { tags: ["t0"] },
    );
    for (let call = 0; call < 11; call += 1) {
      await cache.invalidate({ tags: Array.from({ length: 10_000 }, (_, index) => `u${call * 10_000 + index}`) });
    }
    await cache.set("new", 1, { tags: ["t0"] });
    expect((await cache.explain("k")).tiers[0]).toMatchObject({ state: "dead", reason: "forgotten" });
    expect(await cache.getMany(["k", "new"])).toEqual([undefined, 1]);
    expect(cache.peek("l")).toBeUndefined();
    expect(cache.stats().total.missReasons).toEqual({ forgotten: 2 });
  });

  it("counts itself as this process's own", async () => {
    const { cache } = start();
    await cache.invalidate({ tag: "t" });
    await cache.invalidate({ all: true });
    expect(cache.stats().invalidations).toEqual({ own: 2, other: 0 });
  });
});

describe("invalidate refuses what is not exactly one of its forms, and hits nothing", () => {
  it.each([
    undefined,
    null,
    "user:1",
    5,
    {},
    { scope: "acme" },
    { all: false },
    { all: "yes" },
    { all: undefined },
    { all: true, scope: "acme" },
    { key: undefined },
    { key: "" },
    { key: {} },
    { key: "user", prefix: "user" },
    { key: "user", scope: "acme" },
    { prefix: "user", scope: "acme" },
    { keys: "user:1" },
    { keys: undefined },
    { keys: ["user", undefined] },
    { tag: undefined },
    { tag: "team:7", match: "all" },
    { tag: "team:7", scope: "" },
    { tags: "team:7" },
    { tags: ["team:7"], match: "some" },
    { tags: [], match: "some" },
    { tags: ["team:7"], all: true },
    { pattern: "*" },
    { pattern: "" },
    { prefix: "" },
    { entity: "" },
    { entity: 5 },
    { unknown: 1 },
    [{ key: "user" }, undefined],
  ])("%o", async (target) => {
    const { cache } = start();
    await fill(cache);
    await expect(cache.invalidate(target as unknown as InvalidationTarget)).rejects.toMatchObject({
      code: "ERR_CACHE_KEY",
    });
    expect(await gone(cache)).toEqual([]);
  });
});
