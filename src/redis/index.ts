export { redis, REDIS_DEFAULTS, type RedisOptions } from "./redis.js";
export { redisJournal, type RedisJournalOptions } from "./journal.js";
export type {
  IoRedisClusterLike,
  IoRedisLike,
  IoRedisNodeLike,
  NodeRedisClusterLike,
  NodeRedisLike,
  NodeRedisMaster,
  NodeRedisNodeLike,
  NodeRedisSentinelLike,
  RedisClusterLike,
  RedisLike,
} from "./client.js";
