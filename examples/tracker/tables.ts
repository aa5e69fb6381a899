import type { InvalidationTarget, KeyInput, Segment } from "../../src/index.js";
import type { PostgresFeed, RowChange } from "../../src/postgres/index.js";
import type { Status } from "./model.js";

/** What of a cached repository its rows' changes need. */
export interface CachedRows {
  readonly cache: {
    in(tenant: string): { targetsOf(...ids: readonly KeyInput[]): readonly InvalidationTarget[] };
  };
}

export interface CachedTables {
  readonly tenants: CachedRows;
  readonly users: CachedRows;
  readonly projects: CachedRows;
  readonly issues: CachedRows;
}

interface TenantRow {
  id: string;
}

interface RowOfTenant {
  tenant_id: string;
  id: number;
}

export interface IssueRow extends RowOfTenant {
  project_id: number;
  status: Status;
}

/** The tag of what shows a project's issues as a set: its lists and counts. */
export function projectTag(projectId: number): readonly Segment[] {
  return ["issues-of", projectId];
}

/** The tag of what shows this issue among others. */
export function shownTag(id: number): readonly Segment[] {
  return ["shows-issue", id];
}

/** The tag of counts over all projects. */
export const COUNTS: readonly Segment[] = ["issue-counts"];

/**
 * What a change of a row makes outdated, whoever makes it: the API, a migration, a person with psql, a foreign key.
 *
 * Only these columns leave the database. That an old row has them is what `IDENTITIES` in `schema.ts` is for.
 */
export function mapTables(feed: PostgresFeed, schema: string | undefined, cached: CachedTables): void {
  const named = (table: string): string => (schema === undefined ? table : `${schema}.${table}`);
  feed.table<TenantRow>(named("tenants"), {
    columns: ["id"],
    targets: (change) => sidesOf(change).flatMap(({ id }) => outdatedByRow(cached.tenants, { tenant_id: id, id })),
  });
  for (const table of ["users", "projects"] as const) {
    feed.table<RowOfTenant>(named(table), {
      columns: ["tenant_id", "id"],
      targets: (change) => sidesOf(change).flatMap((row) => outdatedByRow(cached[table], row)),
    });
  }
  feed.table<IssueRow>(named("issues"), {
    columns: ["tenant_id", "id", "project_id", "status"],
    targets: ({ old, new: now }) => outdatedByIssue(cached, old, now),
    // An import of thousands leaves people and projects where they are.
    whole: ["issue", "issue-list", "issue-search", "issue-count"].map((entity) => ({ entity })),
  });
}

/** What holds the row, what belongs to it, and the lists it may be in. */
export function outdatedByRow(
  rows: CachedRows,
  { tenant_id: tenant, id }: { readonly tenant_id: string; readonly id: KeyInput },
): readonly InvalidationTarget[] {
  return rows.cache.in(tenant).targetsOf(id);
}

/** Lists and counts of its project, or of both if it has moved; counts over all projects only if it has come, gone or changed its status. */
export function outdatedByIssue(
  cached: CachedTables,
  old: IssueRow | undefined,
  now: IssueRow | undefined,
): readonly InvalidationTarget[] {
  return sidesOf({ old, new: now }).flatMap((row) => [
    ...outdatedByRow(cached.issues, row),
    {
      tags: [projectTag(row.project_id), shownTag(row.id), ...(old?.status === now?.status ? [] : [COUNTS])],
      scope: row.tenant_id,
    },
  ]);
}

/** The row as it was and as it is: one that moves leaves one place and comes to another. */
function sidesOf<Row extends object>({ old, new: now }: Pick<RowChange<Row>, "old" | "new">): readonly Row[] {
  return [old, now].filter((row) => row !== undefined);
}
