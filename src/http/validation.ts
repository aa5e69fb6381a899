import { formatHttpDate, parseHttpDate } from "./dates.js";
import { isUnquotedTag, parseEntityTag, strongMatch, weakMatch } from "./entity-tag.js";
import { fieldLines, fieldValue, hasField, withField, withoutFields, type Fields } from "./fields.js";
import { storedFields } from "./storable.js";
import type { CacheKind } from "./freshness.js";

/** Fields by which a request asks for a response only under a condition (RFC 9110 §13.1). */
export const CONDITIONAL_FIELDS: ReadonlySet<string> = new Set([
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
]);

/** Fields by which a request asks for something else than the whole response from wherever it may come: conditions, ranges, directives. */
export const ASKING_FIELDS: ReadonlySet<string> = new Set([...CONDITIONAL_FIELDS, "cache-control", "pragma", "range"]);

/**
 * Never taken from a 304 (RFC 9111 §3.2): they tell of the body that is stored, which a 304 does not bring, and the HTTP
 * client has done what they say.
 */
const OF_THE_BODY: readonly string[] = ["content-length", "content-encoding", "content-range", "transfer-encoding"];

/**
 * The request's fields with the stored response's validators as its only conditions (RFC 9111 §4.3.1).
 *
 * @param others tags of other stored responses that the origin may choose.
 */
export function validatingFields(request: Fields, stored: Fields, others: readonly string[] = []): Fields {
  const own = withoutFields(request, new Set([...CONDITIONAL_FIELDS, "range"]));
  const tag = fieldValue(stored, "etag");
  const modified = fieldValue(stored, "last-modified");
  const conditions: (readonly [string, string])[] = [];
  const isTag = tag !== undefined && (parseEntityTag(tag) !== undefined || isUnquotedTag(tag));
  const tags = isTag ? [tag, ...others.filter((other) => other !== tag)] : others;
  if (tags.length > 0) conditions.push(["if-none-match", tags.join(", ")]);
  if (modified !== undefined && parseHttpDate(modified.trim(), 0) !== undefined) {
    conditions.push(["if-modified-since", modified]);
  }
  return [...own, ...conditions];
}

/** Whether there is anything to ask the origin by. */
export function isValidating(fields: Fields): boolean {
  return fields.some(([name]) => name === "if-none-match" || name === "if-modified-since");
}

/**
 * Whether a 304 is about the stored response (RFC 9111 §4.3.4). One that names no validator is, as only this one was
 * asked about.
 */
export function confirms(notModified: Fields, stored: Fields): boolean {
  const named = fieldValue(notModified, "etag");
  if (named !== undefined) {
    const own = fieldValue(stored, "etag") ?? "";
    const theirs = parseEntityTag(named);
    const ours = parseEntityTag(own);
    if (theirs === undefined && ours === undefined) return named === own && isUnquotedTag(own);
    if (theirs === undefined || ours === undefined) return false;
    return theirs.weak ? weakMatch(theirs, ours) : strongMatch(theirs, ours) || (ours.weak && weakMatch(theirs, ours));
  }
  const modified = fieldValue(notModified, "last-modified");
  const own = fieldValue(stored, "last-modified");
  return modified === undefined || own === undefined || modified === own;
}

/** The stored fields with those of a 304, or of an answer to HEAD, in their place (RFC 9111 §3.2). */
export function updatedFields(
  stored: Fields,
  newer: Fields,
  kind: CacheKind & { readonly setCookie: boolean },
): Fields {
  const taken = withoutFields(storedFields(newer, kind), new Set(OF_THE_BODY));
  // An Age is of the response that carried it: the stored one's is not that of a newer one without.
  const replaced = new Set([...taken.map(([name]) => name), "age"]);
  return [...withoutFields(stored, replaced), ...taken];
}

/** The fields with a Date: whoever gets the response later must be able to tell how old it is (RFC 9110 §6.6.1). */
export function withDate(fields: Fields, received: number): Fields {
  return hasField(fields, "date") ? fields : withField(fields, "date", formatHttpDate(received));
}

/**
 * Whether an answer to HEAD shows that the stored response to GET still holds (RFC 9111 §4.3.5): same validators and length,
 * as far as both have them.
 */
export function headConfirms(head: Fields, stored: Fields): boolean {
  return ["etag", "last-modified", "content-length"].every((name) => {
    const theirs = fieldLines(head, name)[0];
    return theirs === undefined || theirs === fieldLines(stored, name)[0];
  });
}
