import { CacheError } from "../errors.js";
import type { Change, CounterSink, RowId } from "../write/sink.js";
import { identifier } from "./pg.js";
import { jsonOf } from "./sink-json.js";
import { keyColumns } from "./sink-rows.js";
import { FlushNotes, type Applied } from "./sink-state.js";
import {
  notedSink,
  bisected,
  keyNames,
  knownNames,
  notesSettings,
  type NotesOptions,
  type PostgresSink,
} from "./sink.js";
import { quotedName, requirePool, type Query, type SinkPool } from "./sink-transaction.js";

export interface PostgresCountsOptions extends NotesOptions {
  /** The table of the counts: `page_views`, `stats.page_views`. */
  table: string;
  /** The column of the primary key, or its columns in the order of an id's parts. */
  key: string | readonly string[];
  /** The column of the count. */
  count: string;
  /** Whether a row that is not there is made; else its increments become dead letters. @default true */
  insert?: boolean | undefined;
}

const OPTIONS = ["table", "key", "count", "insert", "tables", "remember"];

interface CountTable {
  readonly table: string;
  readonly key: readonly string[];
  readonly count: string;
  readonly insert: boolean;
}

/**
 * Adds increments to a column of PostgreSQL (13 or later): each batch in one transaction with the note that it was applied.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function postgresCounts(pool: SinkPool, options: PostgresCountsOptions): PostgresSink & CounterSink {
  requirePool(pool);
  const counts = resolve(options);
  const notes = new FlushNotes(pool, notesSettings(options));
  return {
    ...notedSink(notes, (query, round) => bisected(query, round, (changes) => add(query, counts, changes))),
    read: (name, id) => read(notes, counts, name, id),
  };
}

async function add(query: Query, counts: CountTable, changes: readonly Change[]): Promise<Applied> {
  const { table, key, count, insert } = counts;
  const given = changes.map(({ id, kind, by }, n) => {
    if (kind !== "add") throw new CacheError("ERR_CACHE_VALUE", "Expected an increment, got the write of a row");
    return { n, base: undefined, bumps: by, columns: keyColumns(counts, id) };
  });
  const keys = key.map(identifier).join(", ");
  const rows =
    `SELECT (e->>'n')::int AS "tiercache n", (e->>'bumps')::bigint AS "tiercache by", r.* ` +
    `FROM json_array_elements($1::json) AS e, json_populate_record(NULL::${table}, e->'row') AS r`;
  if (insert) {
    await query(
      `INSERT INTO ${table} AS target (${keys}, ${count}) SELECT ${keys}, "tiercache by" FROM (${rows}) AS given ` +
        `ON CONFLICT (${keys}) DO UPDATE SET ${count} = target.${count} + excluded.${count}`,
      [jsonOf(given)],
    );
    return { rejected: [], merged: [] };
  }
  const sameKey = key.map((column) => `target.${identifier(column)} = given.${identifier(column)}`).join(" AND ");
  const found = (await query(
    `UPDATE ${table} AS target SET ${count} = target.${count} + given."tiercache by" FROM (${rows}) AS given ` +
      `WHERE ${sameKey} RETURNING given."tiercache n" AS n`,
    [jsonOf(given)],
  )) as readonly { readonly n: number }[];
  const done = new Set(found.map(({ n }) => n));
  const missing = changes.filter((_change, n) => !done.has(n));
  return { merged: [], rejected: missing.map(({ opIds }) => ({ opIds, reason: "there is no row to add to" })) };
}

async function read(
  notes: FlushNotes,
  { table, key, count }: CountTable,
  name: string,
  id: RowId,
): ReturnType<CounterSink["read"]> {
  const where = key.map((column, i) => `${identifier(column)} = $${i + 2}`).join(" AND ");
  const [row] = (await notes.read(
    `SELECT (SELECT ${count} FROM ${table} WHERE ${where}) AS count, (SELECT batch_id FROM STATE WHERE name = $1) AS batch`,
    [name, ...Object.values(keyColumns({ key }, id))],
  )) as readonly { readonly count: unknown; readonly batch: string | null }[];
  const { count: stored, batch } = row ?? { count: null, batch: null };
  return { count: Number(stored ?? 0), batchId: batch ?? undefined };
}

function resolve(options: PostgresCountsOptions): CountTable {
  knownNames(options, OPTIONS, "postgresCounts");
  const { table, key, count, insert = true } = options;
  if (typeof count !== "string" || count === "") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`count\` to be the name of a column, got \`${count}\``);
  }
  if (typeof insert !== "boolean") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`insert\` to be true or false, got \`${String(insert)}\``);
  }
  return { table: quotedName(table, "table"), key: keyNames(key), count: identifier(count), insert };
}
