import { createClient } from "redis";
import { Redis } from "ioredis";
import { expect, it } from "vitest";

import { createCache, memory } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { startRedis } from "../support/redis-server.js";

it.each(["node-redis", "ioredis"])(
  "with %s and a Redis that never was there, a cache serves, and closes",
  async (which) => {
    const server = await startRedis();
    const { port } = server;
    await server.stop();
    const connect = (): { client: Parameters<typeof redis>[0]; end: () => void } => {
      if (which === "ioredis") {
        const client = new Redis({ port, lazyConnect: false });
        client.on("error", () => undefined);
        return { client, end: () => client.disconnect() };
      }
      const client = createClient({ socket: { port } });
      client.on("error", () => undefined);
      client.connect().catch(() => undefined);
      return { client, end: () => client.destroy() };
    };
    const { client, end } = connect();
    const cache = createCache({
      name: "down",
      tiers: [memory(), redis(client)],
      shared: { timeout: "50ms", breakerFailures: 2 },
    });
    expect(await cache.getOrLoad("k", () => "loaded")).toBe("loaded");
    expect(cache.peek("k")).toBe("loaded");
    await expect(cache.invalidate({ key: "k" })).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(cache.peek("k")).toBeUndefined();
    await cache.close();
    end();
  },
);

it("sets and deletes more entries than one step takes", async () => {
  const server = await startRedis();
  const client = createClient({ url: server.url });
  client.on("error", () => undefined);
  await client.connect();
  const cache = createCache({ name: "many", tiers: [memory(), redis(client)] });
  const keys = Array.from({ length: 12_500 }, (_, id) => ["k", id] as const);
  await cache.setMany(keys.map((key) => [key, key[1]]));
  expect(await cache.getMany(keys)).toEqual(keys.map((key) => key[1]));
  expect(await cache.deleteMany(keys)).toBe(12_500);
  await cache.close();
  client.destroy();
  await server.stop();
});
