import { createCache, memory, type Cache } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import { chaos, FakeClock, SharedMemory, type ShardedChaos } from "../../src/testing/index.js";

/** Some caches on one shared tier of several shards. */
export interface ShardedProcesses {
  readonly clock: FakeClock;
  readonly server: SharedMemory;
  readonly caches: readonly Cache[];
  readonly connections: readonly ShardedChaos[];
  /** A key that lies on each shard, in their order. */
  readonly keys: readonly string[];
  /** Lets everything that needs no time happen. */
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Jitter is off and chance is ½, so that times in tests are exact. */
export async function shardedProcesses(
  count: number,
  shards: number,
  options: CacheOptions = {},
): Promise<ShardedProcesses> {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock, replicaLag: 100 });
  const connections = Array.from({ length: count }, () => chaos(server.shardedFactory(shards)));
  const caches = connections.map((connection) =>
    createCache({
      name: "test",
      tiers: [memory(), connection.factory],
      clock,
      jitter: 0,
      random: () => 0.5,
      ...options,
    }),
  );
  await clock.advance(0);
  return {
    clock,
    server,
    caches,
    connections,
    keys: await keysOf(server, shards),
    settle: () => clock.advance(0),
    async close() {
      for (const connection of connections) connection.heal();
      const closing = Promise.all(caches.map((cache) => cache.close()));
      await clock.advance(10_000);
      await closing;
    },
  };
}

async function keysOf(server: SharedMemory, shards: number): Promise<string[]> {
  const tier = server.shardedFactory(shards).openShards("test");
  const keys: string[] = [];
  for (let next = 0; keys.filter(Boolean).length < shards; next += 1) keys[tier.shardOf(`k${next}`)] ??= `k${next}`;
  await tier.close();
  return keys;
}
