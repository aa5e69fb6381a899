import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { createCache, type Cache } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { CLUSTER_LIBRARIES, connectedCluster, type ConnectCluster } from "./cluster-clients.js";
import { eventually } from "./redis-clients.js";

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
});
afterAll(() => cluster.stop());

async function open(connect: ConnectCluster, name: string): Promise<Cache> {
  const client = await connectedCluster(connect, cluster, onTestFinished);
  const cache = createCache({
    name,
    tiers: [redis(client, { shards: 12 })],
    ttl: "1h",
    hotKeys: { perSecond: 20, copies: 3 },
    shared: { timeout: "5s" },
  });
  onTestFinished(() => cache.close());
  return cache;
}

function fromCopies(cache: Cache): number {
  return cache.stats().hot[0]?.fromCopies ?? 0;
}

describe.each(CLUSTER_LIBRARIES)("copies of a hot entry in a cluster, by $library", ({ library, connect }) => {
  it("lie on every master, answer reads, and give nothing that was invalidated", async () => {
    const name = `hot-${library}`;
    const caches = await Promise.all([open(connect, name), open(connect, name)]);
    const [a, b] = caches;
    let version = 0;
    const load = (): { version: number; bytes: string } => ({ version: (version += 1), bytes: "x".repeat(100_000) });
    const read = (cache: Cache): Promise<{ version: number }> => cache.getOrLoad("k", load, { tags: ["t"] });
    await eventually(async () => {
      for (let turn = 0; turn < 20; turn += 1) await Promise.all(caches.map(read));
      for (const cache of caches) expect(fromCopies(cache)).toBeGreaterThan(10);
    });
    const keys = (await cluster.onMasters("KEYS", "*")) as string[][];
    expect(keys.map((own) => own.some((key) => key.endsWith("!copy:k") || key.endsWith("}:k")))).toEqual(
      keys.map(() => true),
    );
    for (const target of [{ key: "k" }, { tag: "t" }, { prefix: "k" }] as const) {
      await a.invalidate(target);
      const current = version + 1;
      for (let turn = 0; turn < 12; turn += 1) expect((await read(b)).version).toBe(current);
      for (let turn = 0; turn < 12; turn += 1) expect((await read(a)).version).toBe(current);
    }
  });
});
