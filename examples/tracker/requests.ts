import type { IncomingMessage } from "node:http";
import {
  PRIORITIES,
  STATUSES,
  type IssueChanges,
  type IssueFilter,
  type IssuePage,
  type NewIssue,
  type Priority,
  type ProjectChanges,
  type Status,
} from "./model.js";

/** A request the API refuses; `status` is its HTTP status. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const MAX_BODY = 64 * 1024;
/** The largest id and count PostgreSQL's `int` holds. */
const MAX_INT = 2 ** 31 - 1;

/** Text that PostgreSQL can hold: every character but NUL. @throws RequestError 400 */
export function checkText(text: string, what: string): string {
  if (text.includes("\0")) {
    throw new RequestError(400, `Expected \`${what}\` to hold no NUL character`);
  }
  return text;
}

/** An id from a path. @throws RequestError 400 */
export function parseId(text: string, what: string): number {
  return parseInteger(text, what, 1, MAX_INT);
}

export function parsePage(query: URLSearchParams): IssuePage {
  return {
    status: parseStatus(query.get("status") ?? undefined),
    page: parseInteger(query.get("page") ?? "1", "page", 1, 10_000),
    limit: parseInteger(query.get("limit") ?? "20", "limit", 1, 100),
  };
}

export function parseSearch(query: URLSearchParams): { words: string; limit: number } {
  const words = checkText(query.get("q") ?? "", "q");
  if (words.trim() === "" || words.length > 200) {
    throw new RequestError(400, "Expected `q` to be 1 to 200 characters");
  }
  // Words in another order or case find the same issues: one entry for all.
  const normal = Array.from(
    new Set(
      words
        .toLowerCase()
        .split(/\s+/)
        .filter((word) => word !== ""),
    ),
  ).sort();
  return { words: normal.join(" "), limit: parseInteger(query.get("limit") ?? "20", "limit", 1, 100) };
}

export function parseFilter(query: URLSearchParams): IssueFilter {
  const project = query.get("project");
  return {
    projectId: project === null ? undefined : parseId(project, "project"),
    status: parseStatus(query.get("status") ?? undefined),
  };
}

/** The request's JSON object. @throws RequestError 400 or 413 */
export async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) {
      throw new RequestError(413, `Expected a body of at most ${MAX_BODY} bytes`);
    }
    chunks.push(chunk);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new RequestError(400, "Expected a JSON body");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new RequestError(400, "Expected the body to be a JSON object");
  }
  return body as Record<string, unknown>;
}

export function parseIssueChanges(body: Readonly<Record<string, unknown>>): IssueChanges {
  return {
    title: optionalText(body, "title", 300),
    description: optionalText(body, "description", 20_000),
    status: parseStatus(body["status"]),
    priority: parsePriority(body["priority"]),
    assigneeId: body["assigneeId"] === null ? null : optionalId(body, "assigneeId"),
    labels: optionalLabels(body),
  };
}

export function parseNewIssue(body: Readonly<Record<string, unknown>>): NewIssue {
  const { title, ...rest } = parseIssueChanges(body);
  const projectId = optionalId(body, "projectId");
  const reporterId = optionalId(body, "reporterId");
  if (title === undefined || projectId === undefined || reporterId === undefined) {
    throw new RequestError(400, "Expected `title`, `projectId` and `reporterId`");
  }
  return { ...rest, title, projectId, reporterId };
}

/** `{ ids, changes }`: one change to many issues. */
export function parseBulkChanges(body: Readonly<Record<string, unknown>>): {
  ids: readonly number[];
  changes: IssueChanges;
} {
  const { ids, changes } = body;
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > 1_000) {
    throw new RequestError(400, "Expected `ids` to be a list of 1 to 1000 ids");
  }
  if (typeof changes !== "object" || changes === null) {
    throw new RequestError(400, "Expected `changes` to be an object");
  }
  return {
    ids: ids.map((id: unknown) => idFromJson(id, "ids")),
    changes: parseIssueChanges(changes as Record<string, unknown>),
  };
}

export function parseProjectChanges(body: Readonly<Record<string, unknown>>): ProjectChanges {
  return {
    name: optionalText(body, "name", 200),
    description: optionalText(body, "description", 20_000),
    leadId: optionalId(body, "leadId"),
  };
}

function parseInteger(text: string, what: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new RequestError(
      400,
      `Expected \`${what}\` to be an integer from ${min} to ${max}, got ${JSON.stringify(text)}`,
    );
  }
  return value;
}

function parseStatus(value: unknown): Status | undefined {
  return parseOneOf(STATUSES, value, "status");
}

function parsePriority(value: unknown): Priority | undefined {
  return parseOneOf(PRIORITIES, value, "priority");
}

function parseOneOf<T extends string>(allowed: readonly T[], value: unknown, what: string): T | undefined {
  if (value === undefined) {
    return undefined;
  }
  const found = allowed.find((one) => one === value);
  if (found === undefined) {
    throw new RequestError(400, `Expected \`${what}\` to be one of ${allowed.join(", ")}`);
  }
  return found;
}

function optionalText(body: Readonly<Record<string, unknown>>, field: string, max: number): string | undefined {
  const value = body[field];
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== "string" || value === "" || value.length > max) {
    throw new RequestError(400, `Expected \`${field}\` to be text of 1 to ${max} characters`);
  }
  return checkText(value, field);
}

function optionalId(body: Readonly<Record<string, unknown>>, field: string): number | undefined {
  const value = body[field];
  return value === undefined ? undefined : idFromJson(value, field);
}

function idFromJson(value: unknown, what: string): number {
  return parseId(typeof value === "number" ? String(value) : "", what);
}

function optionalLabels(body: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const { labels } = body;
  if (labels === undefined) {
    return undefined;
  }
  if (
    !Array.isArray(labels) ||
    labels.length > 20 ||
    !labels.every((label) => typeof label === "string" && /^[\w-]{1,40}$/.test(label))
  ) {
    throw new RequestError(400, "Expected `labels` to be a list of at most 20 words");
  }
  return labels as string[];
}
