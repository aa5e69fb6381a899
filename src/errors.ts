/** What went wrong, stable across releases; branch on this, never on the message. */
export type CacheErrorCode =
  /** An option has a value its rule forbids. */
  | "ERR_CACHE_OPTION"
  /** A key, tag, scope, prefix or pattern of a wrong type, shape or length. */
  | "ERR_CACHE_KEY"
  /** A value that cannot be stored (function, symbol, cycle, class instance, too deep). */
  | "ERR_CACHE_VALUE"
  /** The cache was closed. */
  | "ERR_CACHE_CLOSED"
  /** A caller's wait, or a load's hard timeout, ran out. */
  | "ERR_CACHE_TIMEOUT"
  /** The load gate is full and no stale value was there to serve. */
  | "ERR_CACHE_OVERLOADED"
  /** A tier could not do what was asked (a write or an invalidation that was not acknowledged). */
  | "ERR_CACHE_TIER"
  /** Stored bytes that are not an entry of ours. Only tiers and codecs throw it; a read turns it into a miss. */
  | "ERR_CACHE_CORRUPT"
  /** A lock was not obtained in time, or was lost. */
  | "ERR_CACHE_LOCK"
  /** A scoped entity was used without its scope, or an entity was declared twice with different definitions. */
  | "ERR_CACHE_ENTITY"
  /** A loader threw `undefined` or `null`, which no caller could tell from no error; `cause` is what it threw. */
  | "ERR_CACHE_LOAD";

/**
 * The one error class of tiercache. A loader's own error is never wrapped in it: it reaches the caller
 * by identity.
 */
export class CacheError extends Error {
  override readonly name = "CacheError";
  readonly code: CacheErrorCode;

  constructor(code: CacheErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
