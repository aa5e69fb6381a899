import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { redis, REDIS_DEFAULTS, type RedisLike, type RedisOptions } from "./index.js";

// None of these connects: they are only looked at.
const client = createClient();
const sentinels = { name: "main", sentinelRootNodes: [{ host: "127.0.0.1", port: 1 }] };

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

  it("takes those of several servers as well, connected or not", () => {
    const lazy = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
    onTestFinished(() => lazy.disconnect());
    for (const given of [lazy, createCluster({ rootNodes: [] }), createCluster({ rootNodes: [], RESP: 2 })]) {
      expect(redis(given).openShards("c").shards).toHaveLength(16);
    }
    expect(redis(createSentinel(sentinels)).open("c").kind).toBe("redis");
    expect(lazy.status).toBe("wait");
  });

  it("refuses anything else, for the client and the subscriber", () => {
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true });
    onTestFinished(() => cluster.disconnect());
    const never: unknown[] = [undefined, null, "redis://127.0.0.1:6379", {}, () => undefined, createClientPool()];
    for (const other of never) {
      expect(refusal(() => redis(other as RedisLike))).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining("`client`") as string,
      });
    }
    for (const other of [...never, cluster, createCluster({ rootNodes: [] }), createSentinel(sentinels)]) {
      if (other === undefined) continue;
      expect(refusal(() => redis(client, { subscriber: other as RedisLike }))).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining("`subscriber`") as string,
      });
    }
  });

  it("refuses clients that read from replicas", () => {
    const replica = new Redis({
      sentinels: [{ host: "127.0.0.1", port: 1 }],
      name: "main",
      role: "slave",
      lazyConnect: true,
    });
    expect(refusal(() => redis(replica))).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining("`role`") as string,
    });
    for (const scaleReads of ["slave", "all", () => replica] as const) {
      const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true, scaleReads });
      onTestFinished(() => cluster.disconnect());
      expect(refusal(() => redis(cluster))).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining("`scaleReads`") as string,
      });
    }
  });

  it("refuses options that would be without effect", () => {
    const cluster = createCluster({ rootNodes: [] });
    const refused: [string, () => unknown][] = [
      ["shards", () => redis(client, { shards: 16 })],
      ["shards", () => redis(createSentinel(sentinels), { shards: 16 })],
      ["subscriber", () => redis(cluster, { subscriber: client })],
      ["largeClient", () => redis(cluster, { largeClient: client })],
      ["tracking", () => redis(cluster, { tracking: true })],
      ["subscriber", () => redis(createSentinel(sentinels), { subscriber: client })],
      ["largeClient", () => redis(createSentinel(sentinels), { largeClient: client })],
    ];
    for (const [option, run] of refused) {
      expect(refusal(run)).toMatchObject({
        code: "ERR_CACHE_OPTION",
        message: expect.stringContaining(`\`${option}\``) as string,
      });
    }
    expect(redis(cluster, { tracking: false }).kind).toBe("redis");
  });

  it.each([0, 1.5, -1, 1_025, Number.NaN, "4"])("refuses shards of %s", (shards) => {
    expect(refusal(() => redis(createCluster({ rootNodes: [] }), { shards: shards as number }))).toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`got \`${shards}\``) as string,
    });
  });

  it("refuses a key prefix that would choose the slots", () => {
    for (const keyPrefix of ["{app}:", "a{", "{}"]) {
      const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true, keyPrefix });
      onTestFinished(() => cluster.disconnect());
      for (const given of [cluster, createCluster({ rootNodes: [], keyPrefix })]) {
        expect(refusal(() => redis(given))).toMatchObject({
          code: "ERR_CACHE_OPTION",
          message: expect.stringContaining("`keyPrefix`") as string,
        });
      }
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
