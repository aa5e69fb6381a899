import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Tracker } from "./model.js";
import {
  checkText,
  parseBulkChanges,
  parseFilter,
  parseId,
  parseIssueChanges,
  parseNewIssue,
  parsePage,
  parseProjectChanges,
  parseSearch,
  readBody,
  RequestError,
} from "./requests.js";

export interface ApiOptions {
  /** What `GET /stats` answers. */
  stats?: (() => unknown) | undefined;
  /** Hears errors that are not the caller's fault; they are answered with status 500. */
  onError?: ((error: unknown) => void) | undefined;
}

/** Answered with 404. */
const NOTHING = undefined;

interface Call {
  readonly tracker: Tracker;
  readonly tenant: string;
  /** The path's parts after the tenant. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
}

type Route = (call: Call) => Promise<unknown>;

/**
 * The tracker's JSON API. Every path names its tenant, and nothing of another tenant is ever answered:
 *
 * ```text
 * GET    /tenants/:t                              GET    /tenants/:t/projects/:p/issues?status=&page=&limit=
 * GET    /tenants/:t/projects/:id                 GET    /tenants/:t/issues/:id
 * PATCH  /tenants/:t/projects/:id                 GET    /tenants/:t/issues/by-key/:key
 * GET    /tenants/:t/users/:id                    GET    /tenants/:t/search?q=&limit=
 * GET    /tenants/:t/analytics                    GET    /tenants/:t/count?project=&status=
 * POST   /tenants/:t/issues                       PATCH  /tenants/:t/issues/:id
 * PATCH  /tenants/:t/issues  { ids, changes }     DELETE /tenants/:t/issues/:id
 * GET    /stats
 * ```
 */
export function createApi(tracker: Tracker, options: ApiOptions = {}): Server {
  return createServer((request, response) => {
    answer(tracker, options, request).then(
      (body) => (body === NOTHING ? send(response, 404, { error: "Not found" }) : send(response, 200, body)),
      (error: unknown) => {
        if (isUnknownReference(error)) {
          send(response, 400, { error: "Expected people and projects of this tenant" });
          return;
        }
        if (error instanceof RequestError) {
          send(response, error.status, { error: error.message });
          return;
        }
        options.onError?.(error);
        send(response, 500, { error: "Internal error" });
      },
    );
  });
}

async function answer(tracker: Tracker, options: ApiOptions, request: IncomingMessage): Promise<unknown> {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  const [, root, tenant, ...path] = (mark === -1 ? url : url.slice(0, mark)).split("/").map(decode);
  if (root === "stats" && tenant === undefined && request.method === "GET") {
    return options.stats?.() ?? {};
  }
  if (root !== "tenants" || tenant === undefined || tenant === "") {
    return NOTHING;
  }
  const route = findRoute(request.method ?? "GET", path);
  if (route === undefined) {
    return NOTHING;
  }
  return route({ tracker, tenant, path, query: new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1)), request });
}

function findRoute(method: string, path: readonly string[]): Route | undefined {
  const [kind, id] = path;
  // What varies is written ":"; an id that is itself a word of the route ("by-key") is none.
  switch (`${method} ${kind ?? ""} ${path.length}`) {
    case "GET  0":
      return getTenant;
    case "GET projects 2":
      return getProject;
    case "GET projects 3":
      return path[2] === "issues" ? listIssues : undefined;
    case "GET users 2":
      return getUser;
    case "GET issues 2":
      return getIssue;
    case "GET issues 3":
      return id === "by-key" ? getIssueByKey : undefined;
    case "GET search 1":
      return searchIssues;
    case "GET count 1":
      return countIssues;
    case "GET analytics 1":
      return getAnalytics;
    case "PATCH projects 2":
      return patchProject;
    case "PATCH issues 1":
      return patchIssues;
    case "PATCH issues 2":
      return patchIssue;
    case "POST issues 1":
      return postIssue;
    case "DELETE issues 2":
      return deleteIssue;
    default:
      return undefined;
  }
}

const getTenant: Route = ({ tracker, tenant }) => tracker.tenants.getById(tenant);
const getProject: Route = async ({ tracker, tenant, path }) => tracker.projects.getById(tenant, idOf(path));
const getUser: Route = async ({ tracker, tenant, path }) => tracker.users.getById(tenant, idOf(path));
const getIssue: Route = async ({ tracker, tenant, path }) => tracker.issues.getById(tenant, idOf(path));
const getIssueByKey: Route = ({ tracker, tenant, path }) => tracker.issues.getByKey(tenant, path[2] ?? "");
const getAnalytics: Route = ({ tracker, tenant }) => tracker.analytics.progress(tenant);
const countIssues: Route = async ({ tracker, tenant, query }) => ({
  count: await tracker.issues.count(tenant, parseFilter(query)),
});
const listIssues: Route = async ({ tracker, tenant, path, query }) => ({
  issues: await tracker.issues.listByProject(tenant, idOf(path), parsePage(query)),
});
const searchIssues: Route = async ({ tracker, tenant, query }) => {
  const { words, limit } = parseSearch(query);
  return { issues: await tracker.issues.search(tenant, words, limit) };
};
const patchProject: Route = async ({ tracker, tenant, path, request }) =>
  tracker.projects.update(tenant, idOf(path), parseProjectChanges(await readBody(request)));
const patchIssue: Route = async ({ tracker, tenant, path, request }) =>
  tracker.issues.update(tenant, idOf(path), parseIssueChanges(await readBody(request)));
const patchIssues: Route = async ({ tracker, tenant, request }) => {
  const { ids, changes } = parseBulkChanges(await readBody(request));
  return { issues: await tracker.issues.bulkUpdate(tenant, ids, changes) };
};
const postIssue: Route = async ({ tracker, tenant, request }) =>
  tracker.issues.create(tenant, parseNewIssue(await readBody(request)));
const deleteIssue: Route = async ({ tracker, tenant, path }) => tracker.issues.delete(tenant, idOf(path));

function idOf(path: readonly string[]): number {
  return parseId(path[1] ?? "", "id");
}

function decode(segment: string): string {
  if (!segment.includes("%")) {
    return segment;
  }
  try {
    return checkText(decodeURIComponent(segment), "path");
  } catch {
    throw new RequestError(400, `Expected a path in percent-encoding, got ${JSON.stringify(segment)}`);
  }
}

/** PostgreSQL's foreign_key_violation: a lead, assignee or reporter that is none of this tenant's. */
function isUnknownReference(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "23503";
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length });
  response.end(bytes);
}
