import { Cluster, Redis, type ClusterOptions } from "ioredis";
import { createCluster, createSentinel, type RedisClusterOptions, type RedisSentinelOptions } from "redis";
import type { NodeRedisSentinelLike, RedisClusterLike, RedisLike } from "../../src/redis/index.js";
import type { RedisCluster } from "../support/redis-cluster.js";
import type { RedisSentinels } from "../support/redis-sentinel.js";

/** A connected client of a cluster, by either library. */
export interface ConnectedCluster {
  readonly client: RedisClusterLike;
  readonly close: () => void;
}

export type ConnectCluster = (cluster: RedisCluster) => Promise<ConnectedCluster>;

export function nodeRedisCluster(options: Omit<RedisClusterOptions, "rootNodes"> = {}): ConnectCluster {
  return async (cluster) => {
    const client = createCluster({
      rootNodes: cluster.urls.map((url) => ({ url })),
      // How soon after a server is lost the client asks who took its place.
      topologyRefreshOnReconnectionAttemptStrategy: 200,
      ...options,
    });
    client.on("error", () => undefined);
    await client.connect();
    return {
      client,
      close() {
        if (client.isOpen) client.destroy();
      },
    };
  };
}

type ServerOptions = Omit<NonNullable<ClusterOptions["redisOptions"]>, "replyMapping">;

export function ioRedisCluster({
  redisOptions = {},
  ...options
}: Omit<ClusterOptions, "redisOptions"> & { redisOptions?: ServerOptions } = {}): ConnectCluster {
  return async (cluster) => {
    const client = new Cluster([...cluster.addresses], { ...options, redisOptions, lazyConnect: true });
    client.on("error", () => undefined);
    await client.connect();
    return { client, close: () => client.disconnect() };
  };
}

/** Both libraries, for `describe.each`. */
export const CLUSTER_LIBRARIES: { library: string; connect: ConnectCluster }[] = [
  { library: "node-redis", connect: nodeRedisCluster() },
  { library: "ioredis", connect: ioRedisCluster() },
];

/** Connects, and is closed when the test ends. */
export async function connectedCluster(
  connect: ConnectCluster,
  cluster: RedisCluster,
  atEnd: (fn: () => void) => void,
): Promise<RedisClusterLike> {
  const { client, close } = await connect(cluster);
  atEnd(close);
  return client;
}

/** A connected client of the master behind sentinels. */
export interface ConnectedSentinel<T> {
  readonly client: T;
  readonly close: () => Promise<void>;
}

export async function nodeRedisSentinel(
  sentinels: RedisSentinels,
  options: Partial<RedisSentinelOptions> = {},
): Promise<ConnectedSentinel<NodeRedisSentinelLike>> {
  const client = createSentinel({ name: sentinels.name, sentinelRootNodes: [...sentinels.addresses], ...options });
  client.on("error", () => undefined);
  await client.connect();
  return { client, close: () => client.destroy() };
}

export async function ioRedisSentinel(sentinels: RedisSentinels): Promise<ConnectedSentinel<RedisLike>> {
  const client = new Redis({ name: sentinels.name, sentinels: [...sentinels.addresses], lazyConnect: true });
  client.on("error", () => undefined);
  await client.connect();
  return { client, close: async () => client.disconnect() };
}

/** Both libraries, for `describe.each`. */
export const SENTINEL_LIBRARIES: {
  library: string;
  connect: (sentinels: RedisSentinels) => Promise<ConnectedSentinel<RedisLike | NodeRedisSentinelLike>>;
}[] = [
  { library: "node-redis", connect: nodeRedisSentinel },
  { library: "ioredis", connect: ioRedisSentinel },
];

/**
 * Clients by number, each connected once for all tests of a file: to connect to many servers takes longer than most tests.
 */
export class Clients<T> {
  readonly #connect: () => Promise<{ readonly client: T; readonly close: () => unknown }>;
  readonly #connected: Promise<{ readonly client: T; readonly close: () => unknown }>[] = [];

  constructor(connect: () => Promise<{ readonly client: T; readonly close: () => unknown }>) {
    this.#connect = connect;
  }

  async get(number: number): Promise<T> {
    const { client } = await (this.#connected[number] ??= this.#connect());
    return client;
  }

  async close(): Promise<void> {
    for (const connected of this.#connected) await (await connected)?.close();
  }
}
