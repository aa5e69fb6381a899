import { describe, expect, it, onTestFinished } from "vitest";

import type { CacheEvent } from "../src/index.js";
import type { CacheOptions } from "../src/options.js";
import { deferred } from "./support/deferred.js";
import { shardedProcesses, type ShardedProcesses } from "./support/sharded-processes.js";

const SHARDS = 3;

async function sharded(count: number, options: CacheOptions = {}): Promise<ShardedProcesses> {
  const world = await shardedProcesses(count, SHARDS, options);
  onTestFinished(world.close);
  return world;
}

function first<T>(items: readonly T[]): T {
  return items[0] as T;
}

describe("a shared tier of several shards", () => {
  it("keeps each key on a shard of its own and reads many in their order", async () => {
    const { caches, keys, connections } = await sharded(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.setMany(keys.map((key) => [key, `value of ${key}`] as const));
    expect(await b.getMany(keys)).toEqual(keys.map((key) => `value of ${key}`));
    // One read each: neighbours on different shards do not wait for one another.
    for (const [shard] of keys.entries()) expect(connections[1]?.shard(shard).calls.read).toBe(1);
  });

  it("tells every shard of a tag, and waits for all of them", async () => {
    const { caches, keys, settle } = await sharded(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    for (const key of keys) await a.set(key, 1, { tags: ["team"] });
    expect(await b.getMany(keys)).toEqual([1, 1, 1]);
    await a.invalidate({ tag: "team" });
    await settle();
    for (const key of keys) {
      expect(b.peek(key)).toBeUndefined();
      expect(await b.get(key)).toBeUndefined();
    }
  });

  it("counts the keys that an invalidation hit on all of them", async () => {
    const { caches, keys } = await sharded(1);
    const a = first(caches);
    await a.setMany(keys.map((key) => [key, 1] as const));
    expect((await a.invalidate({ keys: [...keys, "none"] })).hit).toBe(keys.length);
    expect(await a.deleteMany(keys)).toBe(0);
  });

  it("makes one load of a key whatever its shard", async () => {
    const { caches, keys, settle } = await sharded(3);
    for (const key of keys) {
      let loads = 0;
      const source = deferred<number>();
      const reads = caches.map((cache) =>
        cache.getOrLoad(key, () => {
          loads += 1;
          return source.promise;
        }),
      );
      await settle();
      source.resolve(7);
      expect(await Promise.all(reads)).toEqual([7, 7, 7]);
      expect(loads).toBe(1);
    }
  });

  it("goes on with the other shards when one is away", async () => {
    const { caches, keys, connections } = await sharded(2, { shared: { breakerFailures: 1 } });
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const events: CacheEvent[] = [];
    b.on("tier-down", (event) => events.push(event));
    await a.setMany(keys.map((key) => [key, "stored"] as const));
    connections[1]?.shard(1).fail();
    const loaded = await Promise.all(keys.map((key) => b.getOrLoad(key, () => "loaded")));
    expect(loaded).toEqual(["stored", "loaded", "stored"]);
    expect(events).toEqual([{ type: "tier-down", shard: 1 }]);
    expect(b.stats().shared).toMatchObject({ up: false, shards: [{ up: true }, { up: false }, { up: true }] });
  });

  it("rejects an invalidation that one shard did not take, and brings it there when that is back", async () => {
    const { caches, keys, connections, clock, settle } = await sharded(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    for (const key of keys) await a.set(key, "old", { tags: ["team"] });
    await b.getMany(keys);
    connections[0]?.shard(2).fail();
    await expect(a.invalidate({ tag: "team" })).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(a.stats().shared).toMatchObject({ unsent: 1, shards: [{ unsent: 0 }, { unsent: 0 }, { unsent: 1 }] });
    await settle();
    expect(keys.map((key) => b.peek(key))).toEqual([undefined, undefined, "old"]);
    connections[0]?.heal();
    await clock.advance(2_000);
    expect(a.stats().shared?.unsent).toBe(0);
    expect(await b.getMany(keys)).toEqual([undefined, undefined, undefined]);
  });

  it("doubts only what the shard held whose log was lost", async () => {
    const { caches, keys, connections, server, clock } = await sharded(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.setMany(keys.map((key) => [key, 1] as const));
    await b.getMany(keys);
    connections[1]?.shard(0).dropPushes(true);
    await a.set("unrelated", 1);
    await a.invalidate({ tag: "nobody" });
    server.trimLog(0, 0);
    await clock.advance(600);
    expect(b.stats().shared?.gaps).toBe(1);
    expect(keys.map((key) => b.peek(key))).toEqual([undefined, 1, 1]);
    // Compared with the tier it is good again, without a load.
    expect(await b.get(first(keys))).toBe(1);
    expect(b.peek(first(keys))).toBe(1);
  });

  it("writes through, refreshes and locks on the key's shard", async () => {
    const { caches, keys, settle } = await sharded(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    for (const key of keys) {
      await a.writeThrough(key, async () => "written");
      expect(await b.get(key)).toBe("written");
      expect(await a.refresh(key, () => "anew")).toBe("anew");
      await settle();
      expect(await b.get(key)).toBe("anew");
      const lock = await a.lock(key);
      await expect(b.lock(key, { wait: 0 })).rejects.toMatchObject({ code: "ERR_CACHE_LOCK" });
      await lock.release();
      expect((await b.lock(key)).fence).toBeGreaterThan(lock.fence);
    }
  });
});
