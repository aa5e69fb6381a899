import { Cluster, Redis } from "ioredis";
import { createClient, createCluster, createSentinel } from "redis";

import type { NodeRedisSentinelLike, RedisClusterLike, RedisLike } from "../../../src/redis/index.js";
import type { RedisPlace, WorkerSettings } from "../protocol.js";

/** A client that may be connected, and goes on trying if it is not. */
interface Connected<Client> {
  readonly client: Client;
  readonly close: () => void;
}

type Library = WorkerSettings["client"];

/** Longest wait for a connection at the start; the cache must work without one. */
const CONNECT_PATIENCE = 1_000;
/** How soon after it has lost a server a cluster client of node-redis asks who took its place. */
const REDISCOVER_AFTER = 200;

/** A client of whatever is there, with no more options than it takes to reach it. */
export function connect(
  to: RedisPlace,
  library: Library,
): Promise<Connected<RedisLike | NodeRedisSentinelLike | RedisClusterLike>> {
  switch (to.kind) {
    case "server":
      return connectServer(to.url, library);
    case "sentinels":
      return library === "ioredis" ? ioRedisSentinel(to) : nodeRedisSentinel(to);
    case "cluster":
      return library === "ioredis" ? ioRedisCluster(to) : nodeRedisCluster(to);
  }
}

export function connectServer(url: string, library: Library): Promise<Connected<RedisLike>> {
  return library === "ioredis" ? ioRedis(new Redis(url, { lazyConnect: true })) : nodeRedis(url);
}

async function nodeRedis(url: string): Promise<Connected<RedisLike>> {
  const client = createClient({ url });
  // The library tells of each lost connection; the cache has its own word for it.
  client.on("error", () => undefined);
  await soon(client.connect());
  return { client, close: () => client.destroy() };
}

async function ioRedis(client: Redis): Promise<Connected<RedisLike>> {
  client.on("error", () => undefined);
  await soon(client.connect());
  return { client, close: () => client.disconnect() };
}

type Sentinels = Extract<RedisPlace, { kind: "sentinels" }>;
type Nodes = Extract<RedisPlace, { kind: "cluster" }>;

async function nodeRedisSentinel({ name, addresses }: Sentinels): Promise<Connected<NodeRedisSentinelLike>> {
  const client = createSentinel({ name, sentinelRootNodes: [...addresses] });
  client.on("error", () => undefined);
  await soon(client.connect());
  return {
    client,
    close() {
      // Whatever it says, it is not used any more.
      client.destroy().catch(() => undefined);
    },
  };
}

function ioRedisSentinel({ name, addresses }: Sentinels): Promise<Connected<RedisLike>> {
  return ioRedis(new Redis({ name, sentinels: [...addresses], lazyConnect: true }));
}

async function nodeRedisCluster({ addresses }: Nodes): Promise<Connected<RedisClusterLike>> {
  const client = createCluster({
    rootNodes: addresses.map(({ host, port }) => ({ url: `redis://${host}:${port}` })),
    topologyRefreshOnReconnectionAttemptStrategy: REDISCOVER_AFTER,
  });
  client.on("error", () => undefined);
  await soon(client.connect());
  return {
    client,
    close() {
      if (client.isOpen) client.destroy();
    },
  };
}

async function ioRedisCluster({ addresses }: Nodes): Promise<Connected<RedisClusterLike>> {
  const client = new Cluster([...addresses], { lazyConnect: true });
  client.on("error", () => undefined);
  await soon(client.connect());
  return { client, close: () => client.disconnect() };
}

async function soon(connecting: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, CONNECT_PATIENCE)));
  // A server that is away is no reason not to start.
  await Promise.race([connecting.catch(() => undefined), late]);
  clearTimeout(timer);
}
