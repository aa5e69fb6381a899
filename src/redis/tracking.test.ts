import { createCluster } from "redis";
import { Cluster } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import type { NodeRedisLike } from "./client.js";
import { redis } from "./redis.js";
import { openFeed } from "./tracking.js";

describe("tracking", () => {
  it("is refused for a cluster, whose keys are on many servers", () => {
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
    onTestFinished(() => cluster.disconnect());
    for (const client of [cluster, createCluster({ rootNodes: [] })]) {
      expect(() => redis(client, { tracking: true })).toThrow(
        expect.objectContaining({
          code: "ERR_CACHE_OPTION",
          message: expect.stringContaining("`tracking`") as string,
        }) as Error,
      );
    }
  });

  it("is refused where the library does not tell what the server says", async () => {
    const feed = openFeed(tooOld(), ["c:"], {
      changed: () => undefined,
      changedAll: () => undefined,
      refused: () => undefined,
    });
    await expect(feed.standing).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
      cause: expect.objectContaining({ message: expect.stringContaining("node-redis") as string }) as unknown,
    });
  });
});

/** A client as of before there was the option: it ignores it, and so has not switched tracking on. */
function tooOld(): NodeRedisLike {
  const listeners = new Map<string, (...args: unknown[]) => void>();
  const client: NodeRedisLike = {
    isOpen: false,
    isReady: true,
    sendCommand: async (args) => (args[1] === "GETREDIR" ? -1 : "OK"),
    duplicate: () => client,
    connect: async () => listeners.get("ready")?.(),
    destroy: () => undefined,
    subscribe: async () => undefined,
    unsubscribe: async () => undefined,
    on: (event, listener) => listeners.set(event, listener),
    off: () => undefined,
  };
  return client;
}
