import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { redis } from "../../src/redis/index.js";
import { sharedTierSuite, type SharedTierServer } from "../../src/testing/index.js";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { Clients, ioRedisCluster, nodeRedisCluster, type ConnectCluster } from "./cluster-clients.js";

let cluster: RedisCluster;

// Registered first, so it comes last: after the clients are closed.
afterAll(() => cluster.stop());
beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: 0 });
});

/** One shard of three, by a client of its own for each tier, as processes have. */
function serverBy(connect: ConnectCluster): () => Promise<SharedTierServer> {
  const clients = new Clients(() => connect(cluster));
  afterAll(() => clients.close());
  return async () => {
    let opened = 0;
    const logs = async (master: RedisCluster["nodes"][number]): Promise<string[]> =>
      (await cluster.command(master, "KEYS", "*#log")) as string[];
    return {
      async open(cacheName, bounds) {
        const client = await clients.get(opened++);
        const tier = redis(client, { ...bounds, shards: 3 }).openShards(cacheName);
        const shard = tier.shards[1];
        if (shard === undefined) throw new Error("There is no shard 1");
        return { ...shard, close: () => tier.close() };
      },
      flush: async () => void (await cluster.onMasters("FLUSHALL")),
      async trimLog() {
        for (const { master } of await cluster.shards()) {
          for (const key of await logs(master)) await cluster.command(master, "XTRIM", key, "MAXLEN", 0);
        }
      },
      pass: (ms) => sleep(ms),
      close: async () => undefined,
    };
  };
}

const runner = { describe, it };
sharedTierSuite("A shard of a Redis Cluster by node-redis", serverBy(nodeRedisCluster()), runner);
sharedTierSuite(
  "A shard of a Redis Cluster by ioredis, RESP3, pipelining automatically, with a key prefix",
  serverBy(ioRedisCluster({ enableAutoPipelining: true, keyPrefix: "app:", redisOptions: { protocol: 3 } })),
  runner,
);
