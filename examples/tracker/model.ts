/** The rows of the issue tracker, as its API answers them. */

export type Status = "backlog" | "todo" | "in_progress" | "review" | "done";
export type Priority = "lowest" | "low" | "medium" | "high" | "urgent";

export const STATUSES: readonly Status[] = ["backlog", "todo", "in_progress", "review", "done"];
export const PRIORITIES: readonly Priority[] = ["lowest", "low", "medium", "high", "urgent"];

export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly updatedAt: Date;
}

export interface Project {
  readonly id: number;
  readonly tenantId: string;
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly leadId: number;
  readonly version: number;
  readonly updatedAt: Date;
}

export interface User {
  readonly id: number;
  readonly tenantId: string;
  readonly name: string;
  readonly email: string;
  readonly role: string;
  readonly version: number;
  readonly updatedAt: Date;
}

/** An issue with the parts of its project that every view of it shows. */
export interface Issue {
  readonly id: number;
  readonly version: number;
  readonly tenantId: string;
  readonly projectId: number;
  /** The project's key and the issue's number in it: "PROJ-123". */
  readonly key: string;
  readonly projectName: string;
  readonly projectVersion: number;
  readonly title: string;
  readonly description: string;
  readonly status: Status;
  readonly priority: Priority;
  readonly assigneeId: number | null;
  readonly reporterId: number;
  readonly labels: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A line of a list of issues. */
export type IssueSummary = Pick<
  Issue,
  "id" | "version" | "projectId" | "key" | "title" | "status" | "priority" | "assigneeId" | "labels" | "updatedAt"
>;

export interface NewIssue {
  readonly projectId: number;
  readonly title: string;
  readonly description?: string | undefined;
  readonly status?: Status | undefined;
  readonly priority?: Priority | undefined;
  readonly assigneeId?: number | null | undefined;
  readonly reporterId: number;
  readonly labels?: readonly string[] | undefined;
}

/** What an update changes; what is left out stays. */
export interface IssueChanges {
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  readonly status?: Status | undefined;
  readonly priority?: Priority | undefined;
  readonly assigneeId?: number | null | undefined;
  readonly labels?: readonly string[] | undefined;
}

export interface ProjectChanges {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly leadId?: number | undefined;
}

export interface IssuePage {
  readonly status?: Status | undefined;
  /** The first page is 1. */
  readonly page: number;
  /** Issues per page. */
  readonly limit: number;
}

export interface IssueFilter {
  readonly projectId?: number | undefined;
  readonly status?: Status | undefined;
}

/** How many issues of a project are in each status. */
export interface ProjectProgress {
  readonly projectId: number;
  readonly projectKey: string;
  readonly counts: Readonly<Record<Status, number>>;
}

/** Answers `undefined` for what is not there, or belongs to another tenant. */
export interface TenantRepository {
  getById(tenant: string): Promise<Tenant | undefined>;
}

export interface ProjectRepository {
  getById(tenant: string, id: number): Promise<Project | undefined>;
  list(tenant: string): Promise<readonly Project[]>;
  update(tenant: string, id: number, changes: ProjectChanges): Promise<Project | undefined>;
}

export interface UserRepository {
  getById(tenant: string, id: number): Promise<User | undefined>;
}

export interface IssueRepository {
  getById(tenant: string, id: number): Promise<Issue | undefined>;
  /** In the order of `ids`. */
  getByIds(tenant: string, ids: readonly number[]): Promise<readonly (Issue | undefined)[]>;
  getByKey(tenant: string, key: string): Promise<Issue | undefined>;
  /** Newest change first. */
  listByProject(tenant: string, projectId: number, page: IssuePage): Promise<readonly IssueSummary[]>;
  /** Issues whose title holds the words, newest change first, at most `limit`. */
  search(tenant: string, words: string, limit: number): Promise<readonly IssueSummary[]>;
  count(tenant: string, filter: IssueFilter): Promise<number>;
  /** `undefined` when the tenant has no such project. */
  create(tenant: string, issue: NewIssue): Promise<Issue | undefined>;
  update(tenant: string, id: number, changes: IssueChanges): Promise<Issue | undefined>;
  /** All in one statement; returns those that exist. */
  bulkUpdate(tenant: string, ids: readonly number[], changes: IssueChanges): Promise<readonly Issue[]>;
  /** The issue as it was. */
  delete(tenant: string, id: number): Promise<Issue | undefined>;
}

/** Numbers that are of a moment, and say of which; `undefined` when another process is just finding out. */
export interface ProgressReport {
  readonly asOf: Date | undefined;
  readonly projects: readonly ProjectProgress[];
}

export interface AnalyticsRepository {
  progress(tenant: string): Promise<ProgressReport>;
}

/** What the API needs of the tracker: straight from the database, or through a cache. */
export interface Tracker {
  readonly tenants: TenantRepository;
  readonly projects: ProjectRepository;
  readonly users: UserRepository;
  readonly issues: IssueRepository;
  readonly analytics: AnalyticsRepository;
}
