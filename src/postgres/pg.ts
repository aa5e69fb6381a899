import { CacheError } from "../errors.js";

/** How to reach a database: a connection string, or what a `pg.Client` is made with. */
export type PgConnect = string | Readonly<Record<string, unknown>>;

/** What we call of a `pg` pool or client. */
export interface PgLike {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

/** A row as `pg` gives it. */
export type PgRow = Readonly<Record<string, unknown>>;

/** What we call of a `pg.Client` of our own. */
export interface PgClient extends PgLike {
  connect(): Promise<unknown>;
  /** A statement that is prepared once on the connection. */
  query(statement: { name: string; text: string; values: unknown[] }): Promise<unknown>;
  query(text: string, values?: unknown[]): Promise<unknown>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
  readonly connection: PgConnection;
}

/** The protocol below a client. It has no types of its own: all that is used of it is listed here. */
export interface PgConnection {
  on(event: "copyData", listener: (message: { readonly chunk: Uint8Array }) => void): unknown;
  on(event: "replicationStart" | "end", listener: () => void): unknown;
  sendCopyFromChunk(chunk: Uint8Array): void;
  readonly stream: { pause(): unknown; resume(): unknown; destroy(): unknown };
}

/** What we call of the package `pg`. */
export interface PgModule {
  readonly Client: new (config: Readonly<Record<string, unknown>>) => PgClient;
  readonly types: { getTypeParser(oid: number, format: "text"): (text: string) => unknown };
}

/**
 * The package `pg`, loaded when it is first needed: whoever has no feed need not have it.
 *
 * @throws CacheError `ERR_CACHE_OPTION` when it is not installed.
 */
export async function loadPg(): Promise<PgModule> {
  try {
    // Typed by what we call of it: published types must not need the package.
    return (await import("pg")) as unknown as PgModule;
  } catch (cause) {
    throw new CacheError("ERR_CACHE_OPTION", "Expected the package `pg` to be installed: the feed connects with it", {
      cause,
    });
  }
}

/** A client's settings, with those of ours on top. */
export function clientConfig(
  connect: PgConnect,
  ours: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const given = typeof connect === "string" ? { connectionString: connect } : connect;
  return { ...given, ...ours };
}

/** The rows of each statement of a query's answer. */
export function resultsOf(answer: unknown): readonly (readonly PgRow[])[] {
  const results: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  return results.map((result) => {
    const rows: unknown = typeof result === "object" && result !== null && "rows" in result ? result.rows : undefined;
    if (!Array.isArray(rows)) throw new TypeError("A query's answer has no rows: is the pool one of `pg`?");
    return rows as readonly PgRow[];
  });
}

/** The SQLSTATE of an error of the server. */
export function sqlState(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}

/** An SQL identifier, quoted. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** An SQL string constant. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  // With standard_conforming_strings off a backslash would be an escape in a plain constant.
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

/** A table's name in its parts, exactly as they are in the catalogue: "contacts" is `public.contacts`. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export function tableName(name: string): TableName {
  const dot = name.indexOf(".");
  return dot === -1 ? { schema: "public", table: name } : { schema: name.slice(0, dot), table: name.slice(dot + 1) };
}

/** One text for one table. */
export function tableKey({ schema, table }: TableName): string {
  return `${schema}.${table}`;
}

export function quotedTable({ schema, table }: TableName): string {
  return `${identifier(schema)}.${identifier(table)}`;
}
