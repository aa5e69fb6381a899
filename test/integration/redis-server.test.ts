import { afterEach, expect, it, onTestFinished } from "vitest";
import { Redis } from "ioredis";
import { startRedis } from "../support/redis-server.js";

const named = process.env["TIERCACHE_REDIS_SERVER"];
afterEach(() => {
  if (named === undefined) delete process.env["TIERCACHE_REDIS_SERVER"];
  else process.env["TIERCACHE_REDIS_SERVER"] = named;
});

it("says which variable is wrong when the binary it names does not run", async () => {
  process.env["TIERCACHE_REDIS_SERVER"] = "/nowhere/redis-server";
  await expect(startRedis()).rejects.toThrow("TIERCACHE_REDIS_SERVER names /nowhere/redis-server");
});

it("shows what the server said when it does not start", async () => {
  await expect(startRedis({ args: ["--no-such-option", "1"] })).rejects.toThrow(
    /Bad directive|unrecognized|no-such-option/,
  );
});

it("starts again on the same port, empty, and stops twice as once", async () => {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  client.on("error", () => undefined);
  await client.set("a", "1");
  const { pid } = server;
  await server.restart();
  expect(server.pid).not.toBe(pid);
  await expect.poll(() => client.get("a").catch(String)).toBeNull();
  await server.stop();
  await server.stop();
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
