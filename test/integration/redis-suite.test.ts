import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { redis } from "../../src/redis/index.js";
import { sharedTierSuite, type SharedTierServer } from "../../src/testing/index.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { ioRedis, nodeRedis, type Connect, type Connected } from "./redis-clients.js";

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** Gives each tier a client of its own, as processes have. */
function serverBy(connect: Connect): () => Promise<SharedTierServer> {
  return async () => {
    const clients: Connected[] = [];
    const admin = createClient({ url: server.url });
    await admin.connect();
    return {
      async open(cacheName, bounds) {
        const connected = await connect(server.url);
        clients.push(connected);
        return redis(connected.client, bounds).open(cacheName);
      },
      flush: async () => void (await admin.flushAll()),
      async trimLog() {
        for (const key of await admin.keys("*#log")) await admin.xTrim(key, "MAXLEN", 0);
      },
      pass: (ms) => sleep(ms),
      async close() {
        for (const { close } of clients) close();
        admin.destroy();
      },
    };
  };
}

const runner = { describe, it };
sharedTierSuite("Redis by node-redis", serverBy(nodeRedis()), runner);
sharedTierSuite(
  "Redis by node-redis, RESP2, with a key prefix",
  serverBy(nodeRedis({ RESP: 2, keyPrefix: "app:" })),
  runner,
);
sharedTierSuite("Redis by ioredis", serverBy(ioRedis()), runner);
sharedTierSuite(
  "Redis by ioredis, RESP3, pipelining automatically, with a key prefix",
  serverBy(ioRedis({ protocol: 3, enableAutoPipelining: true, keyPrefix: "app:" })),
  runner,
);
