import { createHash } from "node:crypto";

import { CacheError } from "./errors.js";
import { encodeTag, entityPrefix, entityTag, inNamespace, type KeyInput, type ScopeInput } from "./keys.js";

/**
 * Something of an entity's as a tag (`Entity.tag`): what carries it is invalidated in the record that invalidates the thing. It may
 * stand wherever tags are given, in every namespace and scope of its cache.
 *
 * As text (`String(tag)`) it is the thing's surrogate key, for where only text goes: a header of a response, `cacheTag` of Next.js. Text is a
 * tag of the namespace it is used in, which must be the entity's own.
 */
export class DependencyTag {
  readonly #cache: object;
  readonly #paths: readonly string[];
  readonly #text: string;

  /** @internal */
  constructor(cache: object, text: string, paths: readonly string[]) {
    this.#cache = cache;
    this.#text = text;
    this.#paths = paths;
  }

  toString(): string {
    return this.#text;
  }

  /**
   * Canonical paths of the tags that an entry gets, its own first.
   *
   * @throws CacheError `ERR_CACHE_KEY` in another cache, which has a log of its own and would never hear of the thing. @internal
   */
  pathsIn(cache: object | undefined): readonly string[] {
    if (cache === undefined || cache === this.#cache) return this.#paths;
    throw new CacheError(
      "ERR_CACHE_KEY",
      `Expected a tag of this cache's own entities, got \`${this.#text}\` of another`,
    );
  }
}

/** Anything that may tag an entry. */
export type TagInput = KeyInput | DependencyTag;

/**
 * Canonical paths of a tag, its own first.
 *
 * @param cache `undefined` where only the form is checked.
 * @throws CacheError `ERR_CACHE_KEY` for what cannot be a tag, and for an entity's tag in another cache.
 */
export function tagPaths(
  tag: TagInput,
  cache: object | undefined,
  namespace: string,
  scope?: ScopeInput,
): readonly string[] {
  if (tag instanceof DependencyTag) return tag.pathsIn(cache);
  const own = inNamespace(namespace, encodeTag(tag, scope));
  return typeof tag === "string" && tag.startsWith("~") && scope === undefined
    ? [own, ...wholes(tag, namespace)]
    : [own];
}

/** What the surrogate key of one thing falls with besides: all of its entity in its scope, and in every one. */
function wholes(text: string, namespace: string): readonly string[] {
  const [scope, entity, ...id] = text.slice(1).split(":");
  if (id.length === 0 || !PLAIN.test(text)) return [];
  return [encodeTag(`~${scope}:${entity}:`), `~${entity}`].map((path) => inNamespace(namespace, path));
}

/** Longest key that is written out; CloudFront takes 256. */
const MAX_LENGTH = 200;
/** What separates nothing in any vendor's field, query or expression. */
const PLAIN = /^[\w.:~=%@!$&'+/-]+$/;

/** A path as a surrogate key: as it is where every vendor takes it, else its digest, which no path begins like. */
export function surrogateText(path: string): string {
  if (path.length <= MAX_LENGTH && PLAIN.test(path)) return path;
  return `~!${createHash("sha256").update(path).digest("hex")}`;
}

/** Surrogate keys of what an entity has. */
export const entityTexts = {
  /** One thing: `~acme:contact:7`. `path` is its entry's, without the version. */
  of: (path: string): string => surrogateText(`~${path}`),
  /** Whichever changes: no id begins with "~". */
  any: (scope: ScopeInput | undefined, entity: string): string => surrogateText(`~${entityPrefix(scope, entity)}~any`),
  /** All together, of a scope or of every one. */
  all: (scope: ScopeInput | undefined, entity: string): string =>
    surrogateText(scope === undefined ? entityTag(entity) : `~${entityPrefix(scope, entity)}`),
} as const;
