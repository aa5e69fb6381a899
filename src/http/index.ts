export { cachedFetch } from "./fetch.js";
export {
  cacheControl,
  cdnCacheControl,
  conditional,
  EntityTagDigest,
  entityTagOf,
  entityTagOfStream,
  surrogateControl,
  surrogateKey,
  surrogateKeys,
  surrogateTag,
  vary,
  versionTag,
} from "./headers/index.js";
export { httpCache } from "./node/http-cache.js";
export { serverLimits } from "./node/limits.js";
export { purge } from "./purge.js";
export {
  cachedResponses,
  cloudflare,
  cloudFront,
  fastly,
  forwardInvalidations,
  nginx,
  varnish,
} from "./purge/index.js";

export type { AppCacheOptions, AppRequest } from "./app-rules.js";
export type { CacheMode } from "./exchange.js";
export type { CachedFetch, CachedFetchOptions } from "./fetch.js";
export type {
  ApiCaching,
  CacheControlValues,
  Conditional,
  ConditionalRequest,
  CurrentState,
  EdgeCaching,
  SurrogateField,
  VersionPart,
} from "./headers/index.js";
export type { Listener } from "./node/detached.js";
export type { HttpServerCache, HttpServerCacheOptions } from "./node/http-cache.js";
export type { ServerLimits } from "./node/limits.js";
export type { HttpCacheOptions } from "./options.js";
export type { PurgeTarget } from "./purge.js";
export type {
  AwsCredentials,
  CloudflareOptions,
  CloudFrontOptions,
  FastlyOptions,
  ForwardEvent,
  Forwarding,
  ForwardOptions,
  HttpPurger,
  NginxByFiles,
  NginxByRequest,
  NginxOptions,
  PurgeEvent,
  PurgeFailure,
  PurgeOptions,
  PurgeQueueOptions,
  PurgeReport,
  VarnishOptions,
} from "./purge/index.js";
