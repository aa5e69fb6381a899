/** A validator of a representation (RFC 9110 §8.8.3). */
export interface EntityTag {
  readonly weak: boolean;
  /** With its quotes. */
  readonly opaque: string;
}

const ENTITY_TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/;
/** One blank run for each way through it, so that long runs cost no more than their length. */
const LISTED = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;

/** `undefined` for what is none. */
export function parseEntityTag(text: string): EntityTag | undefined {
  const match = ENTITY_TAG.exec(text.trim());
  return match?.[2] === undefined ? undefined : { weak: match[1] !== undefined, opaque: match[2] };
}

/** What some origins send for a tag: without its quotes. It is no tag, and is only ever given back to them as it came. */
export function isUnquotedTag(text: string): boolean {
  const trimmed = text.trim();
  return /^[\x21\x23-\x2b\x2d-\x7e]+$/.test(trimmed) && !trimmed.startsWith("W/") && trimmed !== "*";
}

/** The list of If-Match and If-None-Match; `undefined` when it is malformed, "*" for any. */
export function parseEntityTags(text: string): readonly EntityTag[] | "*" | undefined {
  if (text.trim() === "*") return "*";
  const tags: EntityTag[] = [];
  LISTED.lastIndex = 0;
  while (LISTED.lastIndex < text.length) {
    const match = LISTED.exec(text);
    if (match === null) return undefined;
    if (match[2] !== undefined) tags.push({ weak: match[1] !== undefined, opaque: match[2] });
  }
  return tags.length === 0 ? undefined : tags;
}

/** Both strong and the same: byte for byte the same representation (RFC 9110 §8.8.3.2). */
export function strongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque;
}

/** The same but for strength. */
export function weakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque;
}
