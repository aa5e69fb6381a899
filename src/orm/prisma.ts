import { optionError } from "../policy.js";
import { QueryCache, type CachedQuery, type QueryCacheOptions } from "../postgres/queries.js";
import { thawed } from "../postgres/queries-rows.js";
import type { Session } from "../postgres/queries-session.js";
import type { TransactionalCache } from "../postgres/transactional.js";
import { facade } from "../repository/facade.js";

export { tableTag } from "../postgres/queries.js";
export { inTransaction, transactional } from "../postgres/transactional.js";
export type { CachedQuery, QueryCacheOptions, QueryProblem } from "../postgres/queries.js";
export type { TransactionalCache } from "../postgres/transactional.js";

/** A driver adapter of Prisma's (`new PrismaPg(…)`), as far as it is called here. */
export interface PrismaAdapterFactory {
  connect(): Promise<unknown>;
}

/** A Prisma client, as far as it is called here. */
export interface PrismaClientLike {
  $transaction(...args: never[]): unknown;
}

/** A cache for the queries of one Prisma client. */
export interface PrismaCache {
  /** The driver adapter, wrapped: give it to `new PrismaClient({ adapter })`. */
  adapter<A extends PrismaAdapterFactory>(adapter: A): A;
  /** The client, with its interactive transactions known to `cache`. */
  client<C extends PrismaClientLike>(client: C): C;
  /** Runs `body`; the SELECTs it comes to are answered from the cache, outside of transactions. */
  cached<T>(options: CachedQuery, body: () => PromiseLike<T>): Promise<T>;
  /** The cache as it may be used inside the client's transactions. */
  readonly cache: TransactionalCache;
}

/**
 * A cache for Prisma over PostgreSQL.
 *
 * @example
 * const caching = prismaCache({ cache });
 * const prisma = caching.client(new PrismaClient({ adapter: caching.adapter(new PrismaPg({ connectionString })) }));
 * const contacts = await caching.cached({ ttl: "1m" }, () => prisma.contact.findMany({ where: { teamId: 7 } }));
 */
export function prismaCache(options: QueryCacheOptions): PrismaCache {
  const queries = new QueryCache(options);
  return {
    cache: queries.cache,
    adapter: (adapter) => facade(adapter, new Map([["connect", () => connected(queries, adapter)]])) as typeof adapter,
    client: (client) => cachedPrisma(queries, client),
    cached: async (query, body) => {
      if (typeof body !== "function") throw optionError("body", "a function", body);
      // Prisma merges the `findUnique` calls of one tick into one query: begun in a turn of its own, this one is not merged
      // with one that did not ask to be cached. Awaited inside, as it is begun by whoever waits for it.
      return queries.cached(query, "prisma", async () => {
        await new Promise<void>((resolve) => setImmediate(resolve));
        return body();
      });
    },
  };
}

/** What of Prisma's contract of driver adapters is used here. */
interface SqlQuery {
  readonly sql: string;
  readonly args: readonly unknown[];
  readonly argTypes: readonly unknown[];
}

interface SqlQueryable {
  queryRaw(query: SqlQuery): Promise<object>;
  executeRaw(query: SqlQuery): Promise<number>;
}

interface SqlAdapter extends SqlQueryable {
  executeScript(script: string): Promise<void>;
  startTransaction(level?: string): Promise<SqlTransaction>;
}

interface SqlTransaction extends SqlQueryable {
  commit(): Promise<void>;
  rollback(): Promise<void>;
  createSavepoint?(name: string): Promise<void>;
  rollbackToSavepoint?(name: string): Promise<void>;
  releaseSavepoint?(name: string): Promise<void>;
}

type LooseTransaction = (work: unknown, options?: unknown) => Promise<unknown>;

function cachedPrisma<C extends PrismaClientLike>(queries: QueryCache, client: C): C {
  const begin = client.$transaction.bind(client) as unknown as LooseTransaction;
  const transaction: LooseTransaction = (work, options) => {
    // An array of queries is one transaction that no code of the user's runs in.
    if (typeof work !== "function") return begin(work, options);
    const body = work as (client: unknown) => Promise<unknown>;
    return queries.around((inside) => begin((inner: unknown) => inside(() => body(inner)), options));
  };
  return facade(client, new Map<PropertyKey, unknown>([["$transaction", transaction]])) as C;
}

async function connected(queries: QueryCache, factory: PrismaAdapterFactory): Promise<unknown> {
  // Prisma's own types are generic over databases; of SQL there is this one.
  const adapter = (await factory.connect()) as SqlAdapter;
  return facade(
    adapter,
    new Map<PropertyKey, unknown>([
      ["queryRaw", (query: SqlQuery) => queryRaw(queries, adapter, query)],
      ["executeRaw", (query: SqlQuery) => queries.session().run(query.sql, () => adapter.executeRaw(query))],
      ["executeScript", (script: string) => queries.session().run(script, () => adapter.executeScript(script))],
      ["startTransaction", (level?: string) => startTransaction(queries, adapter, level)],
    ]),
  );
}

/** A query outside of any transaction: on whichever connection the adapter takes. */
async function queryRaw(queries: QueryCache, adapter: SqlQueryable, query: SqlQuery): Promise<object> {
  const bypass = (): Promise<object> => queries.session().run(query.sql, () => adapter.queryRaw(query));
  const around = queries.asked();
  if (around === undefined || !queries.isRead(query.sql)) return bypass();
  const result = await queries.read<object>({
    sql: query.sql,
    parameters: [query.args, query.argTypes],
    form: around.form,
    options: around.options,
    settings: "",
    load: async () => ({ ...(await adapter.queryRaw(query)) }),
    bypass,
  });
  return thawed(result);
}

async function startTransaction(
  queries: QueryCache,
  adapter: SqlAdapter,
  level: string | undefined,
): Promise<SqlTransaction> {
  const scope = queries.transactions.current();
  const transaction = scope?.isBegun === false ? scope : queries.transactions.prepare();
  const session = queries.session();
  const inner = await adapter.startTransaction(level);
  session.begin(transaction);
  return facade(inner, new Map<PropertyKey, unknown>(members(session, inner))) as SqlTransaction;
}

/** A transaction of the adapter: COMMIT and ROLLBACK come as texts, or as calls, or as both. */
function members(session: Session, inner: SqlTransaction): readonly (readonly [PropertyKey, unknown])[] {
  const all: (readonly [PropertyKey, unknown])[] = [
    ["queryRaw", (query: SqlQuery) => session.run(query.sql, () => inner.queryRaw(query))],
    ["executeRaw", (query: SqlQuery) => session.run(query.sql, () => inner.executeRaw(query))],
    [
      "commit",
      async (): Promise<void> => {
        await inner.commit();
        await session.commit();
      },
    ],
    [
      "rollback",
      async (): Promise<void> => {
        try {
          await inner.rollback();
        } finally {
          session.rollback();
        }
      },
    ],
  ];
  const savepoints = [
    ["createSavepoint", "savepoint"],
    ["rollbackToSavepoint", "rollbackTo"],
    ["releaseSavepoint", "release"],
  ] as const;
  for (const [method, effect] of savepoints) {
    const call = inner[method]?.bind(inner);
    // An adapter without it has no such method, and Prisma looks.
    if (call === undefined) continue;
    all.push([
      method,
      async (name: string): Promise<void> => {
        await call(name);
        session[effect](name);
      },
    ]);
  }
  return all;
}
