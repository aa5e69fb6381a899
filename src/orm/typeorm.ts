import type { DataSource, QueryRunner } from "typeorm";

import type { KeyInput } from "../keys.js";
import { BYPASS, QueryCache, type CachedQuery, type QueryCacheOptions } from "../postgres/queries.js";
import { thawed } from "../postgres/queries-rows.js";
import type { Session } from "../postgres/queries-session.js";
import type { TransactionalCache } from "../postgres/transactional.js";

export { tableTag } from "../postgres/queries.js";
export { inTransaction, transactional } from "../postgres/transactional.js";
export type { CachedQuery, QueryCacheOptions, QueryProblem } from "../postgres/queries.js";
export type { TransactionalCache } from "../postgres/transactional.js";

/** What TypeORM says of a query that is to be cached. */
export interface TypeormQuery {
  identifier?: string;
  duration: number;
  query?: string;
}

/** TypeORM's contract of a cache of results, as it is met here. */
export interface TypeormResultCache {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  synchronize(): Promise<void>;
  getFromCache(query: TypeormQuery, runner?: QueryRunner): Promise<undefined>;
  storeInCache(): Promise<void>;
  isExpired(): boolean;
  clear(): Promise<void>;
  remove(identifiers: string[]): Promise<void>;
}

/** A cache for the queries of TypeORM data sources. */
export interface TypeormCache {
  /** `new DataSource({ …, cache: { provider: caching.provider } })`; then `cache: "1m"`-like options of `find` and `.cache(…)` ask for it. */
  readonly provider: (dataSource: DataSource) => TypeormResultCache;
  /** Runs `body`; what it reads is answered from the cache, with tags and a scope that TypeORM's own options cannot say. */
  cached<T>(options: CachedQuery, body: () => Promise<T>): Promise<T>;
  /** The cache as it may be used inside the data source's transactions. */
  readonly cache: TransactionalCache;
}

/**
 * A cache for TypeORM over PostgreSQL.
 *
 * @example
 * const caching = typeormCache({ cache });
 * const dataSource = new DataSource({ type: "postgres", url, entities, cache: { provider: caching.provider } });
 * const contacts = await dataSource.getRepository(Contact).find({ where: { team: 7 }, cache: 60_000 });
 */
export function typeormCache(options: QueryCacheOptions): TypeormCache {
  const queries = new QueryCache(options);
  return {
    cache: queries.cache,
    provider: (dataSource) => new ResultCache(queries, dataSource),
    cached: (query, body) => queries.cached(query, "typeorm", body),
  };
}

/** The tag of every query TypeORM was asked to cache, and of one it named. */
function queryTag(identifier?: string): KeyInput {
  return identifier === undefined ? ["typeorm"] : ["typeorm", identifier];
}

/**
 * What TypeORM takes for its cache.
 *
 * TypeORM asks it before a query and tells it the answer after, with nothing between that could be fenced, and all of it
 * as JSON. So it answers neither: it remembers that the query was asked to be cached, and the query itself, which follows on
 * the same runner, is answered from the cache or loaded into it.
 */
class ResultCache implements TypeormResultCache {
  readonly #queries: QueryCache;
  readonly #marks = new WeakMap<QueryRunner, TypeormQuery>();

  constructor(queries: QueryCache, dataSource: DataSource) {
    this.#queries = queries;
    const { driver, manager } = dataSource;
    const transaction = manager.transaction.bind(manager) as LooseTransaction;
    Object.assign(manager, { transaction: inScope(queries, transaction) });
    const create = driver.createQueryRunner.bind(driver);
    const sessions = new WeakMap<object, Session>();
    driver.createQueryRunner = (mode): QueryRunner => {
      const runner = create(mode);
      // A replica may not have what was committed before the load began.
      const isReplica = mode === "slave" && driver.isReplicated;
      const cached = new CachedRunner(queries, runner, sessions, () => create("master"), isReplica);
      cached.install((sql) => this.#take(runner, sql));
      return runner;
    };
  }

  async connect(): Promise<void> {}

  async disconnect(): Promise<void> {}

  async synchronize(): Promise<void> {}

  async getFromCache(query: TypeormQuery, runner?: QueryRunner): Promise<undefined> {
    if (runner !== undefined) this.#marks.set(runner, query);
  }

  async storeInCache(): Promise<void> {}

  isExpired(): boolean {
    return true;
  }

  async clear(): Promise<void> {
    await this.#queries.cache.invalidate({ tag: queryTag() });
  }

  async remove(identifiers: string[]): Promise<void> {
    await this.#queries.cache.invalidate({ tags: identifiers.map(queryTag) });
  }

  /** What TypeORM and the code around ask for the query that runs now. */
  #take(runner: QueryRunner, sql: string): CachedQuery | undefined {
    const mark = this.#marks.get(runner);
    const around = this.#queries.asked()?.options;
    if (mark?.query?.startsWith(`${sql} -- PARAMETERS: `) !== true) return around;
    this.#marks.delete(runner);
    const named = mark.identifier === undefined || mark.identifier === "" ? [] : [queryTag(mark.identifier)];
    return { ttl: mark.duration, ...around, tags: [queryTag(), ...named, ...(around?.tags ?? [])] };
  }
}

type LooseTransaction = (...args: unknown[]) => Promise<unknown>;

/** The callback form, whose scope is around the callback and nothing else. */
function inScope(queries: QueryCache, transaction: LooseTransaction): LooseTransaction {
  return (...args) => {
    // Alone, or behind the level of isolation.
    const at = args.findIndex((arg) => typeof arg === "function");
    if (at === -1) return transaction(...args);
    const body = args[at] as (manager: unknown) => Promise<unknown>;
    return queries.around((inside) =>
      transaction(...args.slice(0, at), (manager: unknown) => inside(async () => body(manager))),
    );
  };
}

/** The answer of a runner, as TypeORM wants it when it asks for structure. */
interface Structured {
  readonly raw: unknown;
  readonly records: unknown[];
  readonly affected?: number | undefined;
}

type Query = (sql: string, parameters?: unknown[], structured?: boolean) => Promise<unknown>;

/** A runner's own methods, with the cache before its queries. */
class CachedRunner {
  readonly #queries: QueryCache;
  readonly #runner: QueryRunner;
  /** By the driver's connection, which comes back with its settings. */
  readonly #sessions: WeakMap<object, Session>;
  readonly #fresh: () => QueryRunner;
  readonly #isReplica: boolean;
  readonly #query: Query;
  #session: Session | undefined;

  constructor(
    queries: QueryCache,
    runner: QueryRunner,
    sessions: WeakMap<object, Session>,
    fresh: () => QueryRunner,
    isReplica: boolean,
  ) {
    this.#queries = queries;
    this.#runner = runner;
    this.#sessions = sessions;
    this.#fresh = fresh;
    this.#isReplica = isReplica;
    this.#query = runner.query.bind(runner) as Query;
  }

  /** Replaces the runner's methods: TypeORM hands the runner itself around. */
  install(take: (sql: string) => CachedQuery | undefined): void {
    const start = this.#runner.startTransaction.bind(this.#runner);
    const query: Query = (sql, parameters, structured) => this.#answer(take(sql), sql, parameters ?? [], structured);
    Object.assign(this.#runner, {
      query,
      // Not async before the scope is entered: the caller's code is to be in the transaction from here on.
      startTransaction: (level?: Parameters<typeof start>[0]): Promise<void> => this.#start(() => start(level)),
    });
  }

  #start(start: () => Promise<void>): Promise<void> {
    // Inside another one of this runner it is a savepoint.
    if (this.#isInTransaction) return start();
    const transaction = this.#queries.transactions.enter();
    return start().catch((error: unknown) => {
      transaction.rollback();
      throw error;
    });
  }

  get #isInTransaction(): boolean {
    return this.#runner.isTransactionActive || this.#session?.isInTransaction === true;
  }

  async #answer(
    options: CachedQuery | undefined,
    sql: string,
    parameters: unknown[],
    structured: boolean | undefined,
  ): Promise<unknown> {
    if (options === undefined || this.#isInTransaction || !this.#queries.isRead(sql)) {
      return this.#run(sql, parameters, structured);
    }
    const settings = this.#session === undefined ? "" : this.#session.settings;
    const records = await this.#queries.read<unknown[]>({
      sql,
      parameters,
      form: "typeorm",
      options,
      settings,
      load: () => this.#load(sql, parameters, settings),
      bypass: async () => ((await this.#run(sql, parameters, true)) as Structured).records,
    });
    const rows = thawed(records);
    return structured === true ? { raw: rows, records: rows, affected: rows.length } : rows;
  }

  async #run(sql: string, parameters: unknown[], structured: boolean | undefined): Promise<unknown> {
    const session = await this.#connected();
    return session.run(sql, () => this.#query(sql, parameters, structured));
  }

  async #load(sql: string, parameters: unknown[], settings: string | undefined): Promise<unknown[] | typeof BYPASS> {
    // A refresh may come when the runner has been released.
    if (this.#runner.isReleased || this.#isReplica) {
      const other = this.#fresh();
      try {
        return ((await other.query(sql, parameters, true)) as Structured).records;
      } finally {
        await other.release();
      }
    }
    const session = await this.#connected();
    if (this.#isInTransaction || session.settings !== settings) return BYPASS;
    const { records } = (await this.#query(sql, parameters, true)) as Structured;
    // Begun meanwhile, perhaps before this was sent.
    return this.#isInTransaction ? BYPASS : records;
  }

  async #connected(): Promise<Session> {
    if (this.#session !== undefined) return this.#session;
    const connection = (await this.#runner.connect()) as { getTransactionStatus?(): unknown };
    let session = this.#sessions.get(connection);
    if (session === undefined) {
      session = this.#queries.session({ status: () => connection.getTransactionStatus?.() });
      this.#sessions.set(connection, session);
    }
    this.#session = session;
    return session;
  }
}
