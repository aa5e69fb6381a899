import { fieldLines, withoutFields, type Fields } from "./fields.js";
import { splitList } from "./lists.js";

const HOP_BY_HOP: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** The fields that are neither stored nor forwarded: hop-by-hop ones, and those that Connection names (RFC 9110 §7.6.1, RFC 9111 §3.1). */
export function connectionFields(fields: Fields): ReadonlySet<string> {
  const names = new Set(HOP_BY_HOP);
  for (const line of fieldLines(fields, "connection")) {
    for (const name of splitList(line).members) names.add(name.toLowerCase());
  }
  return names;
}

/** What Connection says of most requests, which names no field. */
const NAMES_NONE = /^(?:keep-alive|close)$/i;

/**
 * A request's fields as the next hop will see them: without those that Connection names. A cache must not see them either: it would
 * store under what a client says in them an answer that was made without.
 */
export function withoutNamed(fields: Fields): Fields {
  const isUsual = fields.every(([name, value]) => name !== "connection" || NAMES_NONE.test(value));
  if (isUsual) return fields;
  const named = connectionFields(fields);
  return fields.filter(([name]) => name === "connection" || !named.has(name));
}

export function endToEnd(fields: Fields): Fields {
  return withoutFields(fields, connectionFields(fields));
}
