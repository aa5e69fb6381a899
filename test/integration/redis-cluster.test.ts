import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createCache, memory, type Cache } from "../../src/index.js";
import { redis, type RedisClusterLike } from "../../src/redis/index.js";
import { shardTags, slotOf } from "../../src/redis/slots.js";
import { keyMarks, entry } from "../../src/testing/suite/session.js";
import type { LogSignal, ShardedTier, SharedTier } from "../../src/tiers/shared.js";
import { startRedisCluster, type ClusterNode, type RedisCluster } from "../support/redis-cluster.js";
import {
  CLUSTER_LIBRARIES,
  connectedCluster,
  ioRedisCluster,
  nodeRedisCluster,
  type ConnectCluster,
} from "./cluster-clients.js";
import { eventually } from "./redis-clients.js";

const HOUR = 3_600_000;
const SHARDS = 6;

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => void (await cluster.onMasters("FLUSHALL")));

async function open(connect: ConnectCluster, shards: number = SHARDS, name = "c"): Promise<ShardedTier> {
  return openBy(await connectedCluster(connect, cluster, onTestFinished), shards, name);
}

function openBy(client: RedisClusterLike, shards: number = SHARDS, name = "c"): ShardedTier {
  const tier = redis(client, { shards }).openShards(name);
  onTestFinished(() => tier.close());
  return tier;
}

/** A key on each shard, in their order. */
function keyOn(tier: ShardedTier, shard: number, name = "user"): string {
  for (let i = 0; ; i++) if (tier.shardOf(`${name}:${i}`) === shard) return `${name}:${i}`;
}

function slotOfShard(shard: number): number {
  return slotOf(`{${shardTags(SHARDS)[shard]}}`);
}

/** What every shard's subscription hears. */
async function hearAll(tier: ShardedTier): Promise<LogSignal[][]> {
  return Promise.all(
    tier.shards.map(async (shard) => {
      const heard: LogSignal[] = [];
      await shard.log.subscribe((signal) => heard.push(signal));
      return heard;
    }),
  );
}

function typesOf(heard: readonly LogSignal[]): string[] {
  return heard.map(({ type }) => type);
}

/** When it stood and when not. */
function changesOf(heard: readonly LogSignal[] = []): string[] {
  return typesOf(heard).filter((type) => type === "up" || type === "down");
}

async function keysAt(node: ClusterNode): Promise<string[]> {
  return ((await cluster.command(node, "KEYS", "*")) as string[]).sort();
}

/** Does everything a tier does, once, on one shard. */
async function expectAllToWork(shard: SharedTier, key: string): Promise<void> {
  await shard.store.put([{ key, value: entry(1, "a"), ttl: HOUR }], "me");
  const lease = await shard.leases.acquire(key, { token: "t", ttl: HOUR, takeOver: true });
  expect(lease.state).toBe("won");
  expect(await shard.leases.renew(key, "t", HOUR)).toBe(true);
  expect(await shard.leases.fill(key, "t", entry(2, "b"), HOUR)).toBe(true);
  await shard.store.invalidate(
    [
      { kind: "tag", tag: "x" },
      { kind: "pattern", pattern: "y*" },
    ],
    true,
    "me",
  );
  expect(await shard.store.rules()).toHaveLength(1);
  expect((await shard.store.read([key])).values).toHaveLength(1);
  expect((await shard.log.since(0, 10)).head.position).toBeGreaterThan(0);
}

describe.each(CLUSTER_LIBRARIES)("the shards of a cluster by $library", ({ connect }) => {
  it("lie in one slot each, spread over the masters", async () => {
    const tier = await open(connect, 16);
    for (const [shard, one] of tier.shards.entries()) await expectAllToWork(one, keyOn(tier, shard));
    const slots = new Map<string, Set<number>>();
    const perMaster: number[] = [];
    for (const { master } of await cluster.shards()) {
      const tags = new Set<string>();
      for (const key of await keysAt(master)) {
        if (key === "c#shards") continue;
        const tag = /^c\{(\d+\/16\.\w{3})\}[#:]/.exec(key)?.[1] ?? "";
        expect(tag, key).not.toBe("");
        tags.add(tag);
        slots.set(tag, (slots.get(tag) ?? new Set()).add(slotOf(key)));
      }
      perMaster.push(tags.size);
    }
    expect([...slots.values()].map(({ size }) => size)).toEqual(Array.from({ length: 16 }, () => 1));
    expect(perMaster.sort((one, other) => one - other)).toEqual([5, 5, 6]);
  });

  it("know nothing of one another", async () => {
    const tier = await open(connect);
    const [first, second] = [tier.shards[0], tier.shards[1]] as [SharedTier, SharedTier];
    const heard = await hearAll(tier);
    const before = await second.log.head();
    await first.store.put([{ key: "a", value: entry(1), ttl: HOUR }], "me");
    await eventually(() => expect(typesOf(heard[0] ?? [])).toEqual(["up", "record"]));
    expect(await second.log.head()).toEqual(before);
    expect((await second.store.read(["a"])).values).toEqual([undefined]);
    expect(typesOf(heard[1] ?? [])).toEqual(["up"]);
  });

  it("use a script that only some of the masters have", async () => {
    const tier = await open(connect);
    for (const shard of tier.shards) await shard.log.head();
    await cluster.command(await cluster.masterOf(slotOfShard(3)), "SCRIPT", "FLUSH");
    for (const [i, shard] of tier.shards.entries()) await expectAllToWork(shard, keyOn(tier, i));
  });

  it("share one subscriber's connection to each master, closed with the tier; the client stays as it was", async () => {
    const client = await connectedCluster(connect, cluster, onTestFinished);
    const subscribers = async (): Promise<number> => {
      const lists = await cluster.onMasters("CLIENT", "LIST", "TYPE", "PUBSUB");
      return lists.flatMap((list) => String(list).trim().split("\n")).filter(Boolean).length;
    };
    const mine = await subscribers();
    const tier = redis(client, { shards: 16 }).openShards("c");
    await hearAll(tier);
    expect(await subscribers()).toBe(mine + 3);
    await tier.close();
    await eventually(async () => expect(await subscribers()).toBe(mine));
    expect((await (tier.shards[0] as SharedTier).log.head()).position).toBeGreaterThan(0);
  });

  it("are refused to a process that counts others, in every call", async () => {
    const tier = await open(connect, 6);
    const [first] = tier.shards as [SharedTier];
    await first.log.head();
    const other = await open(connect, 7);
    const [refused] = other.shards as [SharedTier];
    const misuse = {
      code: "ERR_CACHE_OPTION",
      message: expect.stringMatching(/to be 6.*got `7`.*"c#shards"/) as string,
    };
    for (let i = 0; i < 2; i++) {
      await expect(refused.log.head()).rejects.toMatchObject(misuse);
      await expect(refused.store.read(["a"])).rejects.toMatchObject(misuse);
      await expect(refused.log.subscribe(() => undefined)).rejects.toMatchObject(misuse);
    }
    await expectAllToWork(first, "a");
    // One that counts the same, and another cache, are welcome.
    await expectAllToWork((await open(connect, 6)).shards[2] as SharedTier, "a");
    await expectAllToWork((await open(connect, 7, "d")).shards[2] as SharedTier, "a");
    expect((await Promise.all((await cluster.shards()).map(({ master }) => keysAt(master)))).flat().join()).not.toMatch(
      /c\{\d\/7/,
    );
  });
});

describe("a cluster client that reads from replicas", () => {
  it("reads from masters here all the same: node-redis", async () => {
    const tier = await open(nodeRedisCluster({ useReplicas: true }));
    const replicas = (await cluster.shards()).flatMap((shard) => shard.replicas);
    for (const replica of replicas) await cluster.command(replica, "CONFIG", "RESETSTAT");
    for (const [shard, one] of tier.shards.entries()) await expectAllToWork(one, keyOn(tier, shard));
    for (const replica of replicas) {
      expect(String(await cluster.command(replica, "INFO", "commandstats"))).not.toContain("cmdstat_mget");
    }
  });
});

describe.each(CLUSTER_LIBRARIES)("a slot that moves by $library", ({ connect }) => {
  it("takes its shard along: nothing acknowledged is lost, and what it misses for a while it says", async () => {
    const [writer, reader] = [await open(connect), await open(connect)];
    const shard = writer.shards[1] as SharedTier;
    const other = reader.shards[1] as SharedTier;
    const keys = Array.from({ length: 2_000 }, (_, i) => `user:${i}`).filter((key) => writer.shardOf(key) === 1);
    await shard.store.put(
      keys.map((key) => ({ key, value: entry(1, key), ttl: HOUR })),
      "me",
    );
    const heard = await hearAll(reader);
    const { position } = await shard.log.head();

    const slot = slotOfShard(1);
    const from = await cluster.masterOf(slot);
    const to = await cluster.masterOf(slotOfShard(5));
    onTestFinished(() => cluster.moveSlots([slot], from));

    const tried = new Set<string>();
    const acknowledged = new Set<string>();
    const errors: string[] = [];
    const work = { over: false };
    const waiting = keys.slice(100);
    const invalidating = async (): Promise<void> => {
      for (let key = waiting.pop(); key !== undefined && !work.over; key = waiting.pop()) {
        tried.add(key);
        await shard.store.invalidate(keyMarks(key), false, "me").then(
          () => acknowledged.add(key),
          (error: unknown) => errors.push(String(error)),
        );
        await sleep(2);
      }
    };
    const reading = async (): Promise<void> => {
      for (let i = 0; !work.over; i++) {
        const key = keys[i % keys.length] as string;
        const [gone, there] = [acknowledged.has(key), !tried.has(key)];
        await other.store.read([key]).then(
          ({ values: [value] }) => {
            if (gone) expect(value).toBeUndefined();
            if (there && !tried.has(key)) expect(value).toBeDefined();
          },
          (error: unknown) => errors.push(String(error)),
        );
      }
    };
    const filled = new Map<string, Uint8Array>();
    const filling = async (): Promise<void> => {
      for (let i = 0; !work.over; i++) {
        const key = keyOn(writer, 1, `fill-${i}`);
        try {
          const { state } = await shard.leases.acquire(key, { token: "t", ttl: HOUR });
          if (state !== "won") continue;
          if (await shard.leases.fill(key, "t", entry(i, key), HOUR)) filled.set(key, entry(i, key));
        } catch (error) {
          errors.push(String(error));
        }
        await sleep(2);
      }
    };
    const working = Promise.all([invalidating(), invalidating(), reading(), reading(), filling()]);
    await eventually(() => expect(acknowledged.size).toBeGreaterThan(10));
    await cluster.moveSlots([slot], to, { batch: 5, during: () => sleep(2) });
    const then = acknowledged.size;
    await eventually(() => expect(acknowledged.size).toBeGreaterThan(then + 10));
    work.over = true;
    await working;

    // Only such errors as come of a slot whose keys are on two servers.
    for (const error of errors) expect(error).toMatch(/TRYAGAIN|non local key|Too many Cluster redirections/);
    const { records } = await shard.log.since(position, 10_000);
    expect(records?.length).toBeGreaterThanOrEqual(acknowledged.size);
    for (const key of keys) {
      const [value] = (await other.store.read([key])).values;
      if (acknowledged.has(key)) expect(value).toBeUndefined();
      if (!tried.has(key)) expect(value).toEqual(Buffer.from(entry(1, key)));
    }
    for (const [key, value] of filled) expect((await other.store.read([key])).values).toEqual([Buffer.from(value)]);
    // The subscription went along as well, and said so.
    await eventually(() => expect(changesOf(heard[1])).toEqual(["up", "down", "up"]));
    expect(changesOf(heard[5])).toEqual(["up"]);
    await expectAllToWork(shard, keys[0] as string);
    await eventually(() => expect(heard[1]?.at(-1)?.type).toMatch(/record|settled/));
    expect(typesOf(heard[1] ?? []).at(-1)).not.toBe("down");
  });
});

describe.each(CLUSTER_LIBRARIES)("a master that is lost by $library", ({ connect }) => {
  it("is replaced by its replica: calls work again, and the subscription stands again", async () => {
    const tier = await open(connect);
    const heard = await hearAll(tier);
    for (const [i, shard] of tier.shards.entries()) await expectAllToWork(shard, keyOn(tier, i));
    const master = await cluster.masterOf(slotOfShard(0));
    const lost = new Set<number>();
    const survived = new Set<number>();
    for (let i = 0; i < SHARDS; i++) ((await cluster.masterOf(slotOfShard(i))) === master ? lost : survived).add(i);
    expect([lost.size, survived.size]).toEqual([2, 4]);

    onTestFinished(() => cluster.rejoin(master));
    await Promise.all([
      cluster.failover(master),
      // The others go on meanwhile.
      ...[...survived].map((i) => expectAllToWork(tier.shards[i] as SharedTier, keyOn(tier, i))),
    ]);
    await eventually(async () => {
      for (const i of lost) await (tier.shards[i] as SharedTier).log.head();
    });
    await eventually(() => {
      for (const i of lost) {
        const changes = changesOf(heard[i]);
        expect([changes[0], changes[1], changes.at(-1)]).toEqual(["up", "down", "up"]);
      }
    });
    for (const i of survived) expect(typesOf(heard[i] ?? [])).not.toContain("down");
    for (const i of lost) {
      const before = heard[i]?.length ?? 0;
      await (tier.shards[i] as SharedTier).store.invalidate(keyMarks("a"), false, "me");
      await eventually(() => expect(typesOf(heard[i]?.slice(before) ?? [])).toEqual(["record"]));
    }
  });
});

describe("caches on a cluster", () => {
  it("are coherent, whichever library each uses, also after a master was lost", async () => {
    const clients = await Promise.all(
      CLUSTER_LIBRARIES.map(({ connect }) => connectedCluster(connect, cluster, onTestFinished)),
    );
    const [a, b] = clients.map((client) => {
      const cache = createCache({ name: "app", tiers: [memory(), redis(client, { shards: SHARDS })] });
      onTestFinished(() => cache.close());
      return cache;
    }) as [Cache, Cache];
    const keys = Array.from({ length: 60 }, (_, i) => `user:${i}`);
    const exchange = async (value: string): Promise<void> => {
      // A write whose shard could not be asked where its log stands is acknowledged, and believed by nobody.
      await eventually(async () => {
        for (const key of keys) await a.set(key, value, { tags: ["users"] });
        expect(await b.getMany(keys)).toEqual(keys.map(() => value));
      });
      await eventually(() => a.invalidate({ tag: "users" }).then(() => undefined));
      await eventually(() => expect(keys.map((key) => b.peek(key))).toEqual(keys.map(() => undefined)));
      expect(await b.getMany(keys)).toEqual(keys.map(() => undefined));
      await eventually(async () => {
        expect(await b.getOrLoad("user:1", () => `${value} loaded`)).toBe(`${value} loaded`);
        expect(await a.get("user:1")).toBe(`${value} loaded`);
      });
    };
    await exchange("before");
    const master = await cluster.masterOf(slotOfShard(0));
    onTestFinished(() => cluster.rejoin(master));
    await cluster.failover(master);
    // The outage is none of the callers'.
    expect(await Promise.all(keys.map((key) => b.getOrLoad(key, () => "meanwhile")))).toHaveLength(60);
    await exchange("after");
  });
});

describe("a cluster client that was never connected", () => {
  it("is not connected by us: node-redis refuses commands and subscriptions", async () => {
    const { client, close } = await nodeRedisCluster()(cluster);
    close();
    const [shard] = openBy(client).shards as [SharedTier];
    await expect(shard.store.read(["a"])).rejects.toBeInstanceOf(Error);
    await expect(shard.log.subscribe(() => undefined)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
  });

  it("connects by itself with the first command: ioredis, lazily", async () => {
    const client = await connectedCluster(ioRedisCluster(), cluster, onTestFinished);
    const lazy = (client as Cluster).duplicate([], { lazyConnect: true });
    onTestFinished(() => lazy.disconnect());
    const [shard] = openBy(lazy).shards as [SharedTier];
    expect(lazy.status).toBe("wait");
    await shard.log.subscribe(() => undefined);
    expect((await shard.store.read(["a"])).values).toEqual([undefined]);
  });
});
