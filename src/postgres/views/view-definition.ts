import { toMilliseconds, type Duration } from "../../duration.js";
import { display, knownOptions, optionError } from "../../policy.js";
import { quotedTable, tableKey, tableName } from "../pg.js";

/**
 * When a view is refreshed of itself.
 *
 * - `every`: at an interval. A view whose tables have not changed since is skipped where a feed tells so.
 * - `dirty`: when a table it is made of has changed, and then has been quiet for `quiet`, but not more often than `atMost`.
 * - `maxStaleness`: early enough that what is read is never older, if the refresh takes no longer than the last one.
 * - `"demand"`: only by `refresh`.
 */
export type RefreshPolicy =
  | "demand"
  | { readonly every: Duration; readonly jitter?: number | undefined }
  | { readonly dirty: true; readonly quiet?: Duration | undefined; readonly atMost?: Duration | undefined }
  | { readonly maxStaleness: Duration };

/** A table kept like a view, of which only the groups that changed are made anew. */
export interface DirtyKeys {
  /** The column of the kept table that names a group; its values are compared as text. */
  readonly key: string;
  /** A SELECT of the kept table's columns, for the groups in `$1` (an array of text), or for all where `$1` is null. */
  readonly select: string;
  /** The groups that a changed row is part of: of its new and its old values. */
  readonly keysOf: (change: RowChange) => readonly (string | number | null | undefined)[];
  /** More changed groups than that are a full refresh. @default 10000 */
  readonly most?: number | undefined;
  /** Columns of the tables that never change while a row lives: what tells the group, often. @default [] */
  readonly fixed?: readonly string[] | undefined;
  /**
   * By table, what `keysOf` reads of its rows besides their replica identity: no other column leaves the database for this view.
   * Reading another throws, and all groups are made anew. @default all columns
   */
  readonly columns?: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface ViewDefinition {
  /** Tables it is made of, "schema.table" or of the schema `public`: a change of another does not make it dirty. @default any may */
  readonly tables?: readonly string[] | undefined;
  /** @default "demand" */
  readonly refresh?: RefreshPolicy | undefined;
  /**
   * `full` blocks readers while it runs. `concurrent` does not, takes longer, and needs a unique index on plain columns.
   * Dirty keys: see there. @default "full"
   */
  readonly mode?: "full" | "concurrent" | DirtyKeys | undefined;
  /** A refresh waits so many times its own duration before the next one of itself: 9 keeps it below a tenth of the time. @default 0 */
  readonly costFactor?: number | undefined;
  /** How long a full refresh waits for readers to finish, who would else wait behind it; then it is tried again later. @default "2s" */
  readonly lockTimeout?: Duration | undefined;
}

/** A changed row of a table, as a feed tells of it. */
export interface RowChange {
  /** "schema.table". */
  readonly table: string;
  readonly kind: "insert" | "update" | "delete" | "truncate";
  /** The new values; `undefined` for a delete. */
  readonly row: Readonly<Record<string, unknown>> | undefined;
  /** The old values the source knows: the key's columns, all of them with REPLICA IDENTITY FULL. */
  readonly old: Readonly<Record<string, unknown>> | undefined;
}

/** A definition with every question answered; durations in milliseconds. */
export interface ResolvedView {
  readonly name: string;
  /** Quoted for SQL, with its schema. */
  readonly sql: string;
  /** "schema.table"; `undefined`: any. */
  readonly tables: ReadonlySet<string> | undefined;
  readonly refresh: ResolvedRefresh;
  readonly mode: "full" | "concurrent" | ResolvedKeys;
  readonly costFactor: number;
  readonly lockTimeout: number;
}

export interface ResolvedKeys extends Omit<DirtyKeys, "columns"> {
  readonly most: number;
  readonly fixed: readonly string[];
  /** By "schema.table". */
  readonly columns: ReadonlyMap<string, readonly string[]>;
}

export type ResolvedRefresh =
  | { readonly kind: "demand" }
  | { readonly kind: "every"; readonly every: number; readonly jitter: number }
  | { readonly kind: "dirty"; readonly quiet: number; readonly atMost: number }
  | { readonly kind: "maxStaleness"; readonly maxStaleness: number };

const FIELDS = ["tables", "refresh", "mode", "costFactor", "lockTimeout"];
/** Identifiers and "schema.identifier": what is quoted must have been meant. */
const NAME = /^(?:[\p{L}_][\p{L}\p{N}_$]*\.)?[\p{L}_][\p{L}\p{N}_$]*$/u;

/** @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value. */
export function resolveView(name: string, definition: ViewDefinition): ResolvedView {
  const at = `views.${name}`;
  if (!NAME.test(name)) throw optionError("views", "named like tables, with or without a schema", name);
  knownOptions(definition, FIELDS, at);
  const { tables, costFactor = 0 } = definition;
  if (tables !== undefined && !(Array.isArray(tables) && tables.every((table) => NAME.test(table))))
    throw optionError(`${at}.tables`, "a list of names of tables", tables);
  if (!(typeof costFactor === "number" && costFactor >= 0 && costFactor <= 1_000))
    throw optionError(`${at}.costFactor`, "a number from 0 to 1000", costFactor);
  return {
    name: tableKey(tableName(name)),
    sql: quotedTable(tableName(name)),
    tables: tables && new Set(tables.map((table) => tableKey(tableName(table)))),
    refresh: resolveRefresh(definition.refresh ?? "demand", at),
    mode: resolveMode(definition.mode ?? "full", at, tables ?? []),
    costFactor,
    lockTimeout: toMilliseconds(definition.lockTimeout ?? "2s", `${at}.lockTimeout`),
  };
}

function resolveRefresh(refresh: RefreshPolicy, at: string): ResolvedRefresh {
  if (refresh === "demand") return { kind: "demand" };
  if (typeof refresh !== "object" || refresh === null) throw refreshError(refresh, at);
  if ("every" in refresh) {
    knownOptions(refresh, ["every", "jitter"], `${at}.refresh`);
    const jitter = refresh.jitter ?? 0.1;
    if (!(jitter >= 0 && jitter < 1)) throw optionError(`${at}.refresh.jitter`, "a number from 0 to below 1", jitter);
    return { kind: "every", every: positive(refresh.every, `${at}.refresh.every`), jitter };
  }
  if ("maxStaleness" in refresh) {
    knownOptions(refresh, ["maxStaleness"], `${at}.refresh`);
    return { kind: "maxStaleness", maxStaleness: positive(refresh.maxStaleness, `${at}.refresh.maxStaleness`) };
  }
  if (!("dirty" in refresh) || (refresh.dirty as unknown) !== true) throw refreshError(refresh, at);
  knownOptions(refresh, ["dirty", "quiet", "atMost"], `${at}.refresh`);
  return {
    kind: "dirty",
    quiet: toMilliseconds(refresh.quiet ?? "100ms", `${at}.refresh.quiet`),
    atMost: toMilliseconds(refresh.atMost ?? "5s", `${at}.refresh.atMost`),
  };
}

function refreshError(value: unknown, at: string): Error {
  return optionError(`${at}.refresh`, '"demand", { every }, { dirty: true } or { maxStaleness }', value);
}

function resolveMode(
  mode: NonNullable<ViewDefinition["mode"]>,
  at: string,
  tables: readonly string[],
): ResolvedView["mode"] {
  if (mode === "full" || mode === "concurrent") return mode;
  if (typeof mode !== "object" || mode === null)
    throw optionError(`${at}.mode`, '"full", "concurrent" or dirty keys', display(mode));
  knownOptions(mode, ["key", "select", "keysOf", "most", "fixed", "columns"], `${at}.mode`);
  const { key, select, keysOf, most = 10_000, fixed = [] } = mode;
  if (typeof key !== "string" || !/^[\p{L}_][\p{L}\p{N}_$]*$/u.test(key))
    throw optionError(`${at}.mode.key`, "the name of a column", key);
  if (typeof select !== "string" || !select.includes("$1"))
    throw optionError(`${at}.mode.select`, "a SELECT for the groups in $1", select);
  if (typeof keysOf !== "function") throw optionError(`${at}.mode.keysOf`, "a function of a changed row", keysOf);
  if (!(Number.isSafeInteger(most) && most > 0)) throw optionError(`${at}.mode.most`, "an integer of 1 or more", most);
  if (!Array.isArray(fixed)) throw optionError(`${at}.mode.fixed`, "a list of columns", fixed);
  return {
    key,
    select,
    keysOf,
    most,
    fixed,
    columns: resolveColumns(mode.columns ?? {}, `${at}.mode.columns`, tables),
  };
}

function resolveColumns(columns: unknown, at: string, tables: readonly string[]): Map<string, readonly string[]> {
  const byTable = new Map<string, readonly string[]>();
  if (typeof columns !== "object" || columns === null) throw optionError(at, "lists of columns by table", columns);
  const known = new Set(tables.map((table) => tableKey(tableName(table))));
  for (const [table, names] of Object.entries(columns)) {
    const key = tableKey(tableName(table));
    if (!known.has(key)) throw optionError(at, "of the view's `tables`", table);
    if (!(Array.isArray(names) && names.every((name) => typeof name === "string" && name !== "")))
      throw optionError(`${at}.${table}`, "a list of columns", names);
    byTable.set(key, names);
  }
  return byTable;
}

function positive(duration: Duration, option: string): number {
  const ms = toMilliseconds(duration, option);
  if (ms === 0) throw optionError(option, "more than 0 ms", duration);
  return ms;
}
