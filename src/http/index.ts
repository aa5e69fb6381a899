export { cachedFetch } from "./fetch.js";
export { purge } from "./purge.js";

export type { CacheMode } from "./exchange.js";
export type { CachedFetch, CachedFetchOptions } from "./fetch.js";
export type { HttpCacheOptions } from "./options.js";
export type { PurgeTarget } from "./purge.js";
