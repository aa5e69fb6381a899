import type { InvalidationTarget } from "./api.js";
import { wholeEntityMarks } from "./entity-names.js";
import { tagPaths, type TagInput } from "./dependency-tag.js";
import { CacheError } from "./errors.js";
import type { Mark } from "./invalidation/record.js";
import { encodeKey, encodePrefix, inNamespace, type ScopeInput } from "./keys.js";
import { encodePattern } from "./patterns.js";
import { display } from "./policy.js";

const FORMS = "{ key }, { keys }, { tag }, { tags }, { prefix }, { pattern }, { entity } or { all: true }";

/** Most keys one invalidation may name: it is one atomic step in the shared tier, which answers nobody meanwhile. */
export const MAX_TARGET_KEYS = 10_000;

/**
 * The marks of an invalidation, on canonical paths inside a namespace ("" for none).
 *
 * @param cache whose entities' tags are meant; `undefined` where only the form is checked.
 * @throws CacheError `ERR_CACHE_KEY` for anything that is not exactly one of the forms.
 */
export function marksOfTargets(
  target: InvalidationTarget | readonly InvalidationTarget[],
  namespace: string,
  maxKeyLength: number,
  cache: object | undefined,
): Mark[] {
  const targets: readonly unknown[] = Array.isArray(target) ? target : [target];
  const marks = targets.flatMap((one) => marksOf(one as InvalidationTarget, namespace, maxKeyLength, cache));
  if (marks.length > MAX_TARGET_KEYS) {
    throw new CacheError(
      "ERR_CACHE_KEY",
      `Expected at most ${MAX_TARGET_KEYS} keys and tags in one invalidation, got ${marks.length}`,
    );
  }
  return marks;
}

/** What may stand beside the field that names the form. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  key: [],
  keys: [],
  tag: ["scope"],
  tags: ["scope", "match"],
  prefix: [],
  pattern: [],
  entity: ["scope"],
  all: [],
};

/** Two forms in one, or a scope where none is heeded, would hit something else than was meant. */
function isOneForm(target: object): boolean {
  const fields = Object.keys(target);
  return fields.some((form) => {
    const beside = BESIDE[form];
    return beside !== undefined && fields.every((field) => field === form || beside.includes(field));
  });
}

function marksOf(
  target: InvalidationTarget,
  namespace: string,
  limit: number,
  cache: object | undefined,
): readonly Mark[] {
  if (typeof target !== "object" || target === null || !isOneForm(target)) throw invalid(target);
  for (const list of ["keys", "tags"] as const) {
    const given: unknown = (target as Readonly<Record<string, unknown>>)[list];
    if (list in target && !Array.isArray(given)) throw invalid(given);
  }
  const key = (input: Parameters<typeof encodeKey>[0]): Mark => ({
    kind: "key",
    key: inNamespace(namespace, encodeKey(input, limit)),
  });
  const tagPath = (tag: TagInput, scope: ScopeInput | undefined): string =>
    // Of an entity's tag what hangs on it: its other tags are the whole entity's.
    tagPaths(tag, cache, namespace, scope)[0] as string;
  if ("key" in target) return [key(target.key)];
  if ("keys" in target)
    return [...new Set(target.keys.map((one) => inNamespace(namespace, encodeKey(one, limit))))].map((one) => ({
      kind: "key",
      key: one,
    }));
  if ("tag" in target) return [{ kind: "tag", tag: tagPath(target.tag, target.scope) }];
  if ("tags" in target) {
    const tags = [...new Set(target.tags.map((tag) => tagPath(tag, target.scope)))].sort();
    if (target.match !== undefined && target.match !== "any" && target.match !== "all") throw invalid(target.match);
    // No tags at all: "any of none" is nothing, and "all of none" would be everything.
    if (tags.length === 0) return [];
    if (target.match === "all" && tags.length > 1) return [{ kind: "tags", tags }];
    return tags.map((tag): Mark => ({ kind: "tag", tag }));
  }
  if ("prefix" in target) return [{ kind: "prefix", prefix: inNamespace(namespace, encodePrefix(target.prefix)) }];
  if ("pattern" in target) return [{ kind: "pattern", pattern: inNamespace(namespace, encodePattern(target.pattern)) }];
  if ("entity" in target) return wholeEntityMarks(namespace, target.entity, target.scope);
  // Only the word itself: a variable that came out false or undefined must not empty the cache.
  if ("all" in target && (target.all as unknown) === true)
    return namespace === "" ? [{ kind: "all" }] : [{ kind: "prefix", prefix: namespace }];
  throw invalid(target);
}

function invalid(value: unknown): CacheError {
  const shown = typeof value === "object" && value !== null ? `{ ${Object.keys(value).join(", ")} }` : display(value);
  return new CacheError("ERR_CACHE_KEY", `Expected what to invalidate to be ${FORMS}, got \`${shown}\``);
}
