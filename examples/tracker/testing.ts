import { randomBytes } from "node:crypto";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { openCachedTracker, type CachedTracker, type CachedTrackerOptions } from "./cached.js";
import { openDatabase, type Database } from "./database.js";
import { createDataset } from "./dataset.js";
import { removeFeed } from "./feed.js";
import { databaseTracker } from "./repositories.js";
import type { Issue, Tracker } from "./model.js";

/** A small tracker in a PostgreSQL of its own, for tests. */
export interface TestTracker {
  readonly url: string;
  readonly database: Database;
  readonly tracker: Tracker;
  /** Some issue of the tenant, the lowest id first. */
  issueOf(tenant: string, nth?: number): Promise<Issue>;
  /** A cache before it that hears of every change; its slot goes when it is closed. */
  cached(options?: Partial<CachedTrackerOptions> & { source?: Tracker | undefined }): Promise<FedTracker>;
  stop(): Promise<void>;
}

export interface FedTracker extends CachedTracker {
  /** Resolves when this cache serves nothing older than what is committed. */
  caughtUp(): Promise<void>;
}

/** @param settings of the server. */
export async function startTestTracker(settings: Readonly<Record<string, string>> = {}): Promise<TestTracker> {
  // A commit comes to the feed when it is in the log's file: at once this way.
  const server = await startPostgres({ settings: { synchronous_commit: "on", ...settings } });
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
    async cached({ source = tracker, slot = `test_${randomBytes(6).toString("hex")}`, ...options } = {}) {
      const cached = await openCachedTracker(source, { name: "test", database, slot, ...options });
      await cached.feed?.ready();
      return {
        ...cached,
        caughtUp: async () => cached.feed?.wait(await cached.feed.token(), { timeout: "30s" }),
        async close() {
          await cached.close();
          const [other] = await database.query("select from pg_replication_slots where slot_name = $1 and active", [
            slot,
          ]);
          if (other === undefined) await removeFeed(database, slot);
        },
      };
    },
    async stop() {
      await database.close();
      await server.stop();
    },
  };
}
