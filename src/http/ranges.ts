import { parseEntityTag, strongMatch } from "./entity-tag.js";
import { fieldValue, type Fields } from "./fields.js";

/** Bytes of a representation, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** What a Range field asks of a representation of known length. */
export type RangeAnswer =
  | { readonly kind: "part"; readonly range: ByteRange }
  | { readonly kind: "unsatisfiable" }
  /** The field does not count: malformed, another unit, or several parts, which are not made here (RFC 9110 §14.2 lets a server ignore it). */
  | { readonly kind: "whole" };

const SINGLE_RANGE = /^bytes=[ \t]*(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))[ \t]*$/i;
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i;

/** The part a request asks for (RFC 9110 §14.1.2). */
export function requestedRange(text: string, length: number): RangeAnswer {
  const match = SINGLE_RANGE.exec(text);
  if (match === null) return { kind: "whole" };
  const [, from, to, suffix] = match;
  if (suffix !== undefined) {
    if (Number(suffix) === 0 || length === 0) return { kind: "unsatisfiable" };
    return { kind: "part", range: { first: Math.max(0, length - Number(suffix)), last: length - 1 } };
  }
  const first = Number(from);
  if (to !== undefined && Number(to) < first) return { kind: "whole" };
  if (first >= length) return { kind: "unsatisfiable" };
  return { kind: "part", range: { first, last: Math.min(to === undefined ? length - 1 : Number(to), length - 1) } };
}

/** A Content-Range of a part whose whole length is known; `undefined` for anything else (RFC 9110 §14.4). */
export function parseContentRange(text: string): (ByteRange & { readonly length: number }) | undefined {
  const match = CONTENT_RANGE.exec(text.trim());
  if (match === null || match[3] === "*") return undefined;
  const [first, last, length] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return first <= last && last < length ? { first, last, length } : undefined;
}

export function contentRange({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`;
}

/** Bytes of a representation, and where they lie in it. */
export interface Part {
  readonly fields: Fields;
  readonly range: ByteRange;
  /** Of the whole representation. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/**
 * Two parts as one (RFC 9111 §3.4): only where both have the same strong entity tag and length, and there is no gap between
 * them. The newer one's bytes count where both have some; its fields are the result's.
 */
export function combineParts(older: Part, newer: Part): Part | undefined {
  const a = parseEntityTag(fieldValue(older.fields, "etag") ?? "");
  const b = parseEntityTag(fieldValue(newer.fields, "etag") ?? "");
  if (a === undefined || b === undefined || !strongMatch(a, b) || older.length !== newer.length) return undefined;
  if (!isWhole(older) || !isWhole(newer)) return undefined;
  const first = Math.min(older.range.first, newer.range.first);
  const last = Math.max(older.range.last, newer.range.last);
  const isApart = older.range.last + 1 < newer.range.first || newer.range.last + 1 < older.range.first;
  if (isApart) return undefined;
  const bytes = new Uint8Array(last - first + 1);
  bytes.set(older.bytes, older.range.first - first);
  bytes.set(newer.bytes, newer.range.first - first);
  return { fields: newer.fields, range: { first, last }, length: newer.length, bytes };
}

/** Whether the bytes are those that the range promises. */
function isWhole({ range, bytes }: Part): boolean {
  return bytes.length === range.last - range.first + 1;
}
