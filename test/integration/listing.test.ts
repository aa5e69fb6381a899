import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createCache, memory, type Cache, type TierFactory } from "../../src/index.js";
import { lmdb } from "../../src/lmdb/index.js";
import { redis } from "../../src/redis/index.js";
import { lmdbFolder } from "../support/lmdb-folder.js";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { CLUSTER_LIBRARIES, connectedCluster } from "./cluster-clients.js";
import { connected, ioRedis, nodeRedis } from "./redis-clients.js";

let server: RedisServer;
let cluster: RedisCluster;

beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedis(), startRedisCluster()]);
});
afterAll(() => Promise.all([server.stop(), cluster.stop()]));

function open(name: string, tier: TierFactory): Cache {
  const cache = createCache({ name, tiers: [memory(), tier], ttl: "1h", shared: { timeout: "5s" } });
  onTestFinished(() => cache.close());
  return cache;
}

const TIERS: readonly (readonly [string, () => Promise<TierFactory>])[] = [
  ["Redis, by node-redis", async () => redis(await connected(nodeRedis(), server.url, onTestFinished))],
  [
    "Redis, by ioredis with a key prefix",
    async () => redis(await connected(ioRedis({ keyPrefix: "a[*]?:" }), server.url, onTestFinished)),
  ],
  ...CLUSTER_LIBRARIES.map(
    ({ library, connect }) =>
      [
        `a Redis Cluster, by ${library}`,
        async () => redis(await connectedCluster(connect, cluster, onTestFinished), { shards: 4 }),
      ] as const,
  ),
  [
    "the host tier",
    async () => {
      const folder = lmdbFolder();
      onTestFinished(() => folder.remove());
      return lmdb({ path: folder.path });
    },
  ],
];

describe.each(TIERS)("listing what is stored in %s", (kind, tierOf) => {
  it("finds a cache's own entries by prefix, pattern, tag and entity, and nothing else that lies there", async () => {
    const tier = await tierOf();
    // Names that a glob, or a look at beginnings only, would take for one another.
    const name = `list?${kind.length}`;
    const cache = open(name, tier);
    const other = open(`${name}x`, tier);
    const ids = Array.from({ length: 60 }, (_, id) => id);
    await cache.setMany(
      ids.map((id) => [`user:${id}`, id] as const),
      { tags: ["users"] },
    );
    await cache.set("page:1", 1);
    await cache.namespace("inner").set("user:1", 1);
    await other.set("user:900", 1);
    const entity = cache.entity<number, number>({ name: "contact", load: async (id) => id });
    await entity.get(1);
    // Large ones have parts beside them.
    await cache.set("user:large", "x".repeat(600_000));

    const inspector = cache.inspect();
    const count = async (target: Parameters<typeof inspector.marksOf>[0]): Promise<readonly string[]> => {
      const found = await inspector.shared({ marks: inspector.marksOf(target), sample: 1_000, most: 10_000 });
      expect(found).toMatchObject({ complete: true, problem: undefined });
      expect(found.entries).toBe(found.keys.length);
      return [...found.keys].toSorted();
    };
    const users = ids.map((id) => `user:${id}`);
    expect(await count({ prefix: "user" })).toEqual([...users, "user:large"].toSorted());
    expect(await count({ prefix: "user:1" })).toEqual(["user:1"]);
    expect(await count({ pattern: "user:1*" })).toEqual(users.filter((path) => path.startsWith("user:1")).toSorted());
    expect(await count({ tag: "users" })).toEqual(users.toSorted());
    expect(await count({ entity: "contact" })).toEqual(["global:contact:1:v1"]);
    expect(await count({ keys: ["user:3", "user:901"] })).toEqual(["user:3"]);
    expect(await count({ all: true })).toEqual(
      [...users, "user:large", "page:1", "/inner:user:1", "global:contact:1:v1"].toSorted(),
    );

    // What processes show each other lies there as well, and is nobody's entry.
    expect(await inspector.pinboard.pin("admin-1", "text", { ttl: 60_000 })).toMatchObject({ state: "pinned" });
    expect(await other.inspect().pinboard.read(["admin-1"])).toEqual([undefined]);
    expect(await count({ prefix: "page" })).toEqual(["page:1"]);
    expect(await inspector.pinboard.read(["admin-1"])).toEqual(["text"]);
  });

  it("stops at its bound, and says so", async () => {
    const cache = open(`bound${kind.length}`, await tierOf());
    await cache.setMany(Array.from({ length: 1_500 }, (_, id) => [`k:${id}`, id] as const));
    const inspector = cache.inspect();
    const found = await inspector.shared({ marks: inspector.marksOf({ prefix: "k" }), sample: 5, most: 400 });
    expect(found.complete).toBe(false);
    expect(found.keys).toHaveLength(5);
    expect(found.examined).toBeLessThan(1_500);
  });
});
