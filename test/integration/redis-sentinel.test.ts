import { createSentinel } from "redis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { redis, type NodeRedisSentinelLike, type RedisLike } from "../../src/redis/index.js";
import { entry, keyMarks } from "../../src/testing/suite/session.js";
import type { LogSignal, SharedTier, SharedTierFactory } from "../../src/tiers/shared.js";
import type { RedisServer } from "../support/redis-server.js";
import { startRedisSentinels, type RedisSentinels } from "../support/redis-sentinel.js";
import { nodeRedisSentinel, SENTINEL_LIBRARIES } from "./cluster-clients.js";
import { eventually } from "./redis-clients.js";

const HOUR = 3_600_000;

let sentinels: RedisSentinels;

beforeAll(async () => {
  sentinels = await startRedisSentinels();
});
afterAll(() => sentinels.stop());

function openBy(client: RedisLike | NodeRedisSentinelLike, name = "c"): SharedTier {
  const factory: SharedTierFactory = redis(client);
  const tier = factory.open(name);
  onTestFinished(() => tier.close());
  return tier;
}

async function hear(tier: SharedTier): Promise<LogSignal[]> {
  const heard: LogSignal[] = [];
  await tier.log.subscribe((signal) => heard.push(signal));
  return heard;
}

function changesOf(heard: readonly LogSignal[]): string[] {
  return heard.map(({ type }) => type).filter((type) => type === "up" || type === "down");
}

/** A position that only the new master's log has. */
async function hearsNews(tier: SharedTier, heard: readonly LogSignal[]): Promise<void> {
  await eventually(async () => {
    const { head } = await tier.store.invalidate(keyMarks("news"), false, "me");
    await eventually(() =>
      expect(heard.some((signal) => signal.type === "record" && signal.record.position === head.position)).toBe(true),
    );
  });
}

describe.each(SENTINEL_LIBRARIES)("a master behind sentinels by $library", ({ connect }) => {
  it.each(["kill", "switchover"] as const)(
    "is replaced (%s): calls work again with what was replicated, and the subscription stands at the new one",
    async (how) => {
      const { client, close } = await connect(sentinels);
      onTestFinished(close);
      const tier = openBy(client, `by-${how}`);
      const heard = await hear(tier);
      await tier.store.put([{ key: "a", value: entry(1, "a"), ttl: HOUR }], "me");
      const old = await sentinels.master();
      const replica = sentinels.servers.find((server) => server !== old) as RedisServer;
      await eventually(async () => expect(await sentinels.command(replica, "EXISTS", `by-${how}:a`)).toBe(1));
      if (how === "kill") onTestFinished(() => sentinels.rejoin(old));
      if (how === "kill") await sentinels.failover();
      else await sentinels.switchover();
      await eventually(async () => {
        expect((await tier.store.read(["a"])).values).toEqual([Buffer.from(entry(1, "a"))]);
      });
      await eventually(() => expect([changesOf(heard)[1], changesOf(heard).at(-1)]).toEqual(["down", "up"]));
      await hearsNews(tier, heard);
      // On the new master, not by way of the old one as its replica.
      const channels = await sentinels.command(await sentinels.master(), "PUBSUB", "NUMSUB", `by-${how}#bus`);
      expect(channels).toEqual([`by-${how}#bus`, 1]);
    },
  );

  it("is asked alone, whatever the client was told of replicas, and the client stays as it was", async () => {
    const { client, close } = await connect(sentinels);
    onTestFinished(close);
    const tier = openBy(client, "mine");
    const subscribers = async (): Promise<number> => {
      const list = await sentinels.command(await sentinels.master(), "CLIENT", "LIST", "TYPE", "PUBSUB");
      return String(list).split("\n").filter(Boolean).length;
    };
    const before = await subscribers();
    await hear(tier);
    expect(await subscribers()).toBe(before + 1);
    await tier.close();
    await eventually(async () => expect(await subscribers()).toBe(before));
    expect((await tier.store.read(["a"])).values).toEqual([undefined]);
  });
});

describe("a node-redis sentinel client", () => {
  it("with connections to replicas reads from the master here all the same", async () => {
    const { client, close } = await nodeRedisSentinel(sentinels, { replicaPoolSize: 1 });
    onTestFinished(close);
    const tier = openBy(client, "replicas");
    const master = await sentinels.master();
    const replicas = sentinels.servers.filter((server) => server !== master);
    for (const server of replicas) await sentinels.command(server, "CONFIG", "RESETSTAT");
    for (let i = 0; i < 10; i++) await tier.store.read([`user:${i}`]);
    for (const server of replicas) {
      expect(String(await sentinels.command(server, "INFO", "commandstats"))).not.toMatch(/cmdstat_mget:calls=[1-9]/);
    }
  });

  it("of a numbered database is refused in every call: it cannot be told when the channel is named", async () => {
    const { client, close } = await nodeRedisSentinel(sentinels, { nodeClientOptions: { database: 3 } });
    onTestFinished(close);
    const tier = openBy(client);
    const misuse = { code: "ERR_CACHE_OPTION", message: expect.stringContaining("`database`") as string };
    await expect(tier.store.read(["a"])).rejects.toMatchObject(misuse);
    await expect(tier.log.subscribe(() => undefined)).rejects.toMatchObject(misuse);
  });

  it("that was never connected is not connected by us", async () => {
    const client = createSentinel({ name: sentinels.name, sentinelRootNodes: [...sentinels.addresses] });
    const tier = openBy(client);
    await expect(tier.store.read(["a"])).rejects.toBeInstanceOf(Error);
    await expect(tier.log.subscribe(() => undefined)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(client.isOpen).toBe(false);
  });
});
