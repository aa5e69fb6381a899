import { afterAll, beforeAll, it } from "vitest";
import { memcached } from "../../src/memcached/index.js";
import { startMemcached, type MemcachedServer } from "../support/memcached-server.js";
import { BOUNDS, expectAnswersOfModel } from "../support/tier-commands.js";

let server: MemcachedServer;

beforeAll(async () => {
  server = await startMemcached();
});
afterAll(() => server.stop());

it("answers every sequence of commands as the simplest implementation does", async () => {
  await expectAnswersOfModel(async () => {
    const tiers = [0, 1].map(() => memcached({ port: server.port, ...BOUNDS }).open("c"));
    return {
      tiers,
      flush: () => server.ask("flush_all", "OK\r\n"),
      close: async () => void (await Promise.all(tiers.map((tier) => tier.close()))),
    };
  }, 150);
}, 60_000);
