import type { Cache, CacheOptions, WarmReport, WarmTask } from "../../src/index.js";
import type { PostgresFeed } from "../../src/postgres/index.js";
import { cacheRepositories, createCrmCache, type Repositories } from "./caching.js";
import type { Database } from "./database.js";
import { EventBus, invalidateOnEvents } from "./events.js";
import { mapTables } from "./feed.js";
import { createReports, type Reports } from "./reports.js";
import { SqlDeals, SqlUsers } from "./sql/people.js";
import { Users } from "./users.js";

export interface CrmOptions extends Omit<CacheOptions, "feed"> {
  /** Tells of changed rows. @default none: whatever is cached is as old as its kind may be */
  feed?: PostgresFeed | undefined;
}

/** One process of the CRM. */
export interface Crm extends Repositories {
  readonly cache: Cache;
  readonly users: Users;
  readonly reports: Reports;
  readonly events: EventBus;
  /** Loads what every request needs, before there is one: each tenant's categories and settings. */
  warm(tenants: readonly string[]): Promise<WarmReport>;
  /**
   * Resolves when this process serves nothing older than what is committed now: for whoever has written, and reads on. Without
   * a feed it forgets everything.
   */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export function createCrm(database: Database, options: CrmOptions = {}): Crm {
  const { feed } = options;
  const cache = createCrmCache(options);
  const repositories = cacheRepositories(cache, database);
  const users = new Users(cache, new SqlUsers(database));
  if (feed !== undefined) mapTables(feed, database.schema, repositories, users);
  const events = new EventBus();
  invalidateOnEvents(events, cache, repositories, users);
  return {
    ...repositories,
    cache,
    users,
    events,
    reports: createReports(cache, new SqlDeals(database)),
    warm: (tenants) => cache.warm(warmPlan(repositories, tenants), { concurrency: 4 }),
    async caughtUp() {
      if (feed === undefined) await cache.invalidate({ all: true });
      else await feed.wait(await feed.token(), { timeout: "30s" });
    },
    close: () => cache.close(),
  };
}

function* warmPlan({ categories, settings }: Repositories, tenants: readonly string[]): Generator<WarmTask> {
  for (const tenant of tenants) {
    yield () => categories.list(tenant);
    yield () => settings.all(tenant);
  }
}
