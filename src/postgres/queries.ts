import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";

import type { Cache, InvalidationTarget } from "../api.js";
import { encodeValue } from "../entries/codec/codec.js";
import { CacheError } from "../errors.js";
import { encodeTag, type KeyInput, type ScopeInput } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import { knownOptions, optionError } from "../policy.js";
import { Session, type SessionProbe } from "./queries-session.js";
import { statementsOf, type Statement } from "./queries-statement.js";
import { transactional, type TransactionalCache } from "./transactional.js";
import { flush } from "./transaction-flush.js";
import type { Queued, Transaction, Transactions } from "./transaction.js";

/** How one query is cached. What it does not say is as the cache's own. */
export interface CachedQuery extends Pick<EntryPolicy, "ttl" | "staleWhileRevalidate" | "strict" | "preset"> {
  /** More tags of the entry, for `cache.invalidate({ tag })` and the change feed. */
  tags?: readonly KeyInput[] | undefined;
  /** Tables it reads beyond those its text names: behind views and functions. */
  tables?: readonly string[] | undefined;
  /** What keeps one tenant's answer from another's, where the query does not say. @default as the wrapper's */
  scope?: ScopeInput | undefined;
  /** Names the query in place of its text. Parameters and scope stay part of the key. @default its text */
  key?: KeyInput | undefined;
}

/** Something the cache did not do. */
export type QueryProblem =
  /** A statement that may have changed anything: nothing was invalidated for it. */
  | { readonly type: "unrecognised"; readonly sql: string; readonly why: string }
  /** The query was asked to be cached, and was not. */
  | { readonly type: "not-cached"; readonly sql: string; readonly why: string }
  /** The cache failed, and the query went to the database. */
  | { readonly type: "cache-failed"; readonly error: unknown }
  /** A committed write's invalidation was not acknowledged; the cache goes on sending it. */
  | { readonly type: "invalidation-failed"; readonly error: unknown };

export interface QueryCacheOptions {
  /** Where answers are kept. Make it with `transactional(…)` to use it inside transactions yourself. */
  cache: Cache;
  /** Names the database in keys: two that share a cache need two names. @default "db" */
  name?: string | undefined;
  /** The scope (tenant, role …) of a query that names none, asked at each. @default none */
  scope?: (() => ScopeInput | undefined) | undefined;
  /** Hears what was not done. Never throws into a query. @default nobody */
  report?: ((problem: QueryProblem) => void) | undefined;
}

const CACHE_FIELDS: readonly string[] = ["cache", "name", "scope", "report"];

const QUERY_FIELDS: readonly string[] = [
  "ttl",
  "staleWhileRevalidate",
  "strict",
  "preset",
  "tags",
  "tables",
  "scope",
  "key",
];

/** One query that asks to be answered from the cache. */
export interface QueryRead<R> {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** How the driver gives its rows: answers of two forms are two entries. */
  readonly form: string;
  /** Tables that are known without the text. */
  readonly tables?: readonly string[] | undefined;
  readonly options: CachedQuery;
  /** The settings of its connection; `undefined` when they cannot be told. */
  readonly settings: string | undefined;
  /** Asks the database outside of any transaction; `BYPASS` when that cannot be done. The answer is plain data. */
  readonly load: () => Promise<R | typeof BYPASS>;
  /** Asks the database as if there were no cache. */
  readonly bypass: () => Promise<R>;
}

/** What a piece of code asks for the queries in it. */
export interface AskedAround {
  readonly options: CachedQuery;
  readonly form: string;
}

/** In place of an answer: whoever waited asks the database itself. */
export const BYPASS: unique symbol = Symbol("bypass");

/** Texts whose statements are remembered. */
const MAX_TEXTS = 1_000;
const MAX_TEXT_LENGTH = 10_000;

/** The database's own error, as the answer of a load: it reaches everybody who waited, and delays nobody after them. */
class Failure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The tag of every answer that reads the table; invalidate it when something else wrote it. */
export function tableTag(table: string): KeyInput {
  return ["table", table];
}

/** What all drivers and ORMs share: keys of queries, tags of tables, and what waits for a commit. */
export class QueryCache {
  readonly cache: TransactionalCache;
  readonly transactions: Transactions;
  readonly #name: string;
  readonly #scope: () => ScopeInput | undefined;
  readonly #report: ((problem: QueryProblem) => void) | undefined;
  readonly #asked = new AsyncLocalStorage<AskedAround>();
  readonly #texts = new Map<string, readonly Statement[]>();

  constructor(options: QueryCacheOptions, identity = "") {
    knownOptions(options, CACHE_FIELDS, "query cache");
    const { name = "db", scope = () => undefined, report } = options;
    if (typeof name !== "string" || name === "") throw optionError("name", "text that is not empty", name);
    if (typeof scope !== "function") throw optionError("scope", "a function", scope);
    if (report !== undefined && typeof report !== "function") throw optionError("report", "a function", report);
    this.cache = transactional(options.cache);
    this.transactions = this.cache.transactions;
    this.#name = `${name}${identity}`;
    this.#scope = scope;
    this.#report = report;
  }

  /** Every query that `body` runs and that only reads asks to be cached. */
  cached<T>(options: CachedQuery, form: string, body: () => Promise<T>): Promise<T> {
    checkQuery(options);
    // Run inside: an ORM's query is often begun only when somebody waits for it.
    return this.#asked.run({ options, form }, async () => body());
  }

  /** What the code around a query asks for it. */
  asked(): AskedAround | undefined {
    return this.#asked.getStore();
  }

  isRead(sql: string): boolean {
    return this.statementsOf(sql).every(({ kind }) => kind === "read");
  }

  session(probe?: SessionProbe): Session {
    return new Session(this, probe);
  }

  /** What a text consists of; remembered. */
  statementsOf(sql: string): readonly Statement[] {
    const known = this.#texts.get(sql);
    if (known !== undefined) return known;
    const statements = statementsOf(sql);
    if (sql.length > MAX_TEXT_LENGTH) return statements;
    this.#texts.set(sql, statements);
    if (this.#texts.size > MAX_TEXTS) {
      const [oldest] = this.#texts.keys();
      if (oldest !== undefined) this.#texts.delete(oldest);
    }
    return statements;
  }

  report(problem: QueryProblem): void {
    try {
      this.#report?.(problem);
    } catch {
      // A listener's error is nobody's answer, and there is nobody else to tell.
    }
  }

  /**
   * The answer of a query that asks to be cached. Inside a transaction it is the database's own, and nothing is stored.
   *
   * @throws the database's error by identity; CacheError only for options that are wrong.
   */
  async read<R>(read: QueryRead<R>): Promise<R> {
    const tables = this.#readableTables(read);
    const path = tables === undefined ? undefined : this.#keyOf(read);
    if (tables === undefined || path === undefined || this.transactions.current() !== undefined) return read.bypass();
    const outcome = await this.#through(path, read, tables);
    if (outcome === BYPASS) return read.bypass();
    if (outcome instanceof Failure) throw outcome.error;
    return outcome;
  }

  async #through<R>(
    path: KeyInput,
    read: QueryRead<R>,
    tables: readonly string[],
  ): Promise<R | Failure | typeof BYPASS> {
    const { tags = [], ttl, staleWhileRevalidate, strict, preset } = read.options;
    const options = { ttl, staleWhileRevalidate, strict, preset, tags: [...tags, ...tables.map(tableTag)] };
    let own: Promise<R | Failure | typeof BYPASS> | undefined;
    try {
      return await this.cache.direct.getOrLoad<R | Failure | typeof BYPASS>(
        path,
        (context) => {
          own = attempt(read.load).then((outcome) => {
            if (outcome === BYPASS || outcome instanceof Failure) context.skip();
            return outcome;
          });
          return own;
        },
        options,
      );
    } catch (error) {
      if (isMistake(error)) throw error;
      this.report({ type: "cache-failed", error });
      // The query that was begun is waited for, however long it takes: twice would be twice the load.
      return own ?? BYPASS;
    }
  }

  /** Tables were written: their readers go when the transaction commits, or now when there is none. */
  async wrote(tables: readonly string[], transaction: Transaction | undefined): Promise<void> {
    const targets = tables.map((table): readonly [string, InvalidationTarget] => [table, { tag: tableTag(table) }]);
    if (transaction?.isOpen === true) {
      for (const [table, target] of targets) transaction.queueTable(table, target);
      return;
    }
    if (targets.length > 0) await this.flush([{ targets: targets.map(([, target]) => target), mode: undefined }]);
  }

  /** Invalidates what has waited. Never rejects: the write it follows has been done. */
  async flush(queue: readonly Queued[]): Promise<void> {
    await flush(this.cache.direct, queue, (error) => this.report({ type: "invalidation-failed", error }));
  }

  /**
   * Runs a user's callback form of a transaction in its scope.
   *
   * @param start begins it by the driver's own means; must run the callback inside the function it is given.
   */
  async around<T>(start: (inside: <U>(body: () => Promise<U>) => Promise<U>) => Promise<T>): Promise<T> {
    const transaction = this.transactions.prepare();
    let isDone = false;
    const inside = async <U>(body: () => Promise<U>): Promise<U> => {
      const result = await this.transactions.run(transaction, body);
      isDone = true;
      return result;
    };
    try {
      const result = await this.transactions.run(transaction, () => start(inside));
      // Only when nobody watches the connection: otherwise COMMIT has ended it.
      if (transaction.isOpen) await this.flush(transaction.commit());
      return result;
    } catch (error) {
      // Its own work was done and the commit's answer was lost, or it was rolled back.
      if (isDone && !transaction.isBegun) await this.flush(transaction.commit());
      else transaction.rollback();
      throw error;
    }
  }

  /** `undefined` when the query must go to the database whatever it asked for. */
  #readableTables({ sql, tables = [], options }: QueryRead<unknown>): readonly string[] | undefined {
    const [statement, ...others] = this.statementsOf(sql);
    if (statement?.kind !== "read" || statement.locks || others.length > 0) {
      this.report({ type: "not-cached", sql, why: "it is not one statement that only reads" });
      return undefined;
    }
    return [...new Set([...statement.tables, ...tables, ...(options.tables ?? [])])];
  }

  #keyOf({ sql, parameters, form, options, settings }: QueryRead<unknown>): KeyInput | undefined {
    checkQuery(options);
    if (settings === undefined) {
      this.report({ type: "not-cached", sql, why: "the settings of its connection cannot be told" });
      return undefined;
    }
    const scope = options.scope === undefined ? this.#scope() : options.scope;
    // It throws for what is no scope: a tenant that is null or "" must not become everybody's.
    if (scope !== undefined) encodeTag("scope", scope);
    const named = options.key === undefined ? sql : keyText(options.key);
    try {
      const told = encodeValue([this.#name, scope, form, settings, options.key !== undefined, named, [...parameters]]);
      const digest = createHash("sha256").update(told).digest("base64url");
      return ["sql", this.#name, scopeSegment(scope), digest];
    } catch {
      // A parameter that is no plain data: what it becomes on the wire is the driver's secret.
      this.report({ type: "not-cached", sql, why: "a parameter is not plain data" });
      return undefined;
    }
  }
}

/** @throws CacheError `ERR_CACHE_OPTION` for what is not an option of a cached query. */
export function checkQuery(options: CachedQuery): void {
  knownOptions(options, QUERY_FIELDS, "cache");
  for (const list of ["tags", "tables"] as const) {
    const given: unknown = options[list];
    if (given !== undefined && !Array.isArray(given)) throw optionError(`cache.${list}`, "an array", given);
  }
}

async function attempt<R>(load: () => Promise<R>): Promise<R | Failure> {
  try {
    return await load();
  } catch (error) {
    return new Failure(error);
  }
}

/** A program's mistake, which is told to who made it; anything else the cache reports must not fail a query. */
function isMistake(error: unknown): boolean {
  return error instanceof CacheError && (error.code === "ERR_CACHE_OPTION" || error.code === "ERR_CACHE_KEY");
}

function keyText(key: KeyInput): unknown {
  return typeof key === "object" && "path" in key ? key.path : key;
}

/** The scope as one readable segment; the digest is what tells scopes apart. */
function scopeSegment(scope: ScopeInput | undefined): string {
  if (scope === undefined) return "global";
  return typeof scope === "object" ? scope.map(String).join("/") : String(scope);
}
