export { cacheControl, cdnCacheControl, surrogateControl, vary } from "./build-cache-control.js";
export { conditional } from "./conditional.js";
export { EntityTagDigest, entityTagOf, entityTagOfStream, versionTag } from "./make-entity-tag.js";
export { surrogateKey, surrogateKeys, surrogateTag } from "./surrogate-keys.js";

export type { ApiCaching, CacheControlValues, EdgeCaching } from "./build-cache-control.js";
export type { Conditional, ConditionalRequest, CurrentState } from "./conditional.js";
export type { VersionPart } from "./make-entity-tag.js";
export type { SurrogateField } from "./surrogate-keys.js";
