/** Bytes of a representation, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** What a Range field asks of a representation of known length. */
export type RangeAnswer =
  | { readonly kind: "parts"; readonly ranges: readonly ByteRange[] }
  | { readonly kind: "unsatisfiable" }
  /** The field does not count (RFC 9110 §14.2): malformed, of another unit, or more trouble than the whole. */
  | { readonly kind: "whole" };

/** Most parts of one answer; a client that asks for more gets the whole (RFC 9110 §14.2, §17.15). */
export const MOST_PARTS = 16;
/** Characters of a Range field with that many parts. */
const LONGEST = 1_000;

const UNIT = /^bytes=/i;
const RANGE = /^[ \t]*(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))[ \t]*$/;
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i;

/** The parts a request asks for (RFC 9110 §14.1.2), those that overlap or touch as one. */
export function requestedRanges(text: string, length: number): RangeAnswer {
  if (text.length > LONGEST || !UNIT.test(text)) return { kind: "whole" };
  const ranges: ByteRange[] = [];
  const specifiers = text
    .slice("bytes=".length)
    .split(",")
    .filter((one) => one.trim() !== "");
  if (specifiers.length === 0 || specifiers.length > MOST_PARTS) return { kind: "whole" };
  for (const specifier of specifiers) {
    const range = rangeOf(specifier, length);
    if (range === "malformed") return { kind: "whole" };
    if (range !== "unsatisfiable") ranges.push(range);
  }
  if (ranges.length === 0) return { kind: "unsatisfiable" };
  const apart = coalesced(ranges);
  const bytes = apart.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  // Several parts that are all of it, with what says so around each, are no saving.
  return apart.length > 1 && bytes >= length ? { kind: "whole" } : { kind: "parts", ranges: apart };
}

function rangeOf(specifier: string, length: number): ByteRange | "malformed" | "unsatisfiable" {
  const match = RANGE.exec(specifier);
  if (match === null) return "malformed";
  const [, from, to, suffix] = match;
  if (suffix !== undefined) {
    if (Number(suffix) === 0 || length === 0) return "unsatisfiable";
    return { first: Math.max(0, length - Number(suffix)), last: length - 1 };
  }
  const first = Number(from);
  if (to !== undefined && Number(to) < first) return "malformed";
  if (first >= length) return "unsatisfiable";
  return { first, last: Math.min(to === undefined ? length - 1 : Number(to), length - 1) };
}

/** In the order they were asked for, unless some of them had to be made one (RFC 9110 §15.3.7.2). */
function coalesced(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const sorted = ranges.toSorted((a, b) => a.first - b.first);
  const joined: ByteRange[] = [];
  for (const range of sorted) {
    const before = joined.at(-1);
    if (before === undefined || range.first > before.last + 1) joined.push(range);
    else joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return joined.length === ranges.length ? ranges : joined;
}

export function contentRange({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`;
}

/** What a Content-Range says (RFC 9110 §14.4); `undefined` when it is malformed, or leaves the whole's length open. */
export function parseContentRange(text: string): (ByteRange & { readonly length: number }) | undefined {
  const match = CONTENT_RANGE.exec(text.trim());
  if (match === null) return undefined;
  const [first, last, length] = match.slice(1).map(Number) as [number, number, number];
  return first <= last && last < length ? { first, last, length } : undefined;
}
