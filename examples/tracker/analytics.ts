import type { Cache } from "../../src/index.js";
import {
  materializedViews,
  type ChangedRows,
  type MaterializedViews,
  type ViewClient,
} from "../../src/postgres/index.js";
import type { Database } from "./database.js";
import type { AnalyticsRepository, ProjectProgress } from "./model.js";
import { progressOf, type ProgressRow } from "./repositories.js";

export interface ViewAnalytics extends AnalyticsRepository {
  readonly views: MaterializedViews;
  /** Of the view, for `views`. */
  readonly name: string;
}

/**
 * Analytics from the view `project_progress`, which one of the processes refreshes when rows it is made of have changed: as of when
 * is part of the answer.
 *
 * @param feed tells of changed rows. Without one the view may lack some at any time, and is refreshed as often.
 */
export function viewAnalytics(cache: Cache, { pool, schema }: Database, feed?: ChangedRows): ViewAnalytics {
  const named = (table: string): string => (schema === undefined ? table : `${schema}.${table}`);
  const name = named("project_progress");
  const views = materializedViews(cache, {
    pool,
    feed,
    views: {
      [name]: {
        tables: [named("issues"), named("projects")],
        refresh: feed === undefined ? { every: "10s" } : { dirty: true, atMost: "10s" },
        mode: "concurrent",
      },
    },
  });
  return {
    views,
    name,
    async progress(tenant) {
      const read = () => views.read(name, tenant, (client) => progressIn(client, tenant));
      const { asOf, value } = await read();
      if (asOf !== undefined) return { asOf, projects: value };
      // Nobody has refreshed it since it was created.
      await views.refresh(name);
      const again = await read();
      return { asOf: again.asOf, projects: again.value };
    },
  };
}

async function progressIn(client: ViewClient, tenant: string): Promise<readonly ProjectProgress[]> {
  const { rows } = await client.query(
    `select project_id as "projectId", project_key as "projectKey", status, count
     from project_progress where tenant_id = $1 order by project_key, status`,
    [tenant],
  );
  return progressOf(rows as unknown as readonly ProgressRow[]);
}
