import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { redis, type NodeRedisSentinelLike, type RedisLike } from "../../src/redis/index.js";
import type { LogSignal } from "../../src/tiers/shared.js";
import { startRedisSentinels, type RedisSentinels } from "../support/redis-sentinel.js";
import { ioRedisSentinel, nodeRedisSentinel, type ConnectedSentinel } from "./cluster-clients.js";
import { eventually, hear } from "./redis-clients.js";

let sentinels: RedisSentinels;

beforeAll(async () => {
  sentinels = await startRedisSentinels();
});
afterAll(() => sentinels.stop());

type Connect = (to: RedisSentinels) => Promise<ConnectedSentinel<RedisLike | NodeRedisSentinelLike>>;
const LIBRARIES: { library: string; connect: Connect; prefix: string }[] = [
  { library: "node-redis", connect: (to) => nodeRedisSentinel(to, { keyPrefix: "app:" }), prefix: "app:" },
  { library: "ioredis", connect: ioRedisSentinel, prefix: "" },
];

function changes(heard: readonly LogSignal[]): string[] {
  return heard.flatMap((signal) => {
    if (signal.type === "changed") return [signal.key];
    return signal.type === "changed-all" || signal.type === "refused" ? [signal.type] : [];
  });
}

async function set(key: string): Promise<void> {
  const admin = new Redis((await sentinels.master()).url);
  await admin.set(key, 1);
  admin.disconnect();
}

describe.each(LIBRARIES)("tracking behind sentinels by $library", ({ connect, prefix }) => {
  it("hears of the new master's entries after a failover, and says that anything may have changed", async () => {
    const { client, close } = await connect(sentinels);
    onTestFinished(close);
    const tier = redis(client, { tracking: true }).open("c");
    onTestFinished(() => tier.close());
    const heard = await hear(tier);
    await set(`${prefix}c:before`);
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "before"]));
    for (const way of [() => sentinels.switchover(), () => sentinels.failover()]) {
      heard.length = 0;
      const old = await sentinels.master();
      await way();
      await eventually(() => expect(changes(heard)).toContain("changed-all"));
      // The old one may have been heard again before it was told that it is no master any more.
      await eventually(async () => {
        await set(`${prefix}c:after`);
        expect(changes(heard)).toContain("after");
      });
      await sentinels.rejoin(old);
    }
  });

  it("leaves no connection", async () => {
    const { client, close } = await connect(sentinels);
    onTestFinished(close);
    const tier = redis(client, { tracking: true }).open("c");
    const trackers = async (): Promise<number> =>
      Array.from(String(await sentinels.command(await sentinels.master(), "CLIENT", "LIST")).matchAll(/flags=\w*tB/g))
        .length;
    await hear(tier);
    expect(await trackers()).toBe(1);
    await tier.close();
    await eventually(async () => expect(await trackers()).toBe(0));
  });
});
