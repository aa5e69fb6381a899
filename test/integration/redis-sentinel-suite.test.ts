import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { redis, type NodeRedisSentinelLike, type RedisLike } from "../../src/redis/index.js";
import { sharedTierSuite, type SharedTierServer } from "../../src/testing/index.js";
import type { SharedTierFactory } from "../../src/tiers/shared.js";
import { startRedisSentinels, type RedisSentinels } from "../support/redis-sentinel.js";
import { Clients, ioRedisSentinel, nodeRedisSentinel, type ConnectedSentinel } from "./cluster-clients.js";

let sentinels: RedisSentinels;

// Registered first, so it comes last: after the clients are closed.
afterAll(() => sentinels.stop());
beforeAll(async () => {
  sentinels = await startRedisSentinels();
});

type Connect = (sentinels: RedisSentinels) => Promise<ConnectedSentinel<RedisLike | NodeRedisSentinelLike>>;

/** Gives each tier a client of its own, as processes have. */
function serverBy(connect: Connect): () => Promise<SharedTierServer> {
  const clients = new Clients(() => connect(sentinels));
  afterAll(() => clients.close());
  return async () => {
    let opened = 0;
    const admin = new Redis((await sentinels.master()).url);
    return {
      async open(cacheName, bounds) {
        const tier: SharedTierFactory = redis(await clients.get(opened++), bounds);
        return tier.open(cacheName);
      },
      flush: async () => void (await admin.flushall()),
      async trimLog() {
        for (const key of await admin.keys("*#log")) await admin.xtrim(key, "MAXLEN", 0);
      },
      pass: (ms) => sleep(ms),
      close: async () => admin.disconnect(),
    };
  };
}

const runner = { describe, it };
sharedTierSuite(
  "The master behind sentinels by node-redis, with a key prefix",
  serverBy((to) => nodeRedisSentinel(to, { keyPrefix: "app:" })),
  runner,
);
sharedTierSuite("The master behind sentinels by ioredis", serverBy(ioRedisSentinel), runner);
