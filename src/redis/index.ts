export { redis, REDIS_DEFAULTS, type RedisOptions } from "./redis.js";
export type { IoRedisLike, NodeRedisLike, RedisLike } from "./client.js";
