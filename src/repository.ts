import type { Cache, InvalidationResult } from "./api.js";
import { CacheError } from "./errors.js";
import type { KeyInput, ScopeInput } from "./keys.js";
import { optionError } from "./policy.js";
import { declare, type Declaration, type LooseDefinition } from "./repository/declaration.js";
import type {
  CachedRepository,
  MethodName,
  RepositoryDefinition,
  RepositoryInvalidation,
  ResultOf,
  RowIn,
  ScopeDefinition,
} from "./repository/definition.js";
import { facade } from "./repository/facade.js";
import { RepositoryReads, type TargetMethod } from "./repository/reads.js";
import { targetsOfAll, targetsOfRows } from "./repository/rows.js";
import { isScope, scopeless } from "./repository/scope.js";
import { write } from "./repository/writes.js";

export type {
  CachedRepository,
  ManyDefinition,
  ReadDefinition,
  ReadKind,
  RepositoryControls,
  RepositoryDefinition,
  RepositoryInvalidation,
  ScopeDefinition,
  ScopedRepositoryControls,
  WriteDefinition,
  WriteKind,
} from "./repository/definition.js";

/**
 * A repository (or any object with methods that read and write) with its reads cached and its writes invalidating,
 * declared once.
 *
 * ```ts
 * const issues = repository(cache, new SqlIssues(pool), {
 *   name: "issue",
 *   scope: "tenant", // the first argument of every declared method
 *   ttl: "5m",
 *   reads: { getById: "id", getByKey: "key", list: "list", search: "search", count: "count" },
 *   writes: { create: "create", update: "change", remove: { ids: (tenant, id) => [id] }, importAll: "all" },
 * });
 * await issues.getById("acme", 7);          // cached as acme:issue:id:7:v1
 * await issues.update("acme", 7, changes);  // then row 7, wherever it is held, and the tenant's lists are gone
 * await issues.cache.in("acme").invalidate(7);
 * ```
 *
 * The result has the target's type; what is not declared is the target's own. Methods run with the target as `this`,
 * so one that calls another inside the target does not pass through the cache. Concurrent calls of one read share
 * one call of the target; the results are the cache's (frozen, unless it says otherwise), so they must be data: an
 * instance of a class is handed on and never stored.
 *
 * Writes invalidate when their promise has settled: it must settle after the commit. One that rejects invalidates as
 * well, because it may have committed. Declare a repository once per cache, over a target that lives as long.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for a definition that is wrong; `ERR_CACHE_ENTITY` when the name is taken,
 * and, from a declared method, when a call has no scope.
 */
export function repository<
  R extends object,
  Reads extends MethodName<R>,
  Writes extends MethodName<R> = never,
  Row = RowIn<ResultOf<R, Reads>>,
  Scope extends ScopeDefinition | undefined = undefined,
  Controls extends string = "cache",
>(
  cache: Cache,
  target: R,
  definition: RepositoryDefinition<R, Reads, Writes, Row, Scope, Controls>,
): CachedRepository<R, Reads, Scope, Controls> {
  if (typeof target !== "object" || target === null) throw optionError("target", "an object with methods", target);
  if (typeof definition !== "object" || definition === null) throw optionError("definition", "an object", definition);
  // The definition's type is checked against the target's here; inside, arguments and results are `unknown`.
  const declaration = declare(definition as unknown as LooseDefinition, target);
  const reads = new RepositoryReads(cache, declaration);
  const methodOf = (name: string): TargetMethod => {
    // Looked up at each call, so that a method replaced on the target is the one that runs.
    const method = Reflect.get(target, name) as TargetMethod;
    return async (...args) => method.call(target, ...args);
  };
  const members = new Map<PropertyKey, unknown>();
  for (const read of declaration.reads.values()) {
    members.set(read.method, (...args: readonly unknown[]) => reads.call(read, methodOf(read.method), args, false));
  }
  for (const declared of declaration.writes.values()) {
    members.set(declared.method, (...args: readonly unknown[]) =>
      write(cache, declaration, declared, methodOf(declared.method), args),
    );
  }
  members.set(declaration.controls, controlsOf(cache, declaration, reads, methodOf));
  return facade(target, members) as CachedRepository<R, Reads, Scope, Controls>;
}

function controlsOf(
  cache: Cache,
  declaration: Declaration,
  reads: RepositoryReads,
  methodOf: (name: string) => TargetMethod,
): object {
  const { name, scope } = declaration;
  const readOf = (method: string) => {
    const read = declaration.reads.get(method);
    if (read === undefined) throw new CacheError("ERR_CACHE_ENTITY", `\`${name}\` declares no read \`${method}\``);
    return read;
  };
  const common = {
    key: (method: string, ...args: readonly unknown[]): string => reads.key(readOf(method), args),
    refresh: async (method: string, ...args: readonly unknown[]): Promise<unknown> =>
      reads.call(readOf(method), methodOf(method), args, true),
  };
  if (scope === undefined) return { ...common, ...invalidationOf(cache, name, undefined) };
  return {
    ...common,
    in: (found: ScopeInput): RepositoryInvalidation => {
      if (!isScope(found)) throw scopeless(name, scope, found);
      return invalidationOf(cache, name, found);
    },
    invalidateAll: (): Promise<InvalidationResult> => cache.invalidate({ entity: name }),
  };
}

function invalidationOf(cache: Cache, name: string, scope: ScopeInput | undefined): RepositoryInvalidation {
  return {
    invalidate: (...ids: readonly KeyInput[]) => cache.invalidate(targetsOfRows(name, ids, scope)),
    invalidateLists: () => cache.invalidate(targetsOfRows(name, [], scope)),
    invalidateAll: () => cache.invalidate(targetsOfAll(name, scope)),
    targetsOf: (...ids: readonly KeyInput[]) => targetsOfRows(name, ids, scope),
  };
}
