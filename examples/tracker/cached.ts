import { createCache, memory, type Cache, type TierFactory } from "../../src/index.js";
import type { PostgresFeed } from "../../src/postgres/index.js";
import { repository } from "../../src/repository.js";
import { viewAnalytics } from "./analytics.js";
import type { Database } from "./database.js";
import { openFeed } from "./feed.js";
import type {
  AnalyticsRepository,
  Issue,
  IssueFilter,
  IssuePage,
  IssueRepository,
  IssueSummary,
  ProjectRepository,
  Status,
  Tracker,
} from "./model.js";
import { ownWrites } from "./own-writes.js";
import { COUNTS, mapTables, projectTag, shownTag, type CachedTables } from "./tables.js";

/**
 * The tracker through a cache.
 *
 * | What                     | Fresh for | Dropped at once by a change, whoever makes it, of             |
 * | ------------------------ | --------- | ------------------------------------------------------------- |
 * | an issue, by id or key   | 5 minutes | its row, or its project's                                     |
 * | a project, a user        | 5 minutes | its row                                                       |
 * | a project's issues       | 2 minutes | any issue of that project                                     |
 * | a search                 | 1 minute  | an issue it shows; new matches wait a minute                  |
 * | a count                  | 5 minutes | an issue created, deleted or moved to another status          |
 * | analytics                | 15 minutes| a refresh of their view, 10 s after a change: "as of" is part of their meaning |
 *
 * No write has to be declared: the database tells the cache of its rows (`tables.ts`). All of it is kept per tenant: no call is
 * answered without one, and a row touches its own tenant's entries alone.
 */
export interface CachedTracker {
  readonly tracker: Tracker;
  readonly cache: Cache;
  /** `undefined` without a database to listen to. */
  readonly feed: PostgresFeed | undefined;
  /** Closes the cache and what was opened for it. */
  close(): Promise<void>;
}

export interface CachedTrackerOptions {
  /** First segment of every key. */
  readonly name: string;
  /** The one `source` reads. `undefined`: nobody tells of other writers, and the times above are all that bounds them. */
  readonly database?: Database | undefined;
  /** The feed's slot, one for each cache and database. @default "tracker" */
  readonly slot?: string | undefined;
  /** Where processes meet; after it, `memory` is all there is, which is right for one process alone. */
  readonly tiers?: readonly TierFactory[] | undefined;
}

/** Milliseconds: how old an answer may be at the most, whoever wrote, and whatever breaks. */
export const MAX_STALENESS = 2_000;

/** Wraps `source`. Until its feed is there (`feed.ready()`) the cache reads through. */
export async function openCachedTracker(
  source: Tracker,
  { name, database, slot = "tracker", tiers = [] }: CachedTrackerOptions,
): Promise<CachedTracker> {
  const feed = database && (await openFeed(database, slot, MAX_STALENESS));
  const cache = createCache({ name, tiers: [memory(), ...tiers], shared: { maxStaleness: MAX_STALENESS }, feed });
  const analytics = database && viewAnalytics(cache, database, feed);
  await analytics?.views.ensure();
  return {
    tracker: cachedTracker(cache, source, { feed, schema: database?.schema, analytics }),
    cache,
    feed,
    async close() {
      await analytics?.views.close();
      await cache.close();
    },
  };
}

/** What tells a cache of the tracker's database. */
export interface TrackerChanges {
  readonly feed: PostgresFeed | undefined;
  /** Where the tables are. @default public */
  readonly schema?: string | undefined;
  /** @default the source's, cached */
  readonly analytics?: AnalyticsRepository | undefined;
}

/** Declares what is cached of the tracker, and what the feed's rows are to it. Once per cache. */
export function cachedTracker(
  cache: Cache,
  source: Tracker,
  { feed, schema, analytics }: TrackerChanges = { feed: undefined },
): Tracker {
  const rows = cachedRows(cache, source);
  if (feed !== undefined) mapTables(feed, schema, rows);
  const writes = ownWrites(cache, source, rows);
  return {
    ...rows,
    projects: { ...projectReads(rows.projects), ...writes.projects },
    issues: { ...issueReads(rows.issues), ...cachedQueries(cache, source.issues), ...writes.issues },
    analytics: analytics ?? cachedAnalytics(cache, source),
  };
}

function cachedAnalytics(cache: Cache, { analytics }: Tracker): AnalyticsRepository {
  return repository(cache, analytics, { name: "analytics", scope: "tenant", reads: { progress: "analytics" } });
}

/** Rows by id and by key. Their writes are the source's own. */
function cachedRows(cache: Cache, source: Tracker) {
  return {
    tenants: repository(cache, source.tenants, {
      name: "tenant",
      scope: "tenant",
      // A tenant is its own scope: nothing is left to tell two apart in one.
      reads: { getById: { kind: "id", key: () => "self" } },
    }),
    users: repository(cache, source.users, { name: "user", scope: "tenant", ttl: "5m", reads: { getById: "id" } }),
    projects: repository(cache, source.projects, {
      name: "project",
      scope: "tenant",
      ttl: "5m",
      reads: { getById: "id", list: "list" },
    }),
    // Lists, searches and counts are held apart, to be dropped no more than needed.
    issues: repository(cache, source.issues, {
      name: "issue",
      scope: "tenant",
      ttl: "5m",
      // An issue shows its project's name.
      belongsTo: { project: (issue: Issue) => issue.projectId },
      reads: { getById: "id", getByIds: { kind: "many", absent: undefined, result: "aligned" }, getByKey: "key" },
    }),
  } satisfies CachedTables & Partial<Tracker>;
}

/** Named one by one: a repository's methods are not its own properties. */
function projectReads({ getById, list }: ProjectReads): ProjectReads {
  return { getById, list };
}

function issueReads({ getById, getByIds, getByKey }: IssueReads): IssueReads {
  return { getById, getByIds, getByKey };
}

type ProjectReads = Pick<ProjectRepository, "getById" | "list">;
type IssueReads = Pick<IssueRepository, "getById" | "getByIds" | "getByKey">;

function cachedQueries(
  cache: Cache,
  source: IssueRepository,
): Pick<IssueRepository, "listByProject" | "search" | "count"> {
  const lists = cache.entity<readonly [number, Status | null, number, number], readonly IssueSummary[]>({
    name: "issue-list",
    scope: "tenant",
    preset: "list",
    tags: (_issues, [projectId]) => [projectTag(projectId)],
    load: ([projectId, status, page, limit], { scope }) =>
      source.listByProject(tenantOf(scope), projectId, { status: status ?? undefined, page, limit }),
  });
  const searches = cache.entity<readonly [string, number], readonly IssueSummary[]>({
    name: "issue-search",
    scope: "tenant",
    preset: "search",
    tags: (issues) => issues.map(({ id }) => shownTag(id)),
    load: ([words, limit], { scope }) => source.search(tenantOf(scope), words, limit),
  });
  const counts = cache.entity<readonly [number | null, Status | null], number>({
    name: "issue-count",
    scope: "tenant",
    preset: "count",
    tags: (_count, [projectId]) => [projectId === null ? COUNTS : projectTag(projectId)],
    load: ([projectId, status], { scope }) =>
      source.count(tenantOf(scope), { projectId: projectId ?? undefined, status: status ?? undefined }),
  });
  return {
    // Async: a call without a tenant rejects, as every other failure does.
    listByProject: async (tenant: string, projectId: number, { status, page, limit }: IssuePage) =>
      lists.in(tenant).get([projectId, status ?? null, page, limit]),
    search: async (tenant: string, words: string, limit: number) => searches.in(tenant).get([words, limit]),
    count: async (tenant: string, { projectId, status }: IssueFilter) =>
      counts.in(tenant).get([projectId ?? null, status ?? null]),
  };
}

function tenantOf(scope: unknown): string {
  if (typeof scope !== "string") {
    throw new TypeError("Expected the scope to be the tenant's id");
  }
  return scope;
}

/** Issues of each project that are worth having before anybody asks. */
const WARM_ISSUES = 50;

/** Loads a tenant's projects and the issues changed last in each, by id, before its users ask for them. */
export async function warmTenant(cache: Cache, tracker: Tracker, tenant: string): Promise<number> {
  const projects = await tracker.projects.list(tenant);
  const tasks = projects.map(({ id }) => async () => {
    await tracker.projects.getById(tenant, id);
    const newest = await tracker.issues.listByProject(tenant, id, { page: 1, limit: WARM_ISSUES });
    await tracker.issues.getByIds(
      tenant,
      newest.map((issue) => issue.id),
    );
  });
  const { done, errors } = await cache.warm(tasks);
  if (errors.length > 0) {
    throw new AggregateError(errors, `Warmed ${done} of ${tasks.length} projects of ${tenant}`);
  }
  return done;
}
