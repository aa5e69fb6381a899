import { CacheError } from "../errors.js";
import { identifier, sqlState } from "./pg.js";
import { withPooledClient } from "./pooled-client.js";

/** The calls made on a client of a pool of `pg` (8). */
export interface SinkClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  /** @param destroy whether the connection is not to be used again */
  release(destroy?: boolean): void;
}

/** The calls made on a pool of `pg` (8); it stays yours. */
export interface SinkPool {
  connect(): Promise<SinkClient>;
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** Runs one statement. */
export type Query = (text: string, values?: unknown[]) => Promise<readonly unknown[]>;

/** @throws CacheError `ERR_CACHE_OPTION` for what is no pool. */
export function requirePool(pool: unknown): asserts pool is SinkPool {
  const isPool =
    typeof pool === "object" &&
    pool !== null &&
    ["connect", "query"].every((name) => typeof Reflect.get(pool, name) === "function");
  if (!isPool) {
    throw new CacheError("ERR_CACHE_OPTION", `Expected \`pool\` to be a pool of \`pg\`, got \`${typeof pool}\``);
  }
}

/**
 * What waits for another flusher's row sees it as that has left it (read committed), and a constraint that is deferred is
 * checked at once, where it can be seen which row breaks it.
 */
const FLUSHING = ["BEGIN ISOLATION LEVEL READ COMMITTED", "SET CONSTRAINTS ALL IMMEDIATE"];

/**
 * Runs `work` in a transaction; what it throws undoes it. A connection that cannot even do that is thrown away.
 *
 * @param begin the statements it begins with. @default a flusher's
 */
export async function transaction<T>(
  pool: SinkPool,
  work: (query: Query, client: SinkClient) => Promise<T>,
  begin: readonly string[] = FLUSHING,
): Promise<T> {
  let isUsable = false;
  return withPooledClient(
    pool,
    async (client) => {
      const query: Query = async (text, values) => (await client.query(text, values)).rows;
      for (const statement of begin) await query(statement);
      try {
        const result = await work(query, client);
        await query("COMMIT");
        isUsable = true;
        return result;
      } catch (error) {
        await query("ROLLBACK").then(
          () => (isUsable = true),
          // The first error says more.
          () => undefined,
        );
        throw error;
      }
    },
    (client) => client.release(!isUsable),
  );
}

/**
 * Whether it is the row that was refused, and would be again: data of a wrong form (class 22), a constraint (23), a limit
 * (54), a trigger that raises (P0001); or a value of ours that no row can hold. Else the database, or the way to it, or the
 * statement: nothing a row is to be set aside for.
 */
export function isPoison(error: unknown): boolean {
  if (error instanceof CacheError) return error.code === "ERR_CACHE_VALUE";
  return /^(22|23|54|P0001)/.test(sqlState(error) ?? "");
}

/** A name of one part or two, quoted: `people` or `crm.people`. @throws CacheError `ERR_CACHE_OPTION` */
export function quotedName(name: unknown, option: string): string {
  const parts = typeof name === "string" ? name.split(".") : [];
  if (parts.length === 0 || parts.length > 2 || parts.some((part) => part === "" || part.includes("\0"))) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      `Expected \`${option}\` to be a name, or \`schema.name\`, got \`${String(name)}\``,
    );
  }
  return parts.map(identifier).join(".");
}
