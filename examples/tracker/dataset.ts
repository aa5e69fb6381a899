import type { Database } from "./database.js";
import { PRIORITIES, STATUSES, type Priority, type Status } from "./model.js";
import { seededRandom, type Random } from "./random.js";
import { IDENTITIES, INDEXES, TABLES, TRIGGERS, VIEWS } from "./schema.js";
import {
  COMPONENTS,
  FIRST_NAMES,
  LABELS,
  LAST_NAMES,
  PROBLEMS,
  PROJECT_AREAS,
  PROJECT_KINDS,
  ROLES,
  SENTENCES,
  TENANTS,
} from "./words.js";

export interface DatasetSize {
  /** The same seed, the same rows. @default 1 */
  seed?: number | undefined;
  /** @default 20 */
  tenants?: number | undefined;
  /** @default 400 */
  projects?: number | undefined;
  /** @default 2000 */
  users?: number | undefined;
  /** @default 50000 */
  issues?: number | undefined;
}

/** Rows written per statement. */
const BATCH = 2_500;
/** The newest change of the data set, and how far back its oldest lies: fixed, so that every run has the same rows. */
const NEWEST = Date.UTC(2025, 5, 30, 12);
const SPAN = 730 * 86_400_000;

/** Makes the tables and fills them; `onProgress` hears how many issues are in. */
export async function createDataset(
  database: Database,
  size: DatasetSize = {},
  onProgress?: (issues: number) => void,
): Promise<void> {
  const random = seededRandom(size.seed ?? 1);
  const tenants = tenantRows(size.tenants ?? 20);
  const users = userRows(random, tenants, size.users ?? 2_000);
  const projects = projectRows(random, tenants, users, size.projects ?? 400);
  await database.run(TABLES);
  await insert(
    database,
    "tenants",
    ["id", "name"],
    ["text", "text"],
    tenants.map((tenant) => [tenant.id, tenant.name]),
  );
  await insert(
    database,
    "users",
    ["tenant_id", "name", "email", "role"],
    ["text", "text", "text", "text"],
    users.map((user) => [user.tenantId, user.name, user.email, user.role]),
  );
  await insert(
    database,
    "projects",
    ["tenant_id", "key", "name", "description", "lead_id"],
    ["text", "text", "text", "text", "int"],
    projects.map((project) => [project.tenantId, project.key, project.name, project.description, project.leadId]),
  );
  await insertIssues(database, random, projects, size.issues ?? 50_000, onProgress);
  await insert(
    database,
    "issue_numbers",
    ["project_id", "last"],
    ["int", "int"],
    projects.map((project) => [project.id, project.issues]),
  );
  await database.run(INDEXES);
  await database.run(IDENTITIES);
  await database.run(TRIGGERS);
  await database.run(VIEWS);
  await database.run("analyze");
}

interface TenantRow {
  id: string;
  name: string;
}
interface UserRow {
  id: number;
  tenantId: string;
  name: string;
  email: string;
  role: string;
}
interface ProjectRow {
  id: number;
  tenantId: string;
  key: string;
  name: string;
  description: string;
  leadId: number;
  members: readonly UserRow[];
  /** The number of its last issue. */
  issues: number;
}

function tenantRows(count: number): TenantRow[] {
  return Array.from({ length: count }, (_, index) => {
    const name = TENANTS[index % TENANTS.length] as string;
    const round = Math.floor(index / TENANTS.length);
    const id = name.toLowerCase().replaceAll(" ", "-");
    return round === 0 ? { id, name } : { id: `${id}-${round + 1}`, name: `${name} ${round + 1}` };
  });
}

function userRows(random: Random, tenants: readonly TenantRow[], count: number): UserRow[] {
  return Array.from({ length: count }, (_, index) => {
    const tenant = tenants[index % tenants.length] as TenantRow;
    const first = random.pick(FIRST_NAMES);
    const last = random.pick(LAST_NAMES);
    const email = `${first}.${last}.${index + 1}@${tenant.id}.example`.toLowerCase();
    return { id: index + 1, tenantId: tenant.id, name: `${first} ${last}`, email, role: random.pick(ROLES) };
  });
}

function projectRows(
  random: Random,
  tenants: readonly TenantRow[],
  users: readonly UserRow[],
  count: number,
): ProjectRow[] {
  const taken = new Set<string>();
  return Array.from({ length: count }, (_, index) => {
    const tenant = tenants[index % tenants.length] as TenantRow;
    const members = users.filter((user) => user.tenantId === tenant.id);
    const area = random.pick(PROJECT_AREAS);
    const kind = random.pick(PROJECT_KINDS);
    let key = area.slice(0, 4).toUpperCase();
    for (let number = 2; taken.has(`${tenant.id} ${key}`); number++) {
      key = `${area.slice(0, 4).toUpperCase()}${number}`;
    }
    taken.add(`${tenant.id} ${key}`);
    const description = `${area} ${kind.toLowerCase()} of ${tenant.name}. ${random.pick(SENTENCES)}`;
    return {
      id: index + 1,
      tenantId: tenant.id,
      key,
      name: `${area} ${kind}`,
      description,
      leadId: random.pick(members).id,
      members,
      issues: 0,
    };
  });
}

const ISSUE_COLUMNS: readonly (readonly [name: string, type: string])[] = [
  ["tenant_id", "text"],
  ["project_id", "int"],
  ["key", "text"],
  ["title", "text"],
  ["description", "text"],
  ["status", "text"],
  ["priority", "text"],
  ["assignee_id", "int"],
  ["reporter_id", "int"],
  // An array of arrays would be unnested whole: labels travel as array literals.
  ["labels", "text"],
  ["created_at", "timestamptz"],
  ["updated_at", "timestamptz"],
];

async function insertIssues(
  database: Database,
  random: Random,
  projects: readonly ProjectRow[],
  count: number,
  onProgress: ((issues: number) => void) | undefined,
): Promise<void> {
  const names = ISSUE_COLUMNS.map(([name]) => name);
  const types = ISSUE_COLUMNS.map(([, type]) => type);
  let sent: Promise<void> = Promise.resolve();
  for (let done = 0; done < count;) {
    const rows = Array.from({ length: Math.min(BATCH, count - done) }, () => issueRow(random, projects));
    // The next rows are drawn while the database writes these; in order, so that ids are the same in every run.
    await sent;
    sent = insert(database, "issues", names, types, rows);
    sent.catch(() => undefined);
    done += rows.length;
    onProgress?.(done);
  }
  await sent;
}

function issueRow(random: Random, projects: readonly ProjectRow[]): unknown[] {
  // Squared: a few projects hold many issues, most hold few.
  const project = projects[Math.floor(random.next() ** 2 * projects.length)] as ProjectRow;
  project.issues += 1;
  const title = `${random.pick(PROBLEMS)} ${random.pick(COMPONENTS)}`;
  const sentences = Array.from({ length: 2 + random.below(7) }, () => random.pick(SENTENCES));
  const created = NEWEST - Math.floor(random.next() * SPAN);
  const updated = created + Math.floor(random.next() ** 3 * (NEWEST - created));
  const labels = Array.from(new Set(Array.from({ length: random.below(4) }, () => random.pick(LABELS))));
  return [
    project.tenantId,
    project.id,
    `${project.key}-${project.issues}`,
    title,
    sentences.join(" "),
    pickStatus(random),
    random.pick(PRIORITIES) satisfies Priority,
    random.next() < 0.2 ? null : random.pick(project.members).id,
    random.pick(project.members).id,
    `{${labels.join(",")}}`,
    new Date(created).toISOString(),
    new Date(updated).toISOString(),
  ];
}

function pickStatus(random: Random): Status {
  // Most issues of an old tracker are done.
  return random.next() < 0.5 ? "done" : random.pick(STATUSES);
}

async function insert(
  database: Database,
  table: string,
  columns: readonly string[],
  types: readonly string[],
  rows: readonly (readonly unknown[])[],
): Promise<void> {
  const selected = columns.map((column) => (column === "labels" ? "labels::text[]" : column));
  const parameters = types.map((type, index) => `$${index + 1}::${type}[]`);
  const text = `insert into ${table} (${columns.join(", ")}) select ${selected.join(", ")} from unnest(${parameters.join(", ")}) as rows (${columns.join(", ")})`;
  for (let start = 0; start < rows.length; start += BATCH) {
    const batch = rows.slice(start, start + BATCH);
    await database.query(
      text,
      columns.map((_, column) => batch.map((row) => row[column])),
    );
  }
}
