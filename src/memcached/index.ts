export {
  memcached,
  memcachedShards,
  MEMCACHED_DEFAULTS,
  type MemcachedOptions,
  type MemcachedServer,
  type MemcachedSettings,
  type MemcachedShardsOptions,
} from "./memcached.js";
