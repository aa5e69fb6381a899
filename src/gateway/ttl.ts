import { fieldValue, hasField, withoutFields, withField, type Fields } from "../http/fields.js";
import { responseDirectives } from "../http/targeted.js";
import type { ResolvedTtl } from "./routes.js";

/** The targeted field (RFC 9213) in which a route's rules are said to the cache; no origin sets it, and no client sees it. */
export const RULE_FIELD = "tiercache-rule-cache-control";

/** What the gateway's cache heeds of a response, the nearest first. */
export const TARGETS: readonly string[] = [RULE_FIELD, "cdn-cache-control"];

const STATUSES: ReadonlySet<number> = new Set([200, 203, 301, 308, 404, 410]);

/** A response's fields with how long it is fresh by a route's rules. */
export function ruledFields(status: number, fields: Fields, ttl: ResolvedTtl | undefined): Fields {
  const own = withoutRule(fields);
  if (ttl === undefined) return own;
  const { directives } = responseDirectives(own, ["cdn-cache-control"]);
  // Whatever the rules say, it is somebody's own, or secret. So is what names fields that are.
  const isOwn = directives.noStore || directives.private !== undefined || directives.noCache !== undefined;
  // The stored response has the rule's field, and what it has become must outdo that.
  if (status === 304) return isOwn ? withField(own, RULE_FIELD, "no-store") : own;
  const seconds = isOwn || hasField(own, "set-cookie") ? undefined : freshFor(status, own, ttl);
  if (seconds === undefined) return own;
  const said = [
    `max-age=${seconds}`,
    ...(ttl.staleWhileRevalidate > 0 ? [`stale-while-revalidate=${ttl.staleWhileRevalidate}`] : []),
    ...(ttl.staleIfError > 0 ? [`stale-if-error=${ttl.staleIfError}`] : []),
    // A rule says for how long, not that stale will do.
    ...(directives.mustRevalidate || directives.proxyRevalidate ? ["must-revalidate"] : []),
  ];
  return withField(own, RULE_FIELD, said.join(", "));
}

function freshFor(status: number, fields: Fields, ttl: ResolvedTtl): number | undefined {
  if (!STATUSES.has(status)) return undefined;
  if (ttl.override !== undefined) return ttl.override;
  return saysNothing(fields) ? ttl.default : undefined;
}

function saysNothing(fields: Fields): boolean {
  return !["cache-control", "cdn-cache-control", "expires", "pragma"].some(
    (name) => (fieldValue(fields, name) ?? "").trim() !== "",
  );
}

/** An answer's fields for the client. */
export function withoutRule(fields: Fields): Fields {
  return hasField(fields, RULE_FIELD) ? withoutFields(fields, new Set([RULE_FIELD])) : fields;
}
