import { createStorage, prefixStorage, type Driver, type Storage } from "unstorage";
import { describe, expect, it } from "vitest";
import { createCache, memory, type Cache } from "../index.js";
import { FakeClock, SharedMemory } from "../testing/index.js";
import { unstorageDriver, type UnstorageDriverOptions } from "./unstorage.js";

/** The driver as unstorage's own type, which the compiler checks. */
function storageOn(cache: Cache, options: UnstorageDriverOptions = {}): Storage {
  const driver: Driver = unstorageDriver(cache, options);
  return createStorage({ driver });
}

interface World {
  readonly clock: FakeClock;
  readonly shared: SharedMemory;
  readonly caches: readonly Cache[];
  readonly close: () => Promise<void>;
}

function world(count: number): World {
  const clock = new FakeClock();
  const shared = new SharedMemory({ clock });
  const caches = Array.from({ length: count }, () =>
    createCache({ name: "app", tiers: [memory(), shared.factory()], clock, ttl: "1h", jitter: 0.5 }),
  );
  return { clock, shared, caches, close: async () => void (await Promise.all(caches.map((cache) => cache.close()))) };
}

const oneStorage = (): Storage => storageOn(createCache({ tiers: [memory()] }));

describe("a driver for unstorage", () => {
  it("gives back what was set, of every kind that unstorage serializes", async () => {
    const storage = oneStorage();
    for (const value of ["text", 7, true, null, { a: [1, { b: 2 }] }]) {
      await storage.setItem("k", value);
      expect(await storage.getItem<unknown>("k")).toEqual(value);
    }
    expect(await storage.hasItem("k")).toBe(true);
    expect(await storage.getItem("other")).toBeNull();
    expect(await storage.getItemRaw("other")).toBeNull();
    await storage.removeItem("k");
    expect(await storage.hasItem("k")).toBe(false);
  });

  it("keeps bytes as bytes", async () => {
    const storage = oneStorage();
    const bytes = Uint8Array.from([0, 255, 10, 195]);
    await storage.setItemRaw("raw", bytes);
    expect(new Uint8Array((await storage.getItemRaw("raw")) as Uint8Array)).toEqual(bytes);
  });

  it("reads and writes many at once", async () => {
    const storage = oneStorage();
    await storage.setItems([
      { key: "a", value: "1st" },
      { key: "b:c", value: "2nd" },
    ]);
    expect(await storage.getItems(["a", "b:c", "none"])).toEqual([
      { key: "a", value: "1st" },
      { key: "b:c", value: "2nd" },
      { key: "none", value: null },
    ]);
  });

  it("takes an item's ttl in seconds, and its own in milliseconds, to the millisecond", async () => {
    const { clock, caches, close } = world(1);
    const storage = storageOn(caches[0] as Cache, { ttl: "5s" });
    await storage.setItem("one", 1, { ttl: 1 });
    await storage.setItem("default", 2);
    await clock.advance(999);
    expect(await storage.getItem("one")).toBe(1);
    await clock.advance(1);
    expect(await storage.getItem("one")).toBeNull();
    await clock.advance(3_999);
    expect(await storage.getItem("default")).toBe(2);
    await clock.advance(1);
    expect(await storage.getItem("default")).toBeNull();
    await expect(storage.setItem("k", 1, { ttl: -1 })).rejects.toThrow(/`ttl`/);
    await close();
  });

  it("tells when an item was stored and the seconds it has left", async () => {
    const { clock, caches, close } = world(1);
    const storage = storageOn(caches[0] as Cache, { clock });
    await storage.setItem("k", 1, { ttl: 60 });
    const stored = clock.wall();
    await clock.advance(20_000);
    expect(await storage.getMeta("k", { nativeOnly: true })).toEqual({ mtime: new Date(stored), ttl: 40 });
    expect(await storage.getMeta("none", { nativeOnly: true })).toEqual({});
    await close();
  });

  it.each(["memory alone", "a shared tier"])(
    "lists what is there, with %s, and nothing that was cleared",
    async (tiers) => {
      const { clock, caches, close } = world(2);
      const cache = tiers === "memory alone" ? createCache({ tiers: [memory()], clock }) : (caches[0] as Cache);
      const inside = cache.namespace("site");
      const driver = unstorageDriver(inside);
      const storage = createStorage({ driver: driver as Driver });
      await cache.set(["unstorage", "foreign"], 1);
      const keys = ["posts:1", "posts:2", "users:true", "users:42", "users:emoji 😀 (x)=%41,y", "users:'quoted"];
      for (const key of keys) await storage.setItem(key, 1);
      expect((await storage.getKeys()).sort()).toEqual([...keys].sort());
      expect((await storage.getKeys("posts")).sort()).toEqual(["posts:1", "posts:2"]);
      expect(await prefixStorage(storage, "posts").getKeys()).toEqual(expect.arrayContaining(["1", "2"]));
      // unstorage clears the mounts below a base, and so nothing here: only the driver clears what begins with it.
      await storage.clear("posts");
      expect(await storage.getItem("posts:1")).toBe(1);
      await driver.clear("posts");
      await clock.advance(10);
      expect(await storage.getItem("posts:1")).toBeNull();
      expect((await storage.getKeys()).length).toBe(4);
      expect(await cache.get(["unstorage", "foreign"])).toBe(1);
      await storage.clear();
      expect(await storage.getKeys()).toEqual([]);
      await cache.close();
      await close();
    },
  );

  it.each(["memory alone", "a shared tier"])("refuses to list a part, with %s", async (tiers) => {
    const { caches, close } = world(1);
    const cache = tiers === "memory alone" ? createCache({ tiers: [memory()] }) : (caches[0] as Cache);
    const storage = storageOn(cache, { maxKeys: 3 });
    for (const key of ["a", "b", "c"]) await storage.setItem(key, 1);
    expect((await storage.getKeys()).sort()).toEqual(["a", "b", "c"]);
    await storage.setItem("d", 1);
    await expect(storage.getKeys()).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await cache.close();
    await close();
  });

  it("hears what other processes set and remove", async () => {
    const { clock, caches, close } = world(2);
    const [here, there] = caches.map((cache) => storageOn(cache));
    const told: string[] = [];
    const stop = await (here as Storage).watch((event, key) => told.push(`${event} ${key}`));
    await there?.setItem("a:1", 1);
    await clock.advance(10);
    await there?.removeItem("a:1");
    await clock.advance(10);
    await here?.setItem("a:2", 2);
    await here?.removeItem("a:2");
    await clock.advance(10);
    expect(told).toEqual(["update a:1", "remove a:1", "update a:2", "remove a:2"]);
    await stop();
    await there?.setItem("a:3", 3);
    await clock.advance(10);
    expect(told).toHaveLength(4);
    await close();
  });

  it("has unstorage's trap: slashes and colons are one key, and what follows a question mark is dropped", async () => {
    const cache = createCache({ tiers: [memory()] });
    const storage = storageOn(cache);
    await storage.setItem("page?user=1", "for 1");
    expect(await storage.getItem<string>("page?user=2")).toBe("for 1");
    await storage.setItem("a/b", "slash");
    expect(await storage.getItem("a:b")).toBe("slash");
    // The cache itself has none of it.
    expect(await cache.get(["unstorage", "a/b"])).toBeUndefined();
    expect(await cache.get(["unstorage", "a", "b"])).toBe("slash");
  });

  it("keeps mounts apart that have a name each", async () => {
    const cache = createCache({ tiers: [memory()] });
    const storage = createStorage({ driver: unstorageDriver(cache) as Driver });
    storage.mount("other", unstorageDriver(cache, { name: "other" }) as Driver);
    await storage.setItem("other:k", 1);
    expect(await storage.getKeys()).toEqual(["other:k"]);
    expect(await cache.get(["other", "k"])).toBe("1");
    await storage.clear("other");
    expect(await storage.getItem("other:k")).toBeNull();
  });

  it("names options that it does not know or cannot use", () => {
    const cache = createCache();
    expect(() => unstorageDriver(cache, { base: "x" } as never)).toThrow(/base/);
    expect(() => unstorageDriver(cache, { name: "" })).toThrow(/`name`/);
    expect(() => unstorageDriver(cache, { ttl: 0 })).toThrow(/`ttl`/);
    expect(() => unstorageDriver(cache, { maxKeys: 0 })).toThrow(/`maxKeys`/);
  });
});
