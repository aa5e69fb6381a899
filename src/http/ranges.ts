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

export function contentRange({ first, last }: ByteRange, length: number): string {
  return `bytes ${first}-${last}/${length}`;
}
