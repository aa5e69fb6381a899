import { CacheError } from "../errors.js";
import type { ScopeInput } from "../keys.js";
import { optionError } from "../policy.js";
import type { ScopeDefinition } from "./definition.js";

type Args = readonly unknown[];

/** The scope of a call, from its arguments. @throws CacheError `ERR_CACHE_ENTITY` when the call has none. */
export type ScopeOf = (args: Args) => ScopeInput | undefined;

/** What the scope is called, for errors. @throws CacheError `ERR_CACHE_OPTION` */
export function scopeName(scope: ScopeDefinition): string {
  const name: unknown = typeof scope === "object" && scope !== null ? scope.name : scope;
  if (typeof name !== "string" || name === "") {
    throw optionError("scope", `a name such as "tenant", or { name, of }`, name);
  }
  if (typeof scope === "object" && typeof scope.of !== "function") {
    throw optionError("scope.of", "a function", scope.of);
  }
  return name;
}

/** Whether the first argument of a method is its scope, and so no part of its key. */
export function takesScopeFirst(scope: ScopeDefinition | undefined, own: unknown): boolean {
  return typeof scope === "string" && own === undefined;
}

/**
 * How the scope of a method's calls is told.
 *
 * @param own the method's own way, if it has one.
 */
export function scopeOf(
  scope: ScopeDefinition | undefined,
  repository: string,
  method: string,
  own: ((...args: Args) => ScopeInput) | undefined,
): ScopeOf {
  if (scope === undefined) {
    if (own !== undefined) throw optionError(`${method}.scope`, "absent in a repository without `scope`", own);
    return () => undefined;
  }
  const name = scopeName(scope);
  const find = finder(scope, method, own);
  return (args) => {
    const found = find(args);
    if (!isScope(found)) throw scopeless(`${repository}.${method}`, name, found);
    return found;
  };
}

/** Whether it can be a scope at all; what an array holds is looked at when it is encoded. */
export function isScope(scope: unknown): scope is ScopeInput {
  if (typeof scope === "string" || Array.isArray(scope)) return scope.length > 0;
  return (typeof scope === "number" && Number.isFinite(scope)) || typeof scope === "bigint";
}

export function scopeless(what: string, name: string, got: unknown): CacheError {
  return new CacheError(
    "ERR_CACHE_ENTITY",
    `Expected the ${name} of \`${what}\` to be a string or an array, neither empty, a number or a bigint, got ${got === "" ? "an empty string" : typeof got}`,
  );
}

function finder(
  scope: ScopeDefinition,
  method: string,
  own: ((...args: Args) => ScopeInput) | undefined,
): (args: Args) => unknown {
  if (own !== undefined) return (args) => own(...args);
  if (typeof scope === "string") return (args) => args[0];
  return (args) => scope.of(method, args);
}
