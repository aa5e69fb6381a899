import { facade } from "../repository/facade.js";
import { withPooledClient } from "./pooled-client.js";
import { BYPASS, QueryCache, type CachedQuery, type QueryCacheOptions } from "./queries.js";
import { thawed } from "./queries-rows.js";
import type { Session } from "./queries-session.js";
import type { TransactionalCache } from "./transactional.js";

/** A client of `pg`, as far as it is called here. */
export interface PgQueryable {
  query(...args: never[]): unknown;
}

/** A pool of `pg`, as far as it is called here. */
export interface PgQueryPool extends PgQueryable {
  connect(...args: never[]): unknown;
}

/** A query that may be answered from the cache. */
export interface CachedQueryConfig extends PgQueryConfig {
  /** With it, the answer is cached. */
  cache: CachedQuery;
}

interface PgQueryConfig {
  text: string;
  values?: readonly unknown[] | undefined;
  name?: string | undefined;
  rowMode?: string | undefined;
}

/** What a cached query answers: `pg`'s result without its methods. Its rows are the caller's own. */
export interface CachedResult<R> {
  readonly command: string;
  readonly rowCount: number | null;
  readonly oid: number | null;
  readonly rows: R[];
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

/** What a wrapped pool or client takes besides what it took before. */
export interface CachedQueries {
  query<R = Record<string, unknown>>(config: CachedQueryConfig): Promise<CachedResult<R>>;
}

/** Where the adapter of an ORM finds what its pool was wrapped with. @internal */
export const QUERIES: unique symbol = Symbol("tiercache queries");

type ClientOf<P> = P extends { connect: { (): Promise<infer C>; (callback: infer _): void } }
  ? C
  : P extends { connect(): Promise<infer C> }
    ? C
    : PgQueryable;

/** A pool whose queries may be cached, and whose clients' may. Everything else is the pool's own. */
export type CachedPool<P> = CachedQueries & {
  connect(): Promise<CachedClient<ClientOf<P>>>;
  /** The cache as it may be used inside the pool's transactions. */
  readonly cache: TransactionalCache;
} & P;

export type CachedClient<C> = CachedQueries & C;

/**
 * A `pg` pool with a cache: queries that ask for it (`cache: { ttl }`) are answered from the cache outside of
 * transactions, and writes drop what was read from their tables, once committed.
 *
 * Everything else is the pool's own, `instanceof` included. Wrap the pool before anything uses it: what does not pass
 * through here is not seen.
 *
 * @example
 * const pool = cachedPool(new pg.Pool(), { cache });
 * const { rows } = await pool.query({ text: "select * from contacts where team = $1", values: [7], cache: { ttl: "1m" } });
 */
export function cachedPool<P extends PgQueryPool>(pool: P, options: QueryCacheOptions): CachedPool<P> {
  const queries = new QueryCache(options, identityOf(pool));
  return new PooledQueries(queries, pool as unknown as Pool).facade() as CachedPool<P>;
}

/** A `pg` client of its own with a cache; see `cachedPool`. */
export function cachedClient<C extends PgQueryable>(
  client: C,
  options: QueryCacheOptions,
): CachedClient<C> & { readonly cache: TransactionalCache } {
  const queries = new QueryCache(options, identityOf(client));
  const connection = new Connection(queries, client as unknown as Client, undefined);
  return facade(
    client,
    new Map<PropertyKey, unknown>([...connection.members(), ["cache", queries.cache]]),
  ) as CachedClient<C> & {
    readonly cache: TransactionalCache;
  };
}

/** The calls made of a client. */
interface Client {
  query(...args: unknown[]): Promise<unknown>;
  once?(event: string, listener: () => void): unknown;
  getTransactionStatus?(): unknown;
  release?(error?: unknown): void;
}

interface Pool {
  query(...args: unknown[]): Promise<unknown>;
  connect(): Promise<Client>;
}

type Callback = (error: unknown, answer?: unknown, ...rest: unknown[]) => void;

/** What a call of `query` asks, whichever form it has; `undefined` for what queues itself (a cursor, a stream). */
interface Asked {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly cache: CachedQuery | undefined;
  readonly callback: Callback | undefined;
  /** The arguments for the driver: without the callback, and without what is ours. */
  readonly args: readonly unknown[];
  /** How values are made of what the database sends; `undefined` when it cannot be told. */
  readonly form: string | undefined;
  readonly rowMode: string;
}

class PooledQueries {
  readonly #queries: QueryCache;
  readonly #pool: Pool;
  /** By the driver's client, which comes back with its settings, and its transaction if one was left open. */
  readonly #connections = new WeakMap<Client, Connection>();

  constructor(queries: QueryCache, pool: Pool) {
    this.#queries = queries;
    this.#pool = pool;
  }

  facade(): object {
    return facade(
      this.#pool,
      new Map<PropertyKey, unknown>([
        ["query", (...args: unknown[]): unknown => this.#query(args)],
        ["connect", (callback?: Callback): unknown => this.#connect(callback)],
        ["cache", this.#queries.cache],
        [QUERIES, this.#queries],
      ]),
    );
  }

  #query(args: readonly unknown[]): unknown {
    const asked = askedBy(args);
    if (asked === undefined) return this.#pool.query(...args);
    return answered(asked.callback, () => this.#answer(asked));
  }

  async #answer(asked: Asked): Promise<unknown> {
    return cachedRead(this.#queries, asked, {
      settings: "",
      load: () => this.#load(asked),
      bypass: () => this.#run(asked),
    });
  }

  #run(asked: Asked): Promise<unknown> {
    const kinds = this.#queries.statementsOf(asked.sql).map((statement) => statement.kind);
    const ask = (): Promise<unknown> => this.#pool.query(...asked.args);
    if (kinds.every((kind) => kind === "read" || kind === "other")) return ask();
    if (kinds.every((kind) => kind === "write" || kind === "unsure")) {
      return this.#queries.session().run(asked.sql, ask, commandsOf);
    }
    // What it does to its connection stays there.
    return this.#withClient((connection) => connection.run(asked));
  }

  async #load(asked: Asked): Promise<unknown> {
    return this.#withClient((connection) => (connection.isPristine ? connection.ask(asked) : Promise.resolve(BYPASS)));
  }

  async #withClient<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    return withPooledClient(
      this.#pool,
      (client) => body(this.#connectionOf(client)),
      // As the pool's own `query` does: a client that failed is not used again.
      (client, failure) => client.release?.(failure),
    );
  }

  #connect(callback: Callback | undefined): unknown {
    const connected = this.#pool.connect().then((client) => this.#checkedOut(client));
    if (typeof callback !== "function") return connected;
    connected.then(
      (client) => callback(undefined, client, (error?: unknown) => client.release?.(error)),
      (error: unknown) => callback(error, undefined, () => undefined),
    );
    return undefined;
  }

  #checkedOut(client: Client): Client {
    const connection = this.#connectionOf(client);
    return facade(client, new Map<PropertyKey, unknown>(connection.checkedOut())) as Client;
  }

  #connectionOf(client: Client): Connection {
    let connection = this.#connections.get(client);
    if (connection === undefined) {
      connection = new Connection(this.#queries, client, (asked) => this.#load(asked));
      this.#connections.set(client, connection);
    }
    return connection;
  }
}

/** A connection of the driver, with what the cache knows of it. */
class Connection {
  readonly #queries: QueryCache;
  readonly #client: Client;
  readonly #session: Session;
  /** Asks another connection, when this one has gone back to its pool. */
  readonly #elsewhere: ((asked: Asked) => Promise<unknown>) | undefined;

  constructor(queries: QueryCache, client: Client, elsewhere: ((asked: Asked) => Promise<unknown>) | undefined) {
    this.#queries = queries;
    this.#client = client;
    this.#elsewhere = elsewhere;
    this.#session = queries.session({ status: () => client.getTransactionStatus?.() });
    client.once?.("end", () => this.#session.lost());
  }

  /** Neither in a transaction nor changed by a setting. */
  get isPristine(): boolean {
    return !this.#session.isInTransaction && this.#session.settings === "";
  }

  /** The members of a client that stays its user's. */
  members(): readonly (readonly [PropertyKey, unknown])[] {
    return [["query", (...args: unknown[]): unknown => this.#query(args, () => true)]];
  }

  /** The members of a client that was taken from the pool, until it is released. */
  checkedOut(): readonly (readonly [PropertyKey, unknown])[] {
    let isOut = true;
    // The client gets a new one each time it is taken out.
    const release = this.#client.release?.bind(this.#client);
    return [
      ["query", (...args: unknown[]): unknown => this.#query(args, () => isOut)],
      [
        "release",
        (error?: unknown): void => {
          isOut = false;
          release?.(error);
        },
      ],
    ];
  }

  /** Asks the driver and heeds what the statements do. Must be reached synchronously from the user's call. */
  run(asked: Asked): Promise<unknown> {
    return this.#session.run(asked.sql, () => this.#client.query(...asked.args), commandsOf);
  }

  /** Asks the driver for an answer to be stored. */
  async ask(asked: Asked): Promise<unknown> {
    const answer = await this.#client.query(...asked.args);
    // Begun meanwhile, perhaps before this was sent.
    return this.#session.isInTransaction ? BYPASS : kept(answer);
  }

  #query(args: readonly unknown[], isOut: () => boolean): unknown {
    const asked = askedBy(args);
    if (asked === undefined) return this.#client.query(...args);
    return answered(asked.callback, () => {
      if (this.#session.isInTransaction) return this.run(asked);
      return cachedRead(this.#queries, asked, {
        settings: this.#session.settings,
        load: () => this.#load(asked, isOut),
        bypass: () => this.run(asked),
      });
    });
  }

  /** A load may come later than its caller's next statement, or, as a refresh, than the client's return to the pool. */
  async #load(asked: Asked, isOut: () => boolean): Promise<unknown> {
    if (isOut()) return this.#session.isInTransaction ? BYPASS : this.ask(asked);
    return this.#session.settings === "" && this.#elsewhere !== undefined ? this.#elsewhere(asked) : BYPASS;
  }
}

interface Ways {
  readonly settings: string | undefined;
  readonly load: () => Promise<unknown>;
  readonly bypass: () => Promise<unknown>;
}

/** The answer, from the cache where the query asks for it. Reaches `bypass` synchronously when it does not. */
function cachedRead(queries: QueryCache, asked: Asked, ways: Ways): Promise<unknown> {
  const around = queries.asked();
  const options = asked.cache ?? around?.options;
  // What is around a whole piece of code is not meant for the writes in it.
  if (options === undefined || (asked.cache === undefined && !queries.isRead(asked.sql))) return ways.bypass();
  const form = around?.form ?? asked.form;
  if (form === undefined) {
    queries.report({ type: "not-cached", sql: asked.sql, why: "it has type parsers of its own, and no key" });
    return ways.bypass();
  }
  const read = queries.read({
    sql: asked.sql,
    parameters: asked.values,
    form: `${form} ${asked.rowMode}`,
    options,
    ...ways,
  });
  return read.then(thawed);
}

/** The driver's result as it is stored. */
function kept(answer: unknown): unknown {
  const { command, rowCount, oid, rows, fields } = answer as CachedResult<unknown>;
  return { command, rowCount, oid: oid ?? null, rows, fields: fields.map((field) => ({ ...field })) };
}

function commandsOf(answer: unknown): readonly (string | undefined)[] {
  const answers: readonly unknown[] = Array.isArray(answer) ? answer : [answer];
  return answers.map((one) => (one as { command?: string } | undefined)?.command);
}

/** Answers by promise or by callback, as it was asked. */
function answered(callback: Callback | undefined, ask: () => Promise<unknown>): unknown {
  const answer = ask();
  if (callback === undefined) return answer;
  // Out of the promise's reach: what the callback throws is not this query's rejection.
  answer.then(
    (value) => process.nextTick(callback, undefined, value),
    (error: unknown) => process.nextTick(callback, error),
  );
  return undefined;
}

function askedBy(args: readonly unknown[]): Asked | undefined {
  const [first, second] = args;
  const last = args.at(-1);
  const callback = typeof last === "function" ? (last as Callback) : undefined;
  const plain = callback === undefined ? args : args.slice(0, -1);
  if (typeof first === "string") {
    return { sql: first, values: valuesOf(second), cache: undefined, callback, args: plain, form: "", rowMode: "" };
  }
  if (typeof first !== "object" || first === null || "submit" in first || !("text" in first)) return undefined;
  // Read one by one: those of a template library's object are getters of its class.
  const config = first as Readonly<Record<string, unknown>>;
  const { text, values, callback: own } = config;
  // What is no object is refused where the others' options are.
  const cache = config["cache"] as CachedQuery | undefined;
  if (typeof text !== "string") return undefined;
  const isOurs = cache !== undefined || own !== undefined;
  return {
    sql: text,
    values: valuesOf(Array.isArray(second) ? second : values),
    cache: cache,
    callback: callback ?? (own as Callback | undefined),
    args: [isOurs ? { ...config, text, values, cache: undefined, callback: undefined } : config, ...plain.slice(1)],
    form: formOf(config, cache),
    rowMode: typeof config["rowMode"] === "string" ? config["rowMode"] : "",
  };
}

function valuesOf(values: unknown): readonly unknown[] {
  return Array.isArray(values) ? values : [];
}

/** Type parsers are functions, which no key can hold: only a query with a name of its own may have them. */
function formOf(config: Readonly<Record<string, unknown>>, cache: CachedQuery | undefined): string | undefined {
  if (config["binary"] === true) return undefined;
  return config["types"] !== undefined && cache?.key === undefined ? undefined : "";
}

/** The database and the user of a pool or a client, as its options tell: another user may see other rows. */
function identityOf(target: object): string {
  const options: unknown = Reflect.get(target, "options");
  const from = typeof options === "object" && options !== null ? options : target;
  const parts = ["database", "user", "options"].map((name) => Reflect.get(from, name) as unknown);
  const url: unknown = Reflect.get(from, "connectionString");
  if (typeof url === "string" && URL.canParse(url)) {
    const { pathname, username, searchParams } = new URL(url);
    parts.push(decodeURIComponent(pathname.slice(1)), decodeURIComponent(username), searchParams.get("options"));
  }
  const told = parts.filter((part) => typeof part === "string" && part !== "");
  return told.length === 0 ? "" : ` ${told.join(" ")}`;
}
