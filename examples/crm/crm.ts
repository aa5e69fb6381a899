import type { Cache, CacheOptions, WarmReport, WarmTask } from "../../src/index.js";
import { cacheRepositories, createCrmCache, type Repositories } from "./caching.js";
import type { Database } from "./database.js";
import { EventBus, invalidateOnEvents } from "./events.js";
import { createReports, type Reports } from "./reports.js";
import { SqlDeals, SqlUsers } from "./sql/people.js";
import { Users } from "./users.js";

/** One process of the CRM. */
export interface Crm extends Repositories {
  readonly cache: Cache;
  readonly users: Users;
  readonly reports: Reports;
  readonly events: EventBus;
  /** Loads what every request needs, before there is one: each tenant's categories and settings. */
  warm(tenants: readonly string[]): Promise<WarmReport>;
  close(): Promise<void>;
}

export function createCrm(database: Database, options: CacheOptions = {}): Crm {
  const cache = createCrmCache(options);
  const repositories = cacheRepositories(cache, database);
  const users = new Users(cache, new SqlUsers(database));
  const events = new EventBus();
  invalidateOnEvents(events, cache, repositories, users);
  return {
    ...repositories,
    cache,
    users,
    events,
    reports: createReports(cache, new SqlDeals(database)),
    warm: (tenants) => cache.warm(warmPlan(repositories, tenants), { concurrency: 4 }),
    close: () => cache.close(),
  };
}

function* warmPlan({ categories, settings }: Repositories, tenants: readonly string[]): Generator<WarmTask> {
  for (const tenant of tenants) {
    yield () => categories.list(tenant);
    yield () => settings.all(tenant);
  }
}
