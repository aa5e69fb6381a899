import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { redis, REDIS_DEFAULTS, type RedisLike, type RedisOptions } from "./index.js";

// None of these connects: they are only looked at.
const client = createClient();

function refusal(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("redis()", () => {
  it("takes clients of both libraries, connected or not", () => {
    const lazy = new Redis({ lazyConnect: true });
    for (const given of [client, createClient({ RESP: 2 }), lazy]) expect(redis(given).kind).toBe("redis");
    expect(redis(client, { subscriber: lazy }).open("c").kind).toBe("redis");
    expect(lazy.status).toBe("wait");
    expect(client.isOpen).toBe(false);
  });

  it("refuses anything else, for the client and the subscriber", () => {
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
    onTestFinished(() => cluster.disconnect());
    const others: unknown[] = [
      undefined,
      null,
      "redis://127.0.0.1:6379",
      {},
      () => undefined,
      cluster,
      createCluster({ rootNodes: [] }),
      createClientPool(),
      createSentinel({ name: "main", sentinelRootNodes: [{ host: "127.0.0.1", port: 1 }] }),
    ];
    for (const other of others) {
      const given = other as RedisLike;
      expect(refusal(() => redis(given))).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining("`client`") as string,
      });
      if (other === undefined) continue;
      expect(refusal(() => redis(client, { subscriber: given }))).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining("`subscriber`") as string,
      });
    }
  });

  it.each([
    ["logLength", 0],
    ["logLength", 1.5],
    ["logLength", Number.NaN],
    ["maxMarks", 0],
    ["maxMarks", Infinity],
    ["maxRules", -1],
    ["maxRules", "7"],
    ["entryRetention", 0],
    ["entryRetention", "0s"],
    ["entryRetention", "soon"],
    ["entryRetention", "11y"],
  ] as [keyof RedisOptions, number | string][])("refuses %s of %s", (option, value) => {
    expect(refusal(() => redis(client, { [option]: value }))).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`\`${option}\``) as string,
    });
  });

  it("takes what is undefined for not given", () => {
    const options = Object.fromEntries(Object.keys(REDIS_DEFAULTS).map((name) => [name, undefined]));
    expect(redis(client, { ...options, subscriber: undefined }).kind).toBe("redis");
  });
});
