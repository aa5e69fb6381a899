import { Redis } from "ioredis";
import { afterAll, beforeAll, it } from "vitest";
import { redis } from "../../src/redis/index.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { BOUNDS, expectAnswersOfModel } from "../support/tier-commands.js";
import { ioRedis, nodeRedis, type Connected } from "./redis-clients.js";

let server: RedisServer;
let admin: Redis;
let clients: Connected[];

beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
  clients = await Promise.all([nodeRedis()(server.url), ioRedis()(server.url)]);
});

afterAll(async () => {
  for (const { close } of clients) close();
  admin.disconnect();
  await server.stop();
});

it("answers every sequence of commands as the simplest implementation does", async () => {
  await expectAnswersOfModel(async () => {
    const tiers = clients.map(({ client }) => redis(client, BOUNDS).open("c"));
    return {
      tiers,
      flush: () => admin.flushall(),
      async close() {
        await Promise.all(tiers.map((tier) => tier.close()));
      },
    };
  }, 100);
}, 60_000);
