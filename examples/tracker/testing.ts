import { startPostgres } from "../../scripts/servers/postgres.js";
import { openDatabase, type Database } from "./database.js";
import { createDataset } from "./dataset.js";
import { databaseTracker } from "./repositories.js";
import type { Issue, Tracker } from "./model.js";

/** A small tracker in a PostgreSQL of its own, for tests. */
export interface TestTracker {
  readonly url: string;
  readonly database: Database;
  readonly tracker: Tracker;
  /** Some issue of the tenant, the lowest id first. */
  issueOf(tenant: string, nth?: number): Promise<Issue>;
  stop(): Promise<void>;
}

export async function startTestTracker(): Promise<TestTracker> {
  const server = await startPostgres();
  const database = openDatabase(server.url, { connections: 5 });
  await createDataset(database, { tenants: 3, projects: 60, users: 30, issues: 600 });
  const tracker = databaseTracker(database);
  return {
    url: server.url,
    database,
    tracker,
    async issueOf(tenant, nth = 0) {
      const [row] = await database.query<{ id: number }>(
        "select id from issues where tenant_id = $1 order by id limit 1 offset $2",
        [tenant, nth],
      );
      const issue = await tracker.issues.getById(tenant, row?.id ?? 0);
      if (issue === undefined) {
        throw new Error(`Expected ${tenant} to have more than ${nth} issues`);
      }
      return issue;
    },
    async stop() {
      await database.close();
      await server.stop();
    },
  };
}
