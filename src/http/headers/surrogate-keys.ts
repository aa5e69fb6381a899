import { entityTexts, surrogateText } from "../../dependency-tag.js";
import { CacheError } from "../../errors.js";
import { encodeEntityKey, encodeTag, type KeyInput, type ScopeInput } from "../../keys.js";

/** The response field a vendor reads keys from: Fastly, Varnish's xkey, Cloudflare and CloudFront, in this order. */
export type SurrogateField = "surrogate-key" | "xkey" | "cache-tag";

/** All keys of a response in one field: Fastly and Cloudflare read 16 KB. */
const MAX_FIELD = 16_000;
/** Visible ASCII without commas. */
const VISIBLE = /^[\x21-\x2b\x2d-\x7e]+$/;

/**
 * The surrogate key of what an entity is about, for the headers of responses that are built from it: `contacts.invalidate(7)` then
 * purges them wherever `forwardInvalidations` reaches. Of one row with its id, of all of a scope without, and of all scopes with the
 * name alone. Distinct things have distinct keys; one that is too long, or has other characters, is its SHA-256.
 *
 * @throws CacheError `ERR_CACHE_KEY` for what cannot be an id, a name or a scope.
 */
export function surrogateKey(entity: string, id?: KeyInput, scope?: ScopeInput): string {
  if (id === undefined) return entityTexts.all(scope, entity);
  // The version is of the stored form: the row is the same.
  return entityTexts.of(encodeEntityKey(scope, entity, id, 0).slice(0, -":v0".length));
}

/**
 * The surrogate key of a tag, for the headers of responses that `invalidateTag` is to purge: of an entity's tag with its scope, of
 * the cache's own without one, where it is the tag's text if a header can carry it.
 */
export function surrogateTag(tag: KeyInput, scope?: ScopeInput): string {
  const path = encodeTag(tag, scope);
  return headerTag(path) ?? surrogateText(`@${path}`);
}

/**
 * What a header says to give a stored response a tag; `undefined` when no text does, as the tag is of a scope, or cannot
 * stand in a header. @internal
 */
export function headerTag(path: string): string | undefined {
  const prefix = "global:";
  if (!path.startsWith(prefix)) return undefined;
  const text = path.slice(prefix.length).split(":").map(segmentText).join(":");
  return VISIBLE.test(text) && encodeTag(text) === path ? text : undefined;
}

/** The text of a segment that holds a string, or a name and a string (see `keys.ts`). @internal */
export function segmentText(segment: string): string {
  const bare = segment.replace(/^([^=]+=)?'/, "$1");
  return bare.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/**
 * Header fields with the keys of a response, each once: `{ "surrogate-key": "a b", "cache-tag": "a,b" }`.
 *
 * @throws CacheError `ERR_CACHE_KEY` for a key with blanks, commas or other characters than visible ASCII, or more keys than vendors read.
 */
export function surrogateKeys(
  keys: readonly string[],
  fields: readonly SurrogateField[] = ["surrogate-key"],
): Record<string, string> {
  const distinct = [...new Set(keys)];
  for (const key of distinct) {
    if (typeof key === "string" && VISIBLE.test(key)) continue;
    throw new CacheError(
      "ERR_CACHE_KEY",
      "Expected a surrogate key to be visible ASCII without commas (see `surrogateKey`)",
    );
  }
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const value = distinct.join(field === "cache-tag" ? "," : " ");
    if (value.length > MAX_FIELD) {
      throw new CacheError(
        "ERR_CACHE_KEY",
        `Expected the surrogate keys to be ${MAX_FIELD} bytes at most, got ${value.length}`,
      );
    }
    if (value !== "") headers[field] = value;
  }
  return headers;
}
