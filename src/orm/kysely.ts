import type {
  CompiledQuery,
  DatabaseConnection,
  Dialect,
  Driver,
  KyselyPlugin,
  PluginTransformQueryArgs,
  PluginTransformResultArgs,
  QueryCompiler,
  QueryId,
  QueryResult,
  RootOperationNode,
  TableNode,
  TransactionSettings,
  UnknownRow,
} from "kysely";

import { facade } from "../repository/facade.js";
import { BYPASS, checkQuery, QueryCache, type CachedQuery, type QueryCacheOptions } from "../postgres/queries.js";
import { thawed } from "../postgres/queries-rows.js";
import { isServerError, type Session } from "../postgres/queries-session.js";
import type { Transaction } from "../postgres/transaction.js";
import type { TransactionalCache } from "../postgres/transactional.js";

export { tableTag } from "../postgres/queries.js";
export { inTransaction, transactional } from "../postgres/transactional.js";
export type { CachedQuery, QueryCacheOptions, QueryProblem } from "../postgres/queries.js";
export type { TransactionalCache } from "../postgres/transactional.js";

/** A cache for the queries of one Kysely database. */
export interface KyselyCache {
  /** The dialect, with its driver wrapped: give it to `new Kysely`. */
  dialect(dialect: Dialect): Dialect;
  /** Asks that one query be cached: `db.selectFrom("contact").selectAll().withPlugin(caching.cached({ ttl: "1m" }))`. */
  cached(options?: CachedQuery): KyselyPlugin;
  /** The cache as it may be used inside the database's transactions. */
  readonly cache: TransactionalCache;
}

/**
 * A cache for Kysely over PostgreSQL.
 *
 * @example
 * const caching = kyselyCache({ cache });
 * const db = new Kysely<Database>({ dialect: caching.dialect(new PostgresDialect({ pool })) });
 */
export function kyselyCache(options: QueryCacheOptions): KyselyCache {
  const queries = new QueryCache(options);
  // Kysely names each execution by an object of its own, which it forgets as soon as we do.
  const asked = new WeakMap<QueryId, CachedQuery>();
  return {
    cache: queries.cache,
    dialect: (dialect) =>
      facade(
        dialect,
        new Map([["createDriver", () => new CachedDriver(dialect.createDriver(), queries, asked)]]),
      ) as Dialect,
    cached: (query = {}) => {
      checkQuery(query);
      return new AskingPlugin(query, asked);
    },
  };
}

/** Marks each query it is applied to; the driver finds the mark. */
class AskingPlugin implements KyselyPlugin {
  readonly #query: CachedQuery;
  readonly #asked: WeakMap<QueryId, CachedQuery>;

  constructor(query: CachedQuery, asked: WeakMap<QueryId, CachedQuery>) {
    this.#query = query;
    this.#asked = asked;
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
    this.#asked.set(queryId, this.#query);
    return node;
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result;
  }
}

class CachedDriver implements Driver {
  readonly #driver: Driver;
  readonly #queries: QueryCache;
  readonly #asked: WeakMap<QueryId, CachedQuery>;
  /** By the driver's connection, which comes back with its settings. */
  readonly #sessions = new WeakMap<DatabaseConnection, Session>();
  readonly savepoint?: NonNullable<Driver["savepoint"]>;
  readonly rollbackToSavepoint?: NonNullable<Driver["rollbackToSavepoint"]>;
  readonly releaseSavepoint?: NonNullable<Driver["releaseSavepoint"]>;

  constructor(driver: Driver, queries: QueryCache, asked: WeakMap<QueryId, CachedQuery>) {
    this.#driver = driver;
    this.#queries = queries;
    this.#asked = asked;
    // A driver without savepoints has no such methods, and Kysely looks.
    if (driver.savepoint !== undefined) {
      this.savepoint = (...call) => this.#savepoint("savepoint", "savepoint", call);
    }
    if (driver.rollbackToSavepoint !== undefined) {
      this.rollbackToSavepoint = (...call) => this.#savepoint("rollbackToSavepoint", "rollbackTo", call);
    }
    if (driver.releaseSavepoint !== undefined) {
      this.releaseSavepoint = (...call) => this.#savepoint("releaseSavepoint", "release", call);
    }
  }

  init(): Promise<void> {
    return this.#driver.init();
  }

  /** No connection is taken before the database is needed: an answer from the cache needs none. */
  async acquireConnection(): Promise<DatabaseConnection> {
    return new CachedConnection(this.#queries, this.#asked, {
      acquire: () => this.#driver.acquireConnection(),
      release: (connection) => this.#driver.releaseConnection(connection),
      sessionOf: (connection) => this.#sessionOf(connection),
    });
  }

  /** Not async before the scope is entered: the caller's code is to be in the transaction from here on. */
  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#begin(this.#queries.transactions.enter(), connection, settings);
  }

  async #begin(transaction: Transaction, connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    try {
      const inner = await ours(connection).inner();
      await this.#driver.beginTransaction(inner, settings);
      this.#sessionOf(inner).begin(transaction);
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const cached = ours(connection);
    const inner = await cached.inner();
    const session = this.#sessionOf(inner);
    try {
      await this.#driver.commitTransaction(inner);
    } catch (error) {
      // Refused by the server it was rolled back; with the connection lost nobody knows.
      if (isServerError(error)) session.rollback();
      else await session.commit();
      throw error;
    }
    await session.commit();
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const inner = await ours(connection).inner();
    try {
      await this.#driver.rollbackTransaction(inner);
    } finally {
      this.#sessionOf(inner).rollback();
    }
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    return ours(connection).release();
  }

  destroy(): Promise<void> {
    return this.#driver.destroy();
  }

  #sessionOf(connection: DatabaseConnection): Session {
    let session = this.#sessions.get(connection);
    if (session === undefined) {
      session = this.#queries.session();
      this.#sessions.set(connection, session);
    }
    return session;
  }

  async #savepoint(
    method: "savepoint" | "rollbackToSavepoint" | "releaseSavepoint",
    effect: "savepoint" | "rollbackTo" | "release",
    [connection, name, compileQuery]: [DatabaseConnection, string, QueryCompiler["compileQuery"]],
  ): Promise<void> {
    const inner = await ours(connection).inner();
    await this.#driver[method]?.(inner, name, compileQuery);
    this.#sessionOf(inner)[effect](name);
  }
}

/** A connection that is taken from the driver when a query needs it. */
class CachedConnection implements DatabaseConnection {
  readonly #queries: QueryCache;
  readonly #asked: WeakMap<QueryId, CachedQuery>;
  readonly #connections: Connections;
  #inner: Promise<DatabaseConnection> | undefined;
  /** The session of the connection, once it is here. */
  #session: Session | undefined;
  #isReleased = false;

  constructor(queries: QueryCache, asked: WeakMap<QueryId, CachedQuery>, connections: Connections) {
    this.#queries = queries;
    this.#asked = asked;
    this.#connections = connections;
  }

  inner(): Promise<DatabaseConnection> {
    this.#inner ??= this.#connections.acquire().then((inner) => {
      this.#session = this.#connections.sessionOf(inner);
      return inner;
    });
    return this.#inner;
  }

  async release(): Promise<void> {
    this.#isReleased = true;
    const inner = await this.#inner?.catch(() => undefined);
    if (inner !== undefined) await this.#connections.release(inner);
  }

  async executeQuery<R>(compiled: CompiledQuery): Promise<QueryResult<R>> {
    const options = this.#optionsOf(compiled);
    if (options === undefined || this.#session?.isInTransaction === true) return this.#run(compiled);
    const settings = this.#session === undefined ? "" : this.#session.settings;
    const { rows } = await this.#queries.read<Pick<QueryResult<R>, "rows">>({
      sql: compiled.sql,
      parameters: compiled.parameters,
      form: "kysely",
      tables: tablesOf(compiled.query),
      options,
      settings,
      load: () => this.#load(compiled, settings),
      bypass: () => this.#run(compiled),
    });
    return { rows: thawed(rows) };
  }

  async *streamQuery<R>(compiled: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    const inner = await this.inner();
    for await (const part of inner.streamQuery<R>(compiled, chunkSize)) yield part;
    // What it has written is known only now.
    await this.#connections.sessionOf(inner).run(compiled.sql, async () => undefined);
  }

  #optionsOf({ queryId, sql }: CompiledQuery): CachedQuery | undefined {
    const asked = this.#asked.get(queryId);
    if (asked !== undefined) return asked;
    const around = this.#queries.asked();
    return around !== undefined && this.#queries.isRead(sql) ? around.options : undefined;
  }

  async #run<R>(compiled: CompiledQuery): Promise<QueryResult<R>> {
    const inner = await this.inner();
    return this.#connections.sessionOf(inner).run(compiled.sql, () => inner.executeQuery<R>(compiled));
  }

  /** A refresh may come when the connection has gone back. */
  async #load<R>(
    compiled: CompiledQuery,
    settings: string | undefined,
  ): Promise<Pick<QueryResult<R>, "rows"> | typeof BYPASS> {
    if (!this.#isReleased) return this.#ask(await this.inner(), compiled, settings);
    const other = await this.#connections.acquire();
    try {
      return await this.#ask(other, compiled, settings);
    } finally {
      await this.#connections.release(other);
    }
  }

  async #ask<R>(
    inner: DatabaseConnection,
    compiled: CompiledQuery,
    settings: string | undefined,
  ): Promise<Pick<QueryResult<R>, "rows"> | typeof BYPASS> {
    const session = this.#connections.sessionOf(inner);
    if (session.isInTransaction || session.settings !== settings) return BYPASS;
    const { rows } = await inner.executeQuery<R>(compiled);
    // Begun meanwhile, perhaps before this was sent.
    return session.isInTransaction ? BYPASS : { rows };
  }
}

interface Connections {
  readonly acquire: () => Promise<DatabaseConnection>;
  readonly release: (connection: DatabaseConnection) => Promise<void>;
  readonly sessionOf: (connection: DatabaseConnection) => Session;
}

/** Kysely hands back the connections it was given. */
function ours(connection: DatabaseConnection): CachedConnection {
  return connection as CachedConnection;
}

/** The tables a query's tree names, CTEs' names among them. */
function tablesOf(root: RootOperationNode): readonly string[] {
  const tables = new Set<string>();
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    if (Array.isArray(node)) return node.forEach(visit);
    const kind: unknown = Reflect.get(node, "kind");
    // Values are the user's, of any size.
    if (kind === "ValueNode" || kind === "PrimitiveValueListNode") return;
    if (kind === "TableNode") {
      const { table } = node as TableNode;
      tables.add(table.identifier.name);
      return;
    }
    Object.values(node).forEach(visit);
  };
  visit(root);
  return [...tables];
}
