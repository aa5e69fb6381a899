import { createCache as createCacheManager } from "cache-manager";
import Keyv from "keyv";
import { describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { FakeClock, SharedMemory } from "../testing/index.js";
import { keyvStore } from "./keyv.js";

function caches(count: number): { clock: FakeClock; caches: readonly Cache[] } {
  const clock = new FakeClock();
  const shared = new SharedMemory({ clock });
  return {
    clock,
    caches: Array.from({ length: count }, () =>
      createCache({ name: "app", tiers: [memory(), shared.factory()], clock, ttl: "1h", jitter: 0.5 }),
    ),
  };
}

function oneCache(): Cache {
  return createCache({ tiers: [memory()] });
}

describe("a store for Keyv", () => {
  it("gives back what was set, of every kind that Keyv serializes", async () => {
    const keyv = new Keyv({ store: keyvStore(oneCache()), namespace: "app" });
    for (const value of [1, "text", null, false, { a: [1, 2] }]) {
      expect(await keyv.set("k", value)).toBe(true);
      expect(await keyv.get("k")).toEqual(value);
    }
    expect(await keyv.get("other")).toBeUndefined();
    expect(await keyv.has("k")).toBe(true);
    expect(await keyv.delete("k")).toBe(true);
    expect(await keyv.delete("k")).toBe(false);
    expect(await keyv.has("k")).toBe(false);
  });

  it("keeps values that are not serialized as they are", async () => {
    const keyv = new Keyv({ store: keyvStore(oneCache()) });
    keyv.serialize = undefined as never;
    keyv.deserialize = undefined as never;
    const when = new Date(7);
    await keyv.set("k", { when, many: new Map([[1, 2n]]) });
    expect(await keyv.get("k")).toEqual({ when, many: new Map([[1, 2n]]) });
  });

  it("reads, writes and deletes many at once", async () => {
    const keyv = new Keyv({ store: keyvStore(oneCache()), namespace: "app" });
    await keyv.setMany([
      { key: "a", value: 1 },
      { key: "b", value: 2 },
    ]);
    expect(await keyv.get(["a", "b", "c"])).toEqual([1, 2, undefined]);
    expect(await keyv.hasMany(["a", "c"])).toEqual([true, false]);
    expect(await keyv.deleteMany(["a", "b"])).toBe(true);
    expect(await keyv.get(["a", "b"])).toEqual([undefined, undefined]);
  });

  it("forgets an entry when its ttl ends, to the millisecond, whatever jitter and stale windows the cache has", async () => {
    const { clock, caches: some } = caches(1);
    const store = keyvStore(some[0] as Cache);
    await store.set("k", "v", 1_000);
    await clock.advance(999);
    expect(await store.get("k")).toBe("v");
    await clock.advance(1);
    expect(await store.get("k")).toBeUndefined();
    await some[0]?.close();
  });

  it("keeps namespaces apart, also those whose joined keys are the same text", async () => {
    const cache = oneCache();
    const short = new Keyv({ store: keyvStore(cache), namespace: "a" });
    const long = new Keyv({ store: keyvStore(cache), namespace: "a:b" });
    await short.set("b:c", "short");
    await long.set("c", "long");
    expect([await short.get("b:c"), await long.get("c")]).toEqual(["short", "long"]);
    await short.clear();
    expect([await short.get("b:c"), await long.get("c")]).toEqual([undefined, "long"]);
  });

  it("refuses to serve two Keyvs: the second's namespace would name the first one's keys", () => {
    const store = keyvStore(oneCache());
    expect(new Keyv({ store, namespace: "one" }).namespace).toBe("one");
    expect(() => new Keyv({ store, namespace: "two" })).toThrow(/one store to serve one Keyv/);
  });

  it("clears in every process, and the cache's own entries stay", async () => {
    const { clock, caches: some } = caches(2);
    const [here, there] = some.map((cache) => ({ cache, keyv: new Keyv({ store: keyvStore(cache), namespace: "n" }) }));
    await here?.keyv.set("k", 1);
    await here?.cache.set("own", 2);
    await clock.advance(10);
    expect(await there?.keyv.get("k")).toBe(1);
    await there?.keyv.clear();
    await clock.advance(10);
    expect(await here?.keyv.get("k")).toBeUndefined();
    expect(await here?.cache.get("own")).toBe(2);
    await Promise.all(some.map((cache) => cache.close()));
  });

  it("is a store of cache-manager, where wrap loads once", async () => {
    const manager = createCacheManager({ stores: [new Keyv({ store: keyvStore(oneCache()) })], ttl: 60_000 });
    let loads = 0;
    const load = (): Promise<string> => Promise.resolve(`loaded ${(loads += 1)}`);
    expect([await manager.wrap("k", load), await manager.wrap("k", load)]).toEqual(["loaded 1", "loaded 1"]);
    await manager.mset([{ key: "x", value: 1 }]);
    expect(await manager.mget(["x", "y"])).toEqual([1, undefined]);
    await manager.del("k");
    expect(await manager.get("k")).toBeUndefined();
    await manager.clear();
    expect(await manager.get("x")).toBeUndefined();
  });

  it("has Keyv tell its listeners when a write was not taken", async () => {
    const cache = oneCache();
    const keyv = new Keyv({ store: keyvStore(cache) });
    const errors: unknown[] = [];
    keyv.on("error", (error: unknown) => errors.push(error));
    await cache.close();
    expect(await keyv.set("k", 1)).toBe(false);
    expect(errors).toHaveLength(1);
  });

  it("names options that it does not know or cannot use", () => {
    const cache = oneCache();
    expect(() => keyvStore(cache, { names: "x" } as never)).toThrow(/names/);
    expect(() => keyvStore(cache, { name: "" })).toThrow(/`name`/);
    expect(() => keyvStore(cache, { ttl: -1 })).toThrow(/`ttl`/);
  });
});
