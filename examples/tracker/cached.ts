import { createClient } from "redis";
import {
  createCache,
  memory,
  type Cache,
  type InvalidationTarget,
  type Segment,
  type TierFactory,
} from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { repository } from "../../src/repository.js";
import type {
  Issue,
  IssueChanges,
  IssueFilter,
  IssuePage,
  IssueRepository,
  IssueSummary,
  ProjectRepository,
  Status,
  TenantRepository,
  Tracker,
  UserRepository,
} from "./model.js";

/**
 * The tracker through a cache.
 *
 * | What                     | Fresh for | Dropped at once by                                       |
 * | ------------------------ | --------- | -------------------------------------------------------- |
 * | an issue, by id or key   | 5 minutes | its own writes, and those of its project                 |
 * | a project, a user        | 5 minutes | its own writes                                           |
 * | a project's issues       | 2 minutes | a write of any issue of that project                     |
 * | a search                 | 1 minute  | a write of an issue it shows; new matches wait a minute  |
 * | a count                  | 5 minutes | an issue created, deleted or moved to another status     |
 * | analytics                | 15 minutes| nothing: "as of" is part of their meaning                |
 *
 * All of it is kept per tenant: no call is answered without one, and a write touches its own tenant's entries alone.
 */
export interface CachedTracker {
  readonly tracker: Tracker;
  readonly cache: Cache;
  /** Closes the cache and what was opened for it. */
  close(): Promise<void>;
}

export interface CachedTrackerOptions {
  /** First segment of every key. */
  readonly name: string;
  /** `undefined`: memory only, which is right for one process alone. */
  readonly redisUrl?: string | undefined;
}

/** Milliseconds after which memory no longer answers when it has heard nothing of the other processes' writes. */
export const MAX_STALENESS = 2_000;
/** Milliseconds that an entry lives at most, analytics aside: the bound for writes that the cache is not told of. */
export const LONGEST_TTL = 300_000;

/** Connects to Redis, if there is one, and wraps `source`. @throws Error when Redis cannot be reached */
export async function openCachedTracker(
  source: Tracker,
  { name, redisUrl }: CachedTrackerOptions,
): Promise<CachedTracker> {
  const client = redisUrl === undefined ? undefined : createClient({ url: redisUrl });
  // Every command of a lost connection rejects; the cache counts that and goes on without Redis.
  client?.on("error", () => undefined);
  await client?.connect();
  const tiers: TierFactory[] = client === undefined ? [memory()] : [memory(), redis(client)];
  const cache = createCache({ name, tiers, shared: { maxStaleness: MAX_STALENESS } });
  return {
    tracker: cachedTracker(cache, source),
    cache,
    async close() {
      await cache.close();
      client?.destroy();
    },
  };
}

/** Declares what is cached of the tracker, and what drops it. Once per cache. */
export function cachedTracker(cache: Cache, source: Tracker): Tracker {
  return {
    tenants: cachedTenants(cache, source.tenants),
    projects: cachedProjects(cache, source.projects),
    users: cachedUsers(cache, source.users),
    issues: cachedIssues(cache, source.issues),
    analytics: repository(cache, source.analytics, {
      name: "analytics",
      scope: "tenant",
      reads: { progress: "analytics" },
    }),
  };
}

function cachedTenants(cache: Cache, source: TenantRepository): TenantRepository {
  // A tenant is its own scope: nothing is left to tell two apart in one.
  return repository(cache, source, {
    name: "tenant",
    scope: "tenant",
    reads: { getById: { kind: "id", key: () => "self" } },
  });
}

function cachedUsers(cache: Cache, source: UserRepository): UserRepository {
  return repository(cache, source, { name: "user", scope: "tenant", ttl: "5m", reads: { getById: "id" } });
}

function cachedProjects(cache: Cache, source: ProjectRepository): ProjectRepository {
  return repository(cache, source, {
    name: "project",
    scope: "tenant",
    ttl: "5m",
    reads: { getById: "id", list: "list" },
    // What belongs to the project goes with it: its issues show its name.
    writes: { update: { ids: (_tenant, id) => [id] } },
  });
}

/** Rows by id and by key, and every write. Lists, searches and counts are held apart, to be dropped no more than needed. */
function cachedIssues(cache: Cache, source: IssueRepository): IssueRepository {
  const rows = repository(cache, source, {
    name: "issue",
    scope: "tenant",
    ttl: "5m",
    belongsTo: { project: (issue: Issue) => issue.projectId },
    reads: { getById: "id", getByIds: { kind: "many", absent: undefined, result: "aligned" }, getByKey: "key" },
    writes: {
      create: { kind: "create", invalidates: (issue, tenant) => queriesOf(tenant, [issue], true) },
      update: {
        ids: (_tenant, id) => [id],
        invalidates: (issue, tenant, id, changes) => queriesOfUpdate(tenant, [id], [issue], changes),
      },
      bulkUpdate: {
        ids: (_tenant, ids) => ids,
        invalidates: (issues, tenant, ids, changes) => queriesOfUpdate(tenant, ids, issues ?? [], changes),
      },
      delete: {
        ids: (_tenant, id) => [id],
        invalidates: (issue, tenant, id) => [...queriesOf(tenant, [issue], true), shown(tenant, [id])],
      },
    },
  });
  return { ...cachedQueries(cache, source), ...rowMethods(rows) };
}

/** Named one by one: a repository's methods are not its own properties. */
function rowMethods(rows: Pick<IssueRepository, RowMethod>): Pick<IssueRepository, RowMethod> {
  const { getById, getByIds, getByKey, create, update, bulkUpdate, delete: remove } = rows;
  return { getById, getByIds, getByKey, create, update, bulkUpdate, delete: remove };
}

type RowMethod = "getById" | "getByIds" | "getByKey" | "create" | "update" | "bulkUpdate" | "delete";

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

/** The tag of what shows a project's issues as a set: its lists and counts. */
function projectTag(projectId: number): readonly Segment[] {
  return ["issues-of", projectId];
}

/** The tag of what shows this issue among others. */
function shownTag(id: number): readonly Segment[] {
  return ["shows-issue", id];
}

/** The tag of counts over all projects. */
const COUNTS: readonly Segment[] = ["issue-counts"];

/** The queries that a write of these issues changes; of every project when it is not known which (the write failed, or there was nothing). */
function queriesOf(
  tenant: string,
  issues: readonly (Issue | undefined)[],
  countsChange: boolean,
): readonly InvalidationTarget[] {
  const projects = new Set(issues.map((issue) => issue?.projectId));
  const targets: InvalidationTarget[] = countsChange ? [{ tag: COUNTS, scope: tenant }] : [];
  for (const projectId of projects) {
    if (projectId === undefined) {
      targets.push({ entity: "issue-list", scope: tenant }, { entity: "issue-count", scope: tenant });
    } else {
      targets.push({ tag: projectTag(projectId), scope: tenant });
    }
  }
  return targets;
}

function queriesOfUpdate(
  tenant: string,
  ids: readonly number[],
  issues: readonly (Issue | undefined)[],
  changes: IssueChanges,
): readonly InvalidationTarget[] {
  return [...queriesOf(tenant, issues, changes.status !== undefined), shown(tenant, ids)];
}

function shown(tenant: string, ids: readonly number[]): InvalidationTarget {
  return { tags: ids.map(shownTag), scope: tenant };
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
