import { CacheError } from "../errors.js";
import { encodeKey, type ScopeInput, type Segment } from "../keys.js";

/** Whose an answer is: `undefined` for everybody's. */
export type ScopeOf<C> = (context: C) => ScopeInput | undefined | Promise<ScopeInput | undefined>;

/**
 * The segments of a key that keep one caller's answers from another's. Those of everybody and those of a scope never have a key in common.
 *
 * @throws CacheError `ERR_CACHE_KEY` for a scope that is empty: most likely a user that nobody looked for, whose answers everybody would get.
 */
export function scopeSegments(scope: ScopeInput | undefined): readonly Segment[] {
  if (scope === undefined) return ["shared"];
  const parts: readonly Segment[] = Array.isArray(scope) ? (scope as readonly Segment[]) : [scope as Segment];
  const isEmpty = parts.length === 0 || parts.some((part) => part === "" || part === null || part === undefined);
  if (isEmpty) throw new CacheError("ERR_CACHE_KEY", "Expected the scope not to be empty: `undefined` is everybody's");
  return ["of", encodeKey(parts)];
}
