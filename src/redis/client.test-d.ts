import { Cluster, Redis } from "ioredis";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import type { RedisLike } from "./index.js";

declare function accepts(client: RedisLike): void;

accepts(createClient());
accepts(createClient({ RESP: 2 }));
accepts(createClient({ RESP: 3, url: "redis://127.0.0.1:6379/3" }));
accepts(createClient().withTypeMapping({ 36: Buffer }));
accepts(new Redis());
accepts(new Redis({ protocol: 3, replyMapping: "resp3" }));

// @ts-expect-error keys of a cluster live on many servers
accepts(createCluster({ rootNodes: [] }));
// @ts-expect-error a pool has no subscriptions
accepts(createClientPool());
// @ts-expect-error its commands take other arguments
accepts(createSentinel({ name: "main", sentinelRootNodes: [] }));
// TypeScript cannot tell ioredis' cluster from its client; `redis()` throws.
accepts(new Cluster([]));
