import type { Directives, Extent } from "./cache-control.js";
import { requestDirectives } from "./cache-control.js";
import { fieldValue, hasField, withoutFields, type Fields } from "./fields.js";
import {
  freshnessLifetime,
  hasExplicitFreshness,
  HEURISTIC_STATUSES,
  type CacheKind,
  type Timed,
} from "./freshness.js";
import { connectionFields } from "./hop-by-hop.js";
import { staleWindows } from "./reuse.js";
import { responseDirectives } from "./targeted.js";
import { parseHttpDate } from "./dates.js";
import { isUnquotedTag, parseEntityTag } from "./entity-tag.js";
import { parseContentRange } from "./ranges.js";
import { varyNames } from "./vary.js";

/** Why a response is not stored, as it stands in events and Cache-Status details. */
export type Unstorable =
  | "method"
  | "status"
  | "request-no-store"
  | "no-store"
  | "private"
  | "authorization"
  | "not-cacheable"
  | "no-freshness"
  | "vary"
  | "set-cookie"
  | "too-large"
  | "partial";

/** What storing depends on besides the messages: see `ResolvedHttpOptions`. */
export interface StoringKind extends CacheKind {
  readonly setCookie: boolean;
  readonly decoded: boolean;
  readonly negotiate: boolean;
}

export interface StoringRequest {
  readonly method: string;
  readonly fields: Fields;
}

/** Final statuses whose meaning this cache knows (RFC 9110 §15): with `must-understand` only these are stored. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409,
  410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505,
]);

/** Why the response to a request must not be stored (RFC 9111 §3), and `undefined` when it may be. */
export function whyUnstorable(request: StoringRequest, response: Timed, kind: StoringKind): Unstorable | undefined {
  const { status, fields } = response;
  if (request.method !== "GET" && request.method !== "QUERY") return "method";
  if (status < 200 || status > 599 || status === 304) return "status";
  if (status === 206 && !isKnownPart(response, kind)) return "partial";
  // It is about the range that was asked for (RFC 9110 §15.5.17), and the key is not: others would be told that they ask for too much.
  if (status === 416 && hasField(request.fields, "range")) return "status";
  if (requestDirectives(request.fields).noStore) return "request-no-store";
  const { directives } = responseDirectives(fields, kind.targets);
  const refusal = refusedBy(directives, status, kind.shared);
  if (refusal !== undefined) return refusal;
  if (kind.shared && hasField(request.fields, "authorization") && !permitsAuthorization(directives)) {
    return "authorization";
  }
  if (kind.shared && !kind.setCookie && hasField(fields, "set-cookie")) return "set-cookie";
  if (!isCacheable(response, directives, kind)) return "not-cacheable";
  if (!isOfUse(response, kind)) return "no-freshness";
  return varyNames(fields) === "*" ? "vary" : undefined;
}

/** Whether a 206 says which bytes it holds, and for how long or of what: one run of undecoded ones (§3.3). */
function isKnownPart(response: Timed, kind: StoringKind): boolean {
  const { fields } = response;
  // Bytes of what has been decoded count for nothing, and a part of what is encoded can be decoded for nobody.
  if (hasField(fields, "content-encoding") && (kind.decoded || kind.negotiate)) return false;
  if (parseContentRange(fieldValue(fields, "content-range") ?? "") === undefined) return false;
  const tag = parseEntityTag(fieldValue(fields, "etag") ?? "");
  return hasExplicitFreshness(response, kind) || tag?.weak === false;
}

function refusedBy(directives: Directives, status: number, shared: boolean): Unstorable | undefined {
  if (directives.mustUnderstand) {
    // It takes the place of the no-store that is there for caches that do not know it (§5.2.2.3).
    if (!UNDERSTOOD.has(status)) return "status";
  } else if (directives.noStore) return "no-store";
  return shared && directives.private === "all" ? "private" : undefined;
}

/** §3.5. */
function permitsAuthorization(directives: Directives): boolean {
  return directives.mustRevalidate || directives.public || directives.sMaxage !== undefined;
}

function isCacheable(response: Timed, directives: Directives, kind: CacheKind): boolean {
  if (directives.public || (!kind.shared && directives.private !== undefined)) return true;
  return hasExplicitFreshness(response, kind) || HEURISTIC_STATUSES.has(response.status);
}

/** Whether it can answer anything later: fresh, stale for a while, or validated. */
function isOfUse(response: Timed, kind: CacheKind): boolean {
  return freshnessLifetime(response, kind) > 0 || staleWindows(response, kind.targets) > 0 || hasValidator(response);
}

/** Whether the origin can be asked if the response still holds. */
function hasValidator({ fields, responseTime }: Timed): boolean {
  const tag = fieldValue(fields, "etag");
  if (tag !== undefined && (parseEntityTag(tag) !== undefined || isUnquotedTag(tag))) return true;
  const modified = fieldValue(fields, "last-modified");
  return modified !== undefined && parseHttpDate(modified.trim(), responseTime) !== undefined;
}

/**
 * What is kept of a response's fields (RFC 9111 §3.1): no hop-by-hop ones, none that `no-cache="…"` or, in a shared cache,
 * `private="…"` names, and unless asked for no Set-Cookie.
 */
export function storedFields(fields: Fields, kind: CacheKind & { readonly setCookie: boolean }): Fields {
  const { directives } = responseDirectives(fields, kind.targets);
  const dropped = new Set(connectionFields(fields));
  add(dropped, directives.noCache);
  if (kind.shared) add(dropped, directives.private);
  if (!kind.setCookie) dropped.add("set-cookie").add("set-cookie2");
  return withoutFields(fields, dropped);
}

function add(names: Set<string>, extent: Extent | undefined): void {
  if (extent === undefined || extent === "all") return;
  for (const name of extent) names.add(name);
}
