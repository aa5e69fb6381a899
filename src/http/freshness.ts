import { parseFreshnessDate } from "./dates.js";
import { parseDeltaSeconds } from "./delta-seconds.js";
import { fieldLines, fieldValue, type Fields } from "./fields.js";
import { splitList, trimBlanks } from "./lists.js";
import { responseDirectives } from "./targeted.js";

/** What the rules of this cache depend on. */
export interface CacheKind {
  /** Whether more than one user is answered from it (RFC 9111 §1). */
  readonly shared: boolean;
  /** Targeted fields obeyed instead of Cache-Control, the nearest first (RFC 9213). */
  readonly targets: readonly string[];
}

/** A response's head as far as its age is concerned; times in milliseconds since the epoch, by this cache's clock. */
export interface Timed {
  readonly status: number;
  readonly fields: Fields;
  readonly requestTime: number;
  readonly responseTime: number;
}

/** Statuses that may be fresh without saying for how long (RFC 9110 §15.1). */
export const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501,
]);

const HEURISTIC_SHARE = 0.1;
/** Nothing that says nothing is fresh for longer: a day. */
const MOST_HEURISTIC = 86_400_000;

/**
 * For how long the response is fresh, from when the origin made it (RFC 9111 §4.2.1); milliseconds. The first of: s-maxage in
 * a shared cache, max-age, Expires, a tenth of the time since it was last modified.
 */
export function freshnessLifetime(response: Timed, { shared, targets }: CacheKind): number {
  const { directives, isTargeted } = responseDirectives(response.fields, targets);
  if (shared && directives.sMaxage !== undefined) return directives.sMaxage * 1_000;
  if (directives.maxAge !== undefined) return directives.maxAge * 1_000;
  if (!isTargeted) {
    const expires = expiresAt(response);
    if (expires !== undefined) return Math.max(0, expires - dateOf(response));
  }
  // In a private cache `private` says no less than `public` that it may be stored (§3), so that it may be reckoned (§4.2.2).
  return heuristicLifetime(response, directives.public || (!shared && directives.private !== undefined));
}

/** Whether the response itself says how long it is fresh, be it not at all. */
export function hasExplicitFreshness(response: Timed, { shared, targets }: CacheKind): boolean {
  const { directives, isTargeted } = responseDirectives(response.fields, targets);
  if (shared && directives.sMaxage !== undefined) return true;
  return directives.maxAge !== undefined || (!isTargeted && expiresAt(response) !== undefined);
}

/** Age when it arrived: the larger of what Date and what Age make of it (RFC 9111 §4.2.3); milliseconds. */
export function correctedInitialAge(response: Timed): number {
  const { requestTime, responseTime, fields } = response;
  const apparent = Math.max(0, responseTime - dateOf(response));
  const delay = Math.max(0, responseTime - requestTime);
  return Math.max(apparent, parseAge(fields) + delay);
}

/** Its age at a moment; milliseconds. A clock that was set back does not make it younger than it arrived. */
export function currentAge(response: Timed, now: number): number {
  return correctedInitialAge(response) + Math.max(0, now - response.responseTime);
}

/**
 * The Age field in milliseconds. Of several values the first counts, and one that is no number is ignored (RFC 9111 §5.1):
 * then it is Date that tells.
 */
export function parseAge(fields: Fields): number {
  const first = splitList(fieldLines(fields, "age")[0] ?? "").members[0];
  return (first === undefined ? 0 : (parseDeltaSeconds(first) ?? 0)) * 1_000;
}

/** The Date field, or when the response arrived. */
export function dateOf({ fields, responseTime }: Timed): number {
  const text = fieldLines(fields, "date")[0];
  return (text === undefined ? undefined : parseFreshnessDate(trimBlanks(text), responseTime)) ?? responseTime;
}

/** The Expires field: `undefined` when it is absent, long ago when it is no date (RFC 9111 §5.3). */
function expiresAt({ fields, responseTime }: Timed): number | undefined {
  const line = fieldLines(fields, "expires")[0];
  if (line === undefined) return undefined;
  // Two lines that were joined: the first has one comma of its own, or none.
  const first = /^(?:\w{3,9}, )?[^,]*/.exec(line)?.[0] ?? line;
  return parseFreshnessDate(trimBlanks(first), responseTime) ?? Number.NEGATIVE_INFINITY;
}

function heuristicLifetime(response: Timed, isCacheable: boolean): number {
  if (!HEURISTIC_STATUSES.has(response.status) && !isCacheable) return 0;
  const text = fieldValue(response.fields, "last-modified");
  const modified = text === undefined ? undefined : parseFreshnessDate(trimBlanks(text), response.responseTime);
  if (modified === undefined) return 0;
  return Math.min(MOST_HEURISTIC, Math.max(0, dateOf(response) - modified) * HEURISTIC_SHARE);
}
