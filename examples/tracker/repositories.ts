import type { Database } from "./database.js";
import type {
  AnalyticsRepository,
  Issue,
  IssueChanges,
  IssueRepository,
  IssueSummary,
  Project,
  ProjectProgress,
  ProjectRepository,
  Status,
  Tenant,
  TenantRepository,
  Tracker,
  User,
  UserRepository,
} from "./model.js";
import { STATUSES } from "./model.js";

/** The tracker straight from its database, one statement a call. */
export function databaseTracker(database: Database): Tracker {
  return {
    tenants: tenantRepository(database),
    projects: projectRepository(database),
    users: userRepository(database),
    issues: issueRepository(database),
    analytics: analyticsRepository(database),
  };
}

function tenantRepository(database: Database): TenantRepository {
  return {
    getById: async (tenant) =>
      only(
        await database.query<Tenant>(`select id, name, version, updated_at as "updatedAt" from tenants where id = $1`, [
          tenant,
        ]),
      ),
  };
}

const USER = `id, tenant_id as "tenantId", name, email, role, version, updated_at as "updatedAt"`;

function userRepository(database: Database): UserRepository {
  return {
    getById: async (tenant, id) =>
      only(await database.query<User>(`select ${USER} from users where tenant_id = $1 and id = $2`, [tenant, id])),
  };
}

const PROJECT = `id, tenant_id as "tenantId", key, name, description, lead_id as "leadId", version, updated_at as "updatedAt"`;

function projectRepository(database: Database): ProjectRepository {
  return {
    getById: async (tenant, id) =>
      only(
        await database.query<Project>(`select ${PROJECT} from projects where tenant_id = $1 and id = $2`, [tenant, id]),
      ),
    list: (tenant) =>
      database.query<Project>(`select ${PROJECT} from projects where tenant_id = $1 order by key`, [tenant]),
    update: async (tenant, id, { name, description, leadId }) =>
      only(
        await database.query<Project>(
          `update projects set name = coalesce($3, name), description = coalesce($4, description), lead_id = coalesce($5, lead_id)
           where tenant_id = $1 and id = $2 returning ${PROJECT}`,
          [tenant, id, name, description, leadId],
        ),
      ),
  };
}

const SUMMARY = `i.id, i.version, i.project_id as "projectId", i.key, i.title, i.status, i.priority, i.assignee_id as "assigneeId", i.labels, i.updated_at as "updatedAt"`;
const ISSUE = `${SUMMARY}, i.tenant_id as "tenantId", p.name as "projectName", p.version as "projectVersion", i.description,
  i.reporter_id as "reporterId", i.created_at as "createdAt"`;
const FROM_ISSUES = `from issues i join projects p on p.id = i.project_id`;
/** Applies `IssueChanges` from the parameters that `changeValues` gives, $3 to $9. */
const SET_CHANGES = `set title = coalesce($3, title), description = coalesce($4, description), status = coalesce($5, status),
  priority = coalesce($6, priority), labels = coalesce($7, labels), assignee_id = case when $8 then $9 else assignee_id end`;

function changeValues(changes: IssueChanges): unknown[] {
  const { title, description, status, priority, labels, assigneeId } = changes;
  return [title, description, status, priority, labels, assigneeId !== undefined, assigneeId ?? null];
}

function issueRepository(database: Database): IssueRepository {
  return {
    getById: async (tenant, id) =>
      only(
        await database.query<Issue>(`select ${ISSUE} ${FROM_ISSUES} where i.tenant_id = $1 and i.id = $2`, [
          tenant,
          id,
        ]),
      ),
    async getByIds(tenant, ids) {
      const rows = await database.query<Issue>(
        `select ${ISSUE} ${FROM_ISSUES} where i.tenant_id = $1 and i.id = any($2::int[])`,
        [tenant, ids],
      );
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id));
    },
    getByKey: async (tenant, key) =>
      only(
        await database.query<Issue>(`select ${ISSUE} ${FROM_ISSUES} where i.tenant_id = $1 and i.key = $2`, [
          tenant,
          key,
        ]),
      ),
    listByProject: (tenant, projectId, { status, page, limit }) =>
      status === undefined
        ? database.query<IssueSummary>(
            `select ${SUMMARY} from issues i where i.tenant_id = $1 and i.project_id = $2 order by i.updated_at desc, i.id desc limit $3 offset $4`,
            [tenant, projectId, limit, (page - 1) * limit],
          )
        : database.query<IssueSummary>(
            `select ${SUMMARY} from issues i where i.tenant_id = $1 and i.project_id = $2 and i.status = $5
             order by i.updated_at desc, i.id desc limit $3 offset $4`,
            [tenant, projectId, limit, (page - 1) * limit, status],
          ),
    search: (tenant, words, limit) =>
      database.query<IssueSummary>(
        `select ${SUMMARY} from issues i where i.tenant_id = $1 and to_tsvector('english', i.title) @@ plainto_tsquery('english', $2)
         order by i.updated_at desc, i.id desc limit $3`,
        [tenant, words, limit],
      ),
    async count(tenant, { projectId, status }) {
      const rows = await database.query<{ count: number }>(
        `select count(*)::int as count from issues where tenant_id = $1 and ($2::int is null or project_id = $2) and ($3::text is null or status = $3)`,
        [tenant, projectId, status],
      );
      return rows[0]?.count ?? 0;
    },
    create: async (tenant, issue) =>
      only(
        await database.query<Issue>(
          `with numbered as (
             update issue_numbers set last = last + 1
             where project_id = (select id from projects where tenant_id = $1 and id = $2) returning last
           ), i as (
             insert into issues (tenant_id, project_id, key, title, description, status, priority, assignee_id, reporter_id, labels)
             select $1, p.id, p.key || '-' || numbered.last, $3, $4, $5, $6, $7, $8, $9 from numbered, projects p where p.id = $2
             returning *
           )
           select ${ISSUE} from i join projects p on p.id = i.project_id`,
          [
            tenant,
            issue.projectId,
            issue.title,
            issue.description ?? "",
            issue.status ?? "backlog",
            issue.priority ?? "medium",
            issue.assigneeId ?? null,
            issue.reporterId,
            issue.labels ?? [],
          ],
        ),
      ),
    update: async (tenant, id, changes) =>
      only(
        await database.query<Issue>(
          `with i as (update issues ${SET_CHANGES} where tenant_id = $1 and id = $2 returning *)
           select ${ISSUE} from i join projects p on p.id = i.project_id`,
          [tenant, id, ...changeValues(changes)],
        ),
      ),
    bulkUpdate: (tenant, ids, changes) =>
      database.query<Issue>(
        `with i as (update issues ${SET_CHANGES} where tenant_id = $1 and id = any($2::int[]) returning *)
         select ${ISSUE} from i join projects p on p.id = i.project_id order by i.id`,
        [tenant, ids, ...changeValues(changes)],
      ),
    delete: async (tenant, id) =>
      only(
        await database.query<Issue>(
          `with i as (delete from issues where tenant_id = $1 and id = $2 returning *)
           select ${ISSUE} from i join projects p on p.id = i.project_id`,
          [tenant, id],
        ),
      ),
  };
}

function analyticsRepository(database: Database): AnalyticsRepository {
  return {
    async progress(tenant) {
      const asOf = new Date();
      const rows = await database.query<ProgressRow>(
        `select p.id as "projectId", p.key as "projectKey", i.status, count(*)::int as count
         from projects p join issues i on i.project_id = p.id where p.tenant_id = $1
         group by p.id, p.key, i.status order by p.key`,
        [tenant],
      );
      return { asOf, projects: progressOf(rows) };
    },
  };
}

/** How many issues of a project are in one status. */
export interface ProgressRow {
  readonly projectId: number;
  readonly projectKey: string;
  readonly status: Status;
  readonly count: number;
}

/** In the order in which the projects first come. */
export function progressOf(rows: readonly ProgressRow[]): readonly ProjectProgress[] {
  const projects = new Map<number, ProjectProgress & { counts: Record<Status, number> }>();
  for (const { projectId, projectKey, status, count } of rows) {
    const project = projects.get(projectId) ?? { projectId, projectKey, counts: noIssues() };
    project.counts[status] = count;
    projects.set(projectId, project);
  }
  return [...projects.values()];
}

function noIssues(): Record<Status, number> {
  return Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
}

function only<Row>(rows: readonly Row[]): Row | undefined {
  return rows[0];
}
