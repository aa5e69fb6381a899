import type { Cache } from "./api.js";
import { repository } from "./repository.js";

/*
 * What the compiler must accept and refuse in a repository's definition. Never run.
 */

interface Issue {
  readonly id: string;
  readonly key: string;
  readonly projectId: number;
}

declare const cache: Cache;
declare const target: {
  readonly size: number;
  getById(tenant: string, id: string): Promise<Issue | null>;
  getMany(tenant: string, ids: readonly string[]): Promise<(Issue | null)[]>;
  list(tenant: string, page: { skip: number }): Promise<Issue[]>;
  count(tenant: string): Promise<number>;
  update(tenant: string, id: string, changes: Partial<Issue>): Promise<Issue>;
  remove(tenant: string, id: string): Promise<boolean>;
  tenants(): string[];
};

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

export function accepts(): void {
  const issues = repository(cache, target, {
    name: "issue",
    // Before the reads as well as after them, a row is what the reads give.
    id: (row) => (same<typeof row, Issue>(true), row.id),
    scope: "tenant",
    ttl: "5m",
    reads: {
      getById: { kind: "id", key: (tenant, id) => (same<typeof tenant, string>(true), id) },
      getMany: { kind: "many", absent: null, result: "aligned" },
      list: {
        kind: "list",
        staleWhileRevalidate: "1m",
        tags: (rows, _tenant, page) => [...rows.map((row) => row.key), page.skip],
      },
      count: "count",
    },
    writes: {
      update: { ids: (_tenant, id) => [id], invalidates: (row, tenant) => [{ tag: row?.key ?? "?", scope: tenant }] },
      remove: "change",
    },
    tags: (row) => [row.key],
    belongsTo: { project: (row) => row.projectId },
  });

  same<ReturnType<typeof issues.getById>, Promise<Issue | null>>(true);
  same<Parameters<typeof issues.update>, [tenant: string, id: string, changes: Partial<Issue>]>(true);
  same<typeof issues.tenants, () => string[]>(true);
  same<typeof issues.size, number>(true);
  issues.cache.key("list", "acme", { skip: 0 });
  same<Awaited<ReturnType<typeof issues.cache.in>["invalidate"]> extends never ? 1 : 2, 2>(true);
  const refreshed = issues.cache.refresh("getById", "acme", "7");
  same<typeof refreshed, Promise<Issue | null>>(true);
  void issues.cache.in("acme").invalidate("7", "8");

  const unscoped = repository(cache, target, { name: "issue", reads: { getById: "id" }, controls: "caching" });
  void unscoped.caching.invalidate("7");

  // A result that is not made of rows only: the row is named by hand.
  const reports = { byMonth: async (month: string) => ({ month, rows: [] as Issue[] }) };
  repository(cache, reports, {
    name: "report",
    reads: { byMonth: { kind: "list", rows: ({ rows }) => rows } },
    id: (row: Issue) => row.id,
  });
}

export function refuses(): void {
  repository(cache, target, {
    name: "issue",
    // @ts-expect-error no such method
    reads: { getByID: "id" },
  });
  repository(cache, target, {
    name: "issue",
    // @ts-expect-error not a method that promises
    reads: { tenants: "list" },
  });
  repository(cache, target, {
    name: "issue",
    // @ts-expect-error not a method
    reads: { size: "count" },
  });
  repository(cache, target, {
    name: "issue",
    // @ts-expect-error no such kind
    reads: { getById: "row" },
  });
  repository(cache, target, {
    name: "issue",
    reads: {
      // @ts-expect-error what an absent row is must be said
      getMany: { kind: "many" },
    },
  });
  repository(cache, target, {
    name: "issue",
    reads: {
      // @ts-expect-error the id is text
      getById: { kind: "id", key: (_tenant, id: number) => id },
    },
  });
  repository(cache, target, {
    name: "issue",
    reads: {
      // @ts-expect-error a date's methods are no key
      getById: { kind: "id", key: () => () => 1 },
    },
  });
  repository(cache, target, {
    name: "issue",
    reads: {
      // @ts-expect-error rows have no such property
      list: { kind: "list", tags: (rows) => rows.map((row) => row.team) },
    },
  });
  repository(cache, target, {
    name: "issue",
    reads: { getById: "id" },
    // @ts-expect-error rows have no such property
    id: (row) => row.uuid,
  });
  repository(cache, target, {
    name: "issue",
    reads: { getById: "id" },
    // @ts-expect-error no such method
    writes: { updateAll: "all" },
  });
  repository(cache, target, {
    name: "issue",
    reads: { getById: "id" },
    writes: {
      // @ts-expect-error ids are keys
      update: { ids: (_tenant, _id, changes) => [changes] },
    },
  });

  const scoped = repository(cache, target, {
    name: "issue",
    scope: "tenant",
    reads: { getById: "id" },
    writes: { update: "change" },
  });
  // @ts-expect-error a scoped repository is invalidated in a scope
  void scoped.cache.invalidate("7");
  // @ts-expect-error not a read
  scoped.cache.key("update", "acme", "7", {});
  // @ts-expect-error not declared
  scoped.cache.key("list", "acme", { skip: 0 });
  // @ts-expect-error the arguments are the method's
  scoped.cache.key("getById", "acme");
  // @ts-expect-error the method's signature is the target's
  void scoped.getById("acme", 7);
}
