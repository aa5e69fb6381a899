import { parseHttpDate } from "./dates.js";
import { parseEntityTag, parseEntityTags, strongMatch, weakMatch } from "./entity-tag.js";
import { fieldLines, fieldValue, type Fields } from "./fields.js";

/** A stored response as far as a client's conditions look at it. */
export interface Validated {
  readonly fields: Fields;
  /** When it arrived; milliseconds since the epoch. */
  readonly responseTime: number;
}

/** Whether a client has what is stored already, so that 304 answers it (RFC 9110 §13.2.2, RFC 9111 §4.3.2). */
export function isNotModified(request: Fields, stored: Validated): boolean {
  const wanted = fieldValue(request, "if-none-match");
  if (wanted !== undefined) {
    const tags = parseEntityTags(wanted);
    if (tags === "*") return true;
    const own = parseEntityTag(fieldValue(stored.fields, "etag") ?? "");
    return own !== undefined && tags !== undefined && tags.some((tag) => weakMatch(tag, own));
  }
  const lines = fieldLines(request, "if-modified-since");
  const since = lines.length === 1 ? parseHttpDate((lines[0] ?? "").trim(), stored.responseTime) : undefined;
  if (since === undefined) return false;
  const modified = fieldValue(stored.fields, "last-modified") ?? fieldValue(stored.fields, "date");
  const time = modified === undefined ? stored.responseTime : parseHttpDate(modified.trim(), stored.responseTime);
  return time !== undefined && time <= since;
}

/** Whether a request's conditions are for the origin alone to judge: If-Match and If-Unmodified-Since (RFC 9111 §4.3.2). */
export function isForOrigin(request: Fields): boolean {
  return request.some(([name]) => name === "if-match" || name === "if-unmodified-since");
}

/**
 * Whether a range may be given of the stored response (RFC 9110 §13.1.5): there is no If-Range, or it names the very
 * same bytes.
 */
export function allowsRange(request: Fields, stored: Validated): boolean {
  const condition = fieldValue(request, "if-range");
  if (condition === undefined) return true;
  const tag = parseEntityTag(condition);
  if (tag !== undefined) {
    const own = parseEntityTag(fieldValue(stored.fields, "etag") ?? "");
    return own !== undefined && strongMatch(tag, own);
  }
  const modified = fieldValue(stored.fields, "last-modified");
  const date = parseHttpDate((fieldValue(stored.fields, "date") ?? "").trim(), stored.responseTime);
  const time = modified === undefined ? undefined : parseHttpDate(modified.trim(), stored.responseTime);
  if (time === undefined || date === undefined || modified?.trim() !== condition.trim()) return false;
  // A date is a strong validator only if it was not the second in which the response was made (§8.8.2.2).
  return date - time >= 1_000;
}
/** The fields a 304 repeats of the stored response (RFC 9110 §15.4.5). */
export const NOT_MODIFIED_FIELDS: ReadonlySet<string> = new Set([
  "age",
  "cache-control",
  "cache-status",
  "cdn-cache-control",
  "content-location",
  "date",
  "etag",
  "expires",
  "last-modified",
  "vary",
]);
