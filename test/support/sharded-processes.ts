import type { Cache } from "../../src/index.js";
import type { CacheOptions } from "../../src/options.js";
import { chaos, FakeClock, SharedMemory, type ShardedChaos } from "../../src/testing/index.js";
import { cachesOn, closeHealed } from "./caches-on.js";

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

export async function shardedProcesses(
  count: number,
  shards: number,
  options: CacheOptions = {},
): Promise<ShardedProcesses> {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock, replicaLag: 100 });
  const connections = Array.from({ length: count }, () => chaos(server.shardedFactory(shards)));
  const caches = cachesOn(connections, clock, options);
  await clock.advance(0);
  return {
    clock,
    server,
    caches,
    connections,
    keys: await keysOf(server, shards),
    settle: () => clock.advance(0),
    close: () => closeHealed(caches, connections, clock),
  };
}

async function keysOf(server: SharedMemory, shards: number): Promise<string[]> {
  const tier = server.shardedFactory(shards).openShards("test");
  const keys: string[] = [];
  for (let next = 0; keys.filter(Boolean).length < shards; next += 1) keys[tier.shardOf(`k${next}`)] ??= `k${next}`;
  await tier.close();
  return keys;
}
