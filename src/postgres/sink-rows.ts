import { CacheError } from "../errors.js";
import type { Change, RowId } from "../write/sink.js";
import { identifier } from "./pg.js";
import { jsonOf, type Columns } from "./sink-json.js";
import type { Query } from "./sink-transaction.js";

/** The table a sink writes, quoted and resolved. */
export interface RowTable {
  readonly table: string;
  /** Its key's columns, in the order of an id's parts. */
  readonly key: readonly string[];
  /** The column of the row's version, if it has one. */
  readonly version: string | undefined;
  /** The columns of a value, whole or some of them. */
  readonly columnsOf: (value: unknown, id: RowId) => Columns;
}

/** A change with its columns, and its place in its batch. */
interface Given {
  readonly change: Change;
  readonly columns: Columns;
  readonly n: number;
  readonly base: number | undefined;
  readonly bumps: number;
}

/**
 * Does changes of different rows, in as many statements as they are of kinds.
 *
 * @returns those whose row is not of the version they were made from, or is not there to be patched
 */
export async function writeRows(query: Query, table: RowTable, changes: readonly Change[]): Promise<readonly Change[]> {
  const given = changes.map((change, n): Given => {
    const { id, value, base, bumps } = change;
    const key = keyColumns(table, id);
    const columns = change.kind === "delete" ? key : { ...columnsOf(table, value, id), ...key };
    return { change, columns, n, base, bumps };
  });
  const missed: Change[] = [];
  for (const group of groups(given)) {
    const done = new Set((await writeGroup(query, table, group)).map(Number));
    for (const { n, change } of group) if (!done.has(n)) missed.push(change);
  }
  return missed;
}

/** The row as it is, locked until the transaction ends. */
export async function currentRow(query: Query, { table, key }: RowTable, id: RowId): Promise<unknown> {
  const [row] = await query(
    `SELECT * FROM ${table} WHERE ${key.map((column, i) => `${identifier(column)} = $${i + 1}`).join(" AND ")} FOR UPDATE`,
    [...partsOf(id, key.length)],
  );
  return row;
}

/** An id's columns. @throws CacheError `ERR_CACHE_VALUE` for an id of another shape */
export function keyColumns({ key }: Pick<RowTable, "key">, id: RowId): Columns {
  const parts = partsOf(id, key.length);
  return Object.fromEntries(key.map((column, i) => [column, parts[i]]));
}

function partsOf(id: RowId, count: number): readonly unknown[] {
  const parts = typeof id === "object" ? id : [id];
  if (parts.length === count) return parts;
  throw new CacheError("ERR_CACHE_VALUE", `Expected an id of ${count} parts, got ${parts.length}`);
}

function columnsOf({ columnsOf, version }: RowTable, value: unknown, id: RowId): Columns {
  const columns: unknown = columnsOf(value, id);
  if (typeof columns !== "object" || columns === null || Array.isArray(columns)) {
    throw new CacheError("ERR_CACHE_VALUE", "Expected a row to be an object of columns");
  }
  const given = Object.entries(columns).filter(([name, item]) => item !== undefined && name !== version);
  return Object.fromEntries(given);
}

/** What one statement can do: of one kind and with the same columns. */
function groups(given: readonly Given[]): readonly (readonly Given[])[] {
  const byShape = new Map<string, Given[]>();
  for (const one of given) {
    const { kind } = one.change;
    const isBased = kind === "put" && one.base !== undefined ? Math.min(one.base, 1) : "";
    const shape = JSON.stringify([kind, isBased, ...Object.keys(one.columns).toSorted()]);
    const group = byShape.get(shape) ?? [];
    byShape.set(shape, group);
    group.push(one);
  }
  return [...byShape.values()];
}

/** @returns the places of the changes that were done */
async function writeGroup(query: Query, table: RowTable, group: readonly Given[]): Promise<readonly unknown[]> {
  const [first] = group;
  if (first === undefined) return [];
  const columns = Object.keys(first.columns);
  const text = statementFor(table, first.change, columns);
  const rows = (await query(text, [jsonOf(group)])) as readonly { readonly n: unknown }[];
  return rows.map(({ n }) => n);
}

function statementFor(table: RowTable, { kind, base }: Change, columns: readonly string[]): string {
  switch (kind) {
    case "put":
      if (base === undefined) return upsert(table, columns);
      return base === 0 ? insert(table, columns) : update(table, columns);
    case "patch":
      return update(table, columns);
    case "delete":
      return remove(table);
    case "add":
      throw new CacheError("ERR_CACHE_VALUE", "Expected a row to be written, got an increment");
  }
}

/** The rows of the batch, each with its place, base and bumps. */
function givenRows({ table }: RowTable): string {
  return (
    `SELECT (e->>'n')::int AS "tiercache n", (e->>'base')::bigint AS "tiercache base", (e->>'bumps')::bigint AS "tiercache bumps", r.* ` +
    `FROM json_array_elements($1::json) AS e, json_populate_record(NULL::${table}, e->'row') AS r`
  );
}

function sameKey({ key }: RowTable, left: string, right: string): string {
  return key.map((column) => `${left}.${identifier(column)} = ${right}.${identifier(column)}`).join(" AND ");
}

/** Whatever the row is. */
function upsert(table: RowTable, columns: readonly string[]): string {
  const { key, version } = table;
  const rest = columns.filter((column) => !key.includes(column)).map(identifier);
  const sets = rest.map((column) => `${column} = excluded.${column}`);
  if (version !== undefined)
    sets.push(`${identifier(version)} = target.${identifier(version)} + excluded.${identifier(version)}`);
  const onConflict = sets.length === 0 ? "DO NOTHING" : `DO UPDATE SET ${sets.join(", ")}`;
  return (
    `WITH given AS (${givenRows(table)}), done AS (${inserted(table, columns)} ` +
    `ON CONFLICT (${key.map(identifier).join(", ")}) ${onConflict} RETURNING 1) ` +
    `SELECT "tiercache n" AS n FROM given`
  );
}

/** Only where there is no row. */
function insert(table: RowTable, columns: readonly string[]): string {
  const key = table.key.map(identifier).join(", ");
  return (
    `WITH given AS (${givenRows(table)}), done AS (${inserted(table, columns)} ON CONFLICT (${key}) DO NOTHING RETURNING ${key}) ` +
    `SELECT "tiercache n" AS n FROM given JOIN done USING (${key})`
  );
}

function inserted({ table, version }: RowTable, columns: readonly string[]): string {
  const names = columns.map(identifier);
  const values = [...names];
  if (version !== undefined) {
    names.push(identifier(version));
    values.push(`"tiercache bumps"`);
  }
  return `INSERT INTO ${table} AS target (${names.join(", ")}) SELECT ${values.join(", ")} FROM given`;
}

/** Only where there is a row, of the version it was made from if that was said. */
function update(table: RowTable, columns: readonly string[]): string {
  const rest = columns.filter((column) => !table.key.includes(column)).map(identifier);
  const sets = rest.map((column) => `${column} = given.${column}`);
  if (table.version !== undefined) {
    const version = identifier(table.version);
    sets.push(`${version} = target.${version} + given."tiercache bumps"`);
  }
  const [key = ""] = table.key.map(identifier);
  return (
    `UPDATE ${table.table} AS target SET ${sets.length === 0 ? `${key} = given.${key}` : sets.join(", ")} FROM (${givenRows(table)}) AS given ` +
    `WHERE ${sameKey(table, "target", "given")}${ofVersion(table)} RETURNING given."tiercache n" AS n`
  );
}

/** A row that is gone is as it was to be; one of another version is not. */
function remove(table: RowTable): string {
  return (
    `WITH given AS (${givenRows(table)}), done AS (DELETE FROM ${table.table} AS target USING given ` +
    `WHERE ${sameKey(table, "target", "given")}${ofVersion(table)} RETURNING given."tiercache n" AS n) ` +
    `SELECT n FROM done UNION SELECT "tiercache n" AS n FROM given ` +
    `WHERE NOT EXISTS (SELECT FROM ${table.table} AS target WHERE ${sameKey(table, "target", "given")})`
  );
}

function ofVersion({ version }: RowTable): string {
  return version === undefined
    ? ""
    : ` AND (given."tiercache base" IS NULL OR target.${identifier(version)} = given."tiercache base")`;
}
