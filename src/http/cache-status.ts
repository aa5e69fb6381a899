import { fieldValue, withField, type Fields } from "./fields.js";
import { serializeItem, type Parameter } from "./structured-fields.js";

/** Why a request went to the origin (RFC 9211 §2.2). */
export type Forward = "bypass" | "method" | "uri-miss" | "vary-miss" | "miss" | "request" | "stale" | "partial";

/** What the cache did with a request, as Cache-Status says it (RFC 9211 §2). */
export interface Handling {
  readonly hit?: boolean | undefined;
  readonly fwd?: Forward | undefined;
  /** The status the origin answered with. */
  readonly fwdStatus?: number | undefined;
  /** The answer was stored. */
  readonly stored?: boolean | undefined;
  /** It was the answer to another request at the same time. */
  readonly collapsed?: boolean | undefined;
  /** Seconds of freshness left; below 0 when stale. */
  readonly ttl?: number | undefined;
  readonly detail?: string | undefined;
}

/** The fields with this cache's member at the end of Cache-Status: the caches nearer to the origin stand before it. */
export function withCacheStatus(fields: Fields, name: string, handling: Handling): Fields {
  const before = fieldValue(fields, "cache-status");
  const own = cacheStatus(name, handling);
  return withField(fields, "cache-status", before === undefined || before === "" ? own : `${before}, ${own}`);
}

export function cacheStatus(name: string, handling: Handling): string {
  const parameters: Parameter[] = [];
  if (handling.hit === true) parameters.push(["hit", true]);
  else if (handling.fwd !== undefined) parameters.push(["fwd", handling.fwd]);
  if (handling.fwdStatus !== undefined) parameters.push(["fwd-status", handling.fwdStatus]);
  if (handling.stored === true) parameters.push(["stored", true]);
  if (handling.collapsed === true) parameters.push(["collapsed", true]);
  if (handling.ttl !== undefined) parameters.push(["ttl", Math.floor(handling.ttl)]);
  if (handling.detail !== undefined) parameters.push(["detail", handling.detail]);
  return serializeItem(name, parameters);
}
