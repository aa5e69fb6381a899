import { optionError } from "../policy.js";
import { QUERIES } from "../postgres/queries-pg.js";
import { checkQuery, QueryCache, type CachedQuery } from "../postgres/queries.js";
import type { TransactionalCache } from "../postgres/transactional.js";
import { facade } from "../repository/facade.js";

export { tableTag } from "../postgres/queries.js";
export { inTransaction, transactional } from "../postgres/transactional.js";
export { cachedPool } from "../postgres/queries-pg.js";
export type { CachedQuery, QueryCacheOptions, QueryProblem } from "../postgres/queries.js";
export type { CachedPool } from "../postgres/queries-pg.js";
export type { TransactionalCache } from "../postgres/transactional.js";

/** A Drizzle database on node-postgres, as far as it is called here. */
export interface DrizzleDatabase {
  transaction(...args: never[]): unknown;
  readonly $client: unknown;
}

/** A query of Drizzle's that has not run yet: a builder, `db.query.…`, a prepared query, `db.execute(sql…)`. */
export interface DrizzleQuery<T> {
  execute(): Promise<T>;
}

/** What the wrapped database has besides Drizzle's own. */
export interface DrizzleCaching {
  /** Runs a query, answered from the cache outside of transactions. */
  cached<T>(query: DrizzleQuery<T>, options?: CachedQuery): Promise<T>;
  /** The cache as it may be used inside the database's transactions. */
  readonly cache: TransactionalCache;
}

/**
 * A Drizzle database over a pool that was wrapped by `cachedPool`, with `cached` beside its own methods.
 *
 * @example
 * const pool = cachedPool(new pg.Pool(), { cache });
 * const db = cachedDrizzle(drizzle({ client: pool, schema }));
 * const contacts = await db.cached(db.select().from(contact).where(eq(contact.team, 7)), { ttl: "1m" });
 *
 * @throws CacheError `ERR_CACHE_OPTION` when the database's client is not such a pool.
 */
export function cachedDrizzle<D extends DrizzleDatabase>(database: D): D & DrizzleCaching {
  const client = database.$client;
  const queries: unknown = typeof client === "object" && client !== null ? Reflect.get(client, QUERIES) : undefined;
  if (!(queries instanceof QueryCache)) throw optionError("database", "one over a pool of `cachedPool`", client);
  const loose = database as unknown as LooseDatabase;
  const members: readonly (readonly [PropertyKey, unknown])[] = [
    ["cache", queries.cache],
    ["cached", <T>(query: DrizzleQuery<T>, options?: CachedQuery): Promise<T> => cached(queries, query, options)],
    [
      "transaction",
      (body: LooseBody, config?: unknown): Promise<unknown> =>
        // The scope is opened around Drizzle's own way: its BEGIN is sent from a scope that ends with it.
        queries.around((inside) => loose.transaction((transaction) => inside(() => body(transaction)), config)),
    ],
  ];
  return facade(database, new Map(members)) as D & DrizzleCaching;
}

type LooseBody = (transaction: unknown) => Promise<unknown>;

interface LooseDatabase {
  transaction(body: LooseBody, config?: unknown): Promise<unknown>;
}

async function cached<T>(queries: QueryCache, query: DrizzleQuery<T>, options: CachedQuery = {}): Promise<T> {
  checkQuery(options);
  if (typeof query !== "object" || query === null || typeof query.execute !== "function") {
    throw optionError("query", "a query of Drizzle's", query);
  }
  return queries.cached(options, "drizzle", () => query.execute());
}
