import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import type { ShardedTierFactory, SharedTierFactory } from "../tiers/shared.js";
import { redis, type RedisClusterLike, type RedisLike } from "./index.js";

declare function accepts(client: RedisLike): void;
declare function acceptsCluster(client: RedisClusterLike): void;
declare function one(tier: SharedTierFactory): void;
declare function many(tier: ShardedTierFactory): void;

const sentinels = { name: "main", sentinelRootNodes: [{ host: "127.0.0.1", port: 26379 }] };

accepts(createClient());
accepts(createClient({ RESP: 2 }));
accepts(createClient({ RESP: 3, url: "redis://127.0.0.1:6379/3" }));
accepts(createClient().withTypeMapping({ 36: Buffer }));
accepts(new Redis());
accepts(new Redis({ protocol: 3, replyMapping: "resp3" }));
accepts(new Redis({ sentinels: [{ host: "127.0.0.1", port: 26379 }], name: "main" }));

// @ts-expect-error keys of a cluster live on many servers
accepts(createCluster({ rootNodes: [] }));
// @ts-expect-error a pool has no subscriptions
accepts(createClientPool());
// @ts-expect-error its commands take other arguments
accepts(createSentinel(sentinels));
// TypeScript cannot tell ioredis' cluster from its client; `redis()` does.
accepts(new Cluster([]));

acceptsCluster(createCluster({ rootNodes: [] }));
acceptsCluster(createCluster({ rootNodes: [], RESP: 2, useReplicas: true }));
acceptsCluster(createCluster({ rootNodes: [] }).withTypeMapping({ 36: Buffer }));
acceptsCluster(new Cluster([]));
acceptsCluster(new Cluster([], { redisOptions: { protocol: 3, replyMapping: "resp3" } }));
// @ts-expect-error one server
acceptsCluster(createClient());
// @ts-expect-error one server
acceptsCluster(new Redis());
// @ts-expect-error one server at a time
acceptsCluster(createSentinel(sentinels));

one(redis(createClient()));
one(redis(new Redis()));
one(redis(createSentinel(sentinels)));
one(redis(createSentinel({ ...sentinels, RESP: 2, replicaPoolSize: 1 }), { logLength: 1 }));
many(redis(createCluster({ rootNodes: [] }), { shards: 3 }));
many(redis(new Cluster([])));
// @ts-expect-error a pool has no subscriptions
redis(createClientPool());
// @ts-expect-error shards are not one tier
one(redis(new Cluster([])));
