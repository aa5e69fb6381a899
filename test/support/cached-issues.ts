import type { Cache } from "../../src/api.js";
import { createCache } from "../../src/cache.js";
import { CacheError, type CacheErrorCode } from "../../src/errors.js";
import { repository, type CachedRepository } from "../../src/repository.js";
import { Issues, issue, type Issue } from "./issues.js";

export type CachedIssues = CachedRepository<
  Issues,
  "getById" | "getByKey" | "getMany" | "list" | "listByProject" | "search" | "count",
  "tenant"
>;

/** Issues behind a cache, as a service would declare them. */
export function cachedIssues(cache: Cache, target: Issues): CachedIssues {
  return repository(cache, target, {
    name: "issue",
    scope: "tenant",
    version: 2,
    reads: {
      getById: "id",
      getByKey: "key",
      getMany: { kind: "many", absent: null },
      list: "list",
      listByProject: { kind: "list", as: "project" },
      search: { kind: "search", key: (_tenant, text, limit) => ({ q: text, limit }), rows: ({ hits }) => hits },
      count: "count",
    },
    writes: {
      create: "create",
      update: "change",
      renameAll: "all",
      remove: { ids: (_tenant, id) => [id] },
    },
    belongsTo: { project: (row: Issue) => row.projectId },
  });
}

/** A cache over three issues of each tenant, the third of project 9 and the others of project 1. */
export async function filled(
  tenants: readonly string[] = ["acme"],
  cache: Cache = createCache(),
): Promise<{ readonly cache: Cache; readonly target: Issues; readonly issues: CachedIssues }> {
  const target = new Issues();
  for (const tenant of tenants) {
    for (const id of [1, 2, 3])
      await target.create(tenant, { ...issue(id, id === 3 ? 9 : 1), title: `Issue ${id} of ${tenant}` });
  }
  target.calls.length = 0;
  return { cache, target, issues: cachedIssues(cache, target) };
}

/** The calls that reach the target while `act` runs. */
export async function callsOf(target: Issues, act: () => Promise<unknown>): Promise<readonly string[]> {
  target.calls.length = 0;
  await act();
  return target.calls.slice();
}

/** The code that `act` fails with. */
export async function codeOf(act: () => unknown): Promise<CacheErrorCode | undefined> {
  try {
    await act();
  } catch (error) {
    return error instanceof CacheError ? error.code : undefined;
  }
  return undefined;
}
