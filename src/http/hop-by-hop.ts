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

export function endToEnd(fields: Fields): Fields {
  return withoutFields(fields, connectionFields(fields));
}
