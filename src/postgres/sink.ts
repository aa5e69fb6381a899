import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { Change, FlushBatch, RejectedChange, RowId, Sink } from "../write/sink.js";
import type { Columns } from "./sink-json.js";
import { currentRow, writeRows, type RowTable } from "./sink-rows.js";
import { FlushNotes, type Applied } from "./sink-state.js";
import { isPoison, quotedName, requirePool, type Query, type SinkPool } from "./sink-transaction.js";

/** What a change meets when the row is not what it was made from. */
export interface RowConflict {
  readonly id: RowId;
  /** The row as it is; `undefined` when there is none. */
  readonly current: Columns | undefined;
  readonly change: Change;
}

export interface NotesOptions {
  /** What the names of the flush's own tables begin with; it may name a schema. @default "tiercache" */
  tables?: string | undefined;
  /** How long batches are remembered: a journal that goes back further in time may apply an operation twice. @default "1h" */
  remember?: Duration | undefined;
}

export interface PostgresSinkOptions extends NotesOptions {
  /** The table of the rows: `people`, `crm.people`. */
  table: string;
  /** The column of the primary key, or its columns in the order of an id's parts. */
  key: string | readonly string[];
  /** An integer column that grows with each write, by which conflicts are seen. @default none */
  version?: string | undefined;
  /** The columns of a value, or of the fields of a patch. @default the value as it is */
  row?: ((value: unknown, id: RowId) => Columns) | undefined;
  /**
   * A change whose row is not of the version it was made from: `reject` makes it a dead letter, `overwrite` does it all the same,
   * `merge` asks `merge`. @default "reject"
   */
  conflict?: "reject" | "merge" | "overwrite" | undefined;
  /** The columns to write in a conflict, in the transaction that holds the row; `undefined` leaves the row as it is. */
  merge?: ((conflict: RowConflict) => Columns | undefined | Promise<Columns | undefined>) | undefined;
}

/** What each option is when it is not given. */
export const POSTGRES_SINK_DEFAULTS: { tables: string; remember: string; conflict: "reject" } = {
  tables: "tiercache",
  remember: "1h",
  conflict: "reject",
};

/** A sink of a database, with the tables it needs there. */
export interface PostgresSink extends Sink {
  /** The statements that make its tables, for a migration. */
  readonly setup: readonly string[];
  /** Makes its tables where they are missing. */
  ensure(): Promise<void>;
}

const OPTIONS = ["table", "key", "version", "row", "conflict", "merge", "tables", "remember"];
const MAX_REASON = 500;

/**
 * Writes rows into a table of PostgreSQL (13 or later): each batch in one transaction with the note that it was applied.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function postgresSink(pool: SinkPool, options: PostgresSinkOptions): PostgresSink {
  requirePool(pool);
  const { table, conflict, merge } = resolve(options);
  const notes = new FlushNotes(pool, notesSettings(options));
  return notedSink(notes, (query, round) => applyRows(query, table, round, { conflict, merge }));
}

/** A sink whose batches are applied by rounds, each batch in one transaction with its note. */
export function notedSink(
  notes: FlushNotes,
  apply: (query: Query, round: readonly Change[]) => Promise<Applied>,
): PostgresSink {
  return {
    setup: notes.setup,
    ensure: () => notes.ensure(),
    apply: (batch, expected) =>
      notes.apply(batch, expected, (query, applied) => applyRounds(batch, applied, (round) => apply(query, round))),
  };
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function notesSettings({ tables, remember }: NotesOptions): {
  readonly tables: string;
  readonly remember: number;
} {
  const resolved = tables ?? POSTGRES_SINK_DEFAULTS.tables;
  quotedName(resolved, "tables");
  return { tables: resolved, remember: toMilliseconds(remember ?? POSTGRES_SINK_DEFAULTS.remember, "remember") };
}

/** The columns of a key. @throws CacheError `ERR_CACHE_OPTION` */
export function keyNames(key: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(key) ? key : [key];
  if (names.length > 0 && names.every((name) => typeof name === "string" && name !== "")) return names as string[];
  throw new CacheError("ERR_CACHE_OPTION", "Expected `key` to be the name of a column, or names of columns");
}

/** @throws CacheError `ERR_CACHE_OPTION` for a misspelt option. */
export function knownNames(options: object, known: readonly string[], of: string): void {
  if (typeof options !== "object" || options === null) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected the options of ${of} to be an object, got \`${String(options)}\``,
    );
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new CacheError("ERR_CACHE_OPTION", `Expected \`${of}\` to be given known options, got \`${unknown}\``);
}

/** Changes of one key come in rounds, each of which sees the one before done. */
async function applyRounds(
  batch: FlushBatch,
  applied: ReadonlySet<string>,
  apply: (round: readonly Change[]) => Promise<Applied>,
): Promise<Applied> {
  const rejected: RejectedChange[] = [];
  const merged: string[] = [];
  let left: readonly Change[] = batch.changes(applied);
  while (left.length > 0) {
    const keys = new Set<string>();
    const round = left.filter(({ key }) => !keys.has(key) && keys.add(key));
    const taken = new Set(round);
    left = left.filter((change) => !taken.has(change));
    const done = await apply(round);
    rejected.push(...done.rejected);
    merged.push(...done.merged);
  }
  return { rejected, merged };
}

/** Does what can be done; halves what fails until the rows that are at fault stand alone. */
export async function bisected(
  query: Query,
  changes: readonly Change[],
  apply: (changes: readonly Change[]) => Promise<Applied>,
): Promise<Applied> {
  await query("SAVEPOINT tiercache");
  try {
    const done = await apply(changes);
    await query("RELEASE SAVEPOINT tiercache");
    return done;
  } catch (error) {
    if (!isPoison(error)) throw error;
    await query("ROLLBACK TO SAVEPOINT tiercache");
    await query("RELEASE SAVEPOINT tiercache");
    const [change] = changes;
    if (changes.length === 1 && change !== undefined) {
      return { rejected: [{ opIds: change.opIds, reason: reasonOf(error) }], merged: [] };
    }
    const middle = changes.length >>> 1;
    const first = await bisected(query, changes.slice(0, middle), apply);
    const second = await bisected(query, changes.slice(middle), apply);
    return { rejected: [...first.rejected, ...second.rejected], merged: [...first.merged, ...second.merged] };
  }
}

interface ConflictPolicy {
  readonly conflict: "reject" | "merge" | "overwrite";
  readonly merge: PostgresSinkOptions["merge"];
}

function applyRows(query: Query, table: RowTable, round: readonly Change[], policy: ConflictPolicy): Promise<Applied> {
  return bisected(query, round, async (changes) => {
    const asked = policy.conflict === "overwrite" ? changes.map((change) => ({ ...change, base: undefined })) : changes;
    const rejected: RejectedChange[] = [];
    const merged: string[] = [];
    for (const change of await writeRows(query, table, asked)) {
      if (policy.conflict === "merge" && policy.merge !== undefined) {
        const failure = await mergeRow(query, table, change, policy.merge);
        merged.push(change.key);
        if (failure !== undefined) rejected.push({ opIds: change.opIds, reason: failure });
      } else {
        const { opIds, base } = change;
        const found = base === undefined ? "there is no row to patch" : `the row is not of version ${base}`;
        rejected.push({ opIds, reason: `conflict: ${found}` });
      }
    }
    return { rejected, merged };
  });
}

/** @returns why it could not be merged */
async function mergeRow(
  query: Query,
  table: RowTable,
  change: Change,
  merge: NonNullable<PostgresSinkOptions["merge"]>,
): Promise<string | undefined> {
  const { id } = change;
  const current = (await currentRow(query, table, id)) as Columns | undefined;
  let columns: Columns | undefined;
  try {
    columns = await merge({ id, current, change });
  } catch (error) {
    return `merge failed: ${reasonOf(error)}`;
  }
  if (columns === undefined) return undefined;
  const put = { ...change, kind: "put", value: columns, base: undefined } as const;
  // The row is locked, or there is none: whatever comes of it, it is what was asked for.
  await writeRows(query, { ...table, columnsOf: (value) => value as Columns }, [put]);
  return undefined;
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll("\0", "").slice(0, MAX_REASON);
}

function resolve(options: PostgresSinkOptions): ConflictPolicy & { readonly table: RowTable } {
  knownNames(options, OPTIONS, "postgresSink");
  const { table, key, version, row, merge, conflict = POSTGRES_SINK_DEFAULTS.conflict } = options;
  if (!["reject", "merge", "overwrite"].includes(conflict)) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`conflict\` to be reject, merge or overwrite, got \`${conflict}\``,
    );
  }
  if ((merge !== undefined) !== (conflict === "merge") || (merge !== undefined && typeof merge !== "function")) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`merge\` to be a function, and given with \`conflict\` "merge" only`,
    );
  }
  if (row !== undefined && typeof row !== "function") {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`row\` to be a function, got \`${typeof row}\``);
  }
  if (version !== undefined && (typeof version !== "string" || version === "")) {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`version\` to be the name of a column, got \`${version}\``);
  }
  // Checked where it is written: an object of columns.
  const columnsOf = row ?? ((value: unknown) => value as Columns);
  return { conflict, merge, table: { table: quotedName(table, "table"), key: keyNames(key), version, columnsOf } };
}
