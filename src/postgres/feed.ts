import { hash } from "node:crypto";

import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { ChangeFeed, ChangeSink, ChangeTarget, FeedStats, OpenFeed } from "../feed/change-feed.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import { Mappings, resolveMapping, type TableMapping } from "./mapping.js";
import { installStatements, removeStatements } from "./outbox-sql.js";
import { runOutbox } from "./outbox.js";
import { loadPg, type PgConnect, type PgLike } from "./pg.js";
import type { FeedContext, FeedFigures, FeedSettings } from "./feed/context.js";
import { Database } from "./feed/database.js";
import { askFacts } from "./feed/facts.js";
import { News } from "./feed/news.js";
import {
  Replica,
  type ReplicaClient,
  type ReplicaOptions,
  type ReplicaPool,
  type ReplicaReads,
} from "./feed/replica.js";
import { RowListeners, type RowListener } from "./feed/row-listeners.js";
import { queryBound, runFeed } from "./feed/run.js";
import { findProblems, mendSetup, type SetupProblem } from "./feed/setup.js";
import { createSlot } from "./feed/slot.js";
import { snapshotText } from "./feed/snapshot.js";
import { readToken, Waiters, writeToken } from "./feed/token.js";
import { pause } from "./feed/within.js";
import { Wake } from "./feed/wake.js";
import { VIEW_MESSAGE } from "./views/view-database.js";
import { viewTargets } from "./views/view-tag.js";

/** Rows of one table in one transaction that are told row by row. */
const COLLAPSE_AT = 1_000;

export interface PostgresFeedOptions {
  /** The primary: a connection string, or what a `pg.Client` is made with. The role needs REPLICATION. */
  connect: PgConnect;
  /** For the feed's own queries; without it they have a connection of their own. The stream of changes always has. */
  pool?: PgLike | undefined;
  /** How old a fed entry may be at the most, whatever breaks. @default "5s" */
  maxStaleness?: Duration | undefined;
  /** The replication slot, or the outbox: one for each database and cache. @default "tiercache_" and the cache's name */
  slot?: string | undefined;
  /** The publication; several caches may share it. @default "tiercache" */
  publication?: string | undefined;
  /** Creates the publication and adds tables to it, when they are missing; without it that is a problem told of. The slot is always created. @default true */
  setup?: boolean | undefined;
  /** `outbox`, where logical replication is not allowed: triggers write changes into a table that is polled. @default "replication" */
  method?: "replication" | "outbox" | undefined;
  /** Rows of a table that one transaction may change before all that belongs to the table is invalidated instead. @default 1000 */
  collapseAt?: number | undefined;
}

const OPTIONS: readonly (keyof PostgresFeedOptions)[] = [
  "connect",
  "pool",
  "maxStaleness",
  "slot",
  "publication",
  "setup",
  "method",
  "collapseAt",
];

export interface PostgresFeedStatus {
  readonly role: FeedFigures["role"];
  readonly slot: { readonly name: string; readonly active: boolean; readonly lost: boolean } | undefined;
  /** Of the log written and not published: bytes, as of the newest barrier. */
  readonly lagBytes: number;
  /** Since this process was last known to have applied everything, in seconds. */
  readonly lagSeconds: number;
  /** Of the log that the server keeps for the slot. */
  readonly retainedBytes: number;
  /** Transactions read and not published yet. */
  readonly waiting: number;
  /** The newest thing that went wrong. */
  readonly problem: string | undefined;
}

/** Tells a cache what every writer of a PostgreSQL database changed: `createCache({ feed })`. */
export interface PostgresFeed extends ChangeFeed {
  readonly kind: "postgres";
  /** Says what the rows of a table are to the cache. A table may have several of these. Before or after the cache is made. */
  table<Row extends object>(name: string, mapping: TableMapping<Row>): this;
  /** Says what a message means that a transaction sent with `pg_logical_emit_message(true, prefix, content)`. */
  message(prefix: string, targets: (content: string) => readonly ChangeTarget[]): this;
  /**
   * Has a listener told of the changed rows of some tables, by the process that leads: before they are acknowledged to the database,
   * so what it resolves with is never lost, and one that rejects is told again. `lost`: changes may have passed unseen, in any
   * table. A column that the log does not have throws when it is read, unless it is one of `fixed`, which never change.
   * `columns` says by table what is read of its rows besides their replica identity; of a table that it leaves out all is published.
   *
   * @returns what ends it.
   */
  onRows(
    listener: RowListener,
    tables: readonly string[],
    fixed?: readonly string[],
    columns?: Readonly<Record<string, readonly string[]>>,
  ): () => void;
  /** Resolves when everything up to now is applied in this process for the first time. @throws CacheError `ERR_CACHE_TIMEOUT`. */
  ready(options?: { timeout?: Duration | undefined }): Promise<void>;
  /**
   * Looks at everything the feed needs, and creates the publication and (once the cache is made, or with `slot`) the slot.
   *
   * @returns what is left, each with the statement that mends it.
   */
  ensure(): Promise<readonly SetupProblem[]>;
  status(): Promise<PostgresFeedStatus>;
  /** Stands for everything committed so far: hand it to another process, which waits for it. */
  token(): Promise<string>;
  /**
   * Resolves when this process serves nothing older than the token. @param options.timeout default "5s".
   *
   * @throws CacheError `ERR_CACHE_TIMEOUT`; `ERR_CACHE_OPTION` for what is no token.
   */
  wait(token: string, options?: { timeout?: Duration | undefined }): Promise<void>;
  /**
   * For loaders that read replicas: what a replica answers that had not replayed what the primary had when the load began is served
   * and not stored. Each load asks the primary how far its log is; one that waits for its replica waits for no longer than `wait`.
   */
  replica<Client extends ReplicaClient>(pool: ReplicaPool<Client>, options?: ReplicaOptions): ReplicaReads<Client>;
  /** Creates the outbox and its triggers. With `setup` they are created when they are missing; this is for a role that may. */
  installOutbox(): Promise<void>;
  /** Removes the triggers of the registered tables, and the outbox. */
  removeOutbox(): Promise<void>;
  /** Gives back its connections, for a feed that feeds no cache (a setup script); the cache's `close` does it otherwise. */
  close(): Promise<void>;
}

/**
 * A change feed on logical replication.
 *
 * One process of a cache reads a replication slot, which is also the lock among them, and invalidates what each transaction made
 * outdated once readers of the database see it; the others follow by what it notes in the shared tier.
 *
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value.
 */
export function postgresFeed(options: PostgresFeedOptions): PostgresFeed {
  return new LogicalFeed(options);
}

class LogicalFeed implements PostgresFeed {
  readonly kind = "postgres";
  readonly maxStaleness: number;
  readonly #options: PostgresFeedOptions;
  readonly #publication: string;
  readonly #collapseAt: number;
  readonly #mappings = new Mappings();
  readonly #handlers = new Map<string, (content: string) => readonly ChangeTarget[]>();
  readonly #rows = new RowListeners();
  readonly #waiters = new Waiters();
  readonly #closing = new AbortController();
  readonly #figures: FeedFigures = {
    role: "connecting",
    note: undefined,
    outboxNote: undefined,
    transactions: 0,
    rows: 0,
    lagBytes: 0,
    retainedBytes: 0,
    waiting: 0,
    reconnects: 0,
    forgets: 0,
  };
  #database: Database | undefined;
  #sink: ChangeSink | undefined;
  #news: News | undefined;
  #completeAt: number | undefined;
  #running: Promise<void> | undefined;
  #context: Promise<FeedContext> | undefined;

  constructor(options: PostgresFeedOptions) {
    knownOptions(options, OPTIONS, "postgresFeed");
    const { connect, pool, slot, publication } = options;
    const isConfig = typeof connect === "object" && connect !== null;
    if (!isConfig && (typeof connect !== "string" || connect === ""))
      throw optionError("connect", "a connection string or the settings of a pg client", connect);
    if (pool !== undefined && typeof (pool as Partial<PgLike> | null)?.query !== "function")
      throw optionError("pool", "a pg pool", pool);
    if (slot !== undefined && !/^[a-z0-9_]{1,63}$/.test(slot))
      throw optionError("slot", "1 to 63 of a-z, 0-9 and _", slot);
    if (publication !== undefined && (typeof publication !== "string" || !/^.{1,63}$/.test(publication)))
      throw optionError("publication", "a name of 1 to 63 characters", publication);
    const method: unknown = options.method;
    if (method !== undefined && method !== "replication" && method !== "outbox")
      throw optionError("method", "replication or outbox", method);
    if (options.setup !== undefined && typeof options.setup !== "boolean")
      throw optionError("setup", "true or false", options.setup);
    this.maxStaleness = toMilliseconds(options.maxStaleness ?? 5_000, "maxStaleness");
    if (this.maxStaleness < 50) throw optionError("maxStaleness", "50 ms or more", options.maxStaleness);
    this.#collapseAt = wholeNumber(options.collapseAt ?? COLLAPSE_AT, "collapseAt", 1);
    this.#publication = publication ?? "tiercache";
    this.#options = options;
    this.#handlers.set(VIEW_MESSAGE, viewTargets);
  }

  table<Row extends object>(name: string, mapping: TableMapping<Row>): this {
    this.#mappings.add(resolveMapping(name, mapping));
    return this;
  }

  message(prefix: string, targets: (content: string) => readonly ChangeTarget[]): this {
    if (typeof prefix !== "string" || prefix === "" || prefix.startsWith("tiercache"))
      throw optionError("prefix", 'text that does not begin with "tiercache"', prefix);
    if (typeof targets !== "function") throw optionError("targets", "a function of the content", targets);
    this.#handlers.set(prefix, targets);
    return this;
  }

  onRows(
    listener: RowListener,
    tables: readonly string[],
    fixed: readonly string[] = [],
    columns: Readonly<Record<string, readonly string[]>> = {},
  ): () => void {
    if (typeof listener !== "function") throw optionError("listener", "a function of changed rows", listener);
    const unknown = Object.keys(columns).find((table) => !tables.includes(table));
    if (unknown !== undefined) throw optionError("columns", `of ${tables.join(", ")}`, unknown);
    for (const table of tables) this.table(table, this.#rows.mapping(table, fixed, columns[table]));
    return this.#rows.add(listener, tables);
  }

  open(sink: ChangeSink): OpenFeed {
    if (this.#sink !== undefined)
      throw new CacheError(
        "ERR_CACHE_OPTION",
        `Expected \`feed\` to feed one cache, got \`${sink.cacheName}\` besides`,
      );
    this.#sink = sink;
    this.#news = new News(sink);
    this.#context = this.#contextFor(sink, this.#settings(sink.cacheName), this.#news);
    this.#running = this.#run(this.#context, this.#news);
    return { stats: () => this.#stats(), close: () => this.close() };
  }

  async ready(options: { timeout?: Duration | undefined } = {}): Promise<void> {
    const timeout = toMilliseconds(options.timeout ?? 30_000, "timeout");
    const clock = this.#clock();
    const deadline = clock.now() + timeout;
    for (;;) {
      try {
        const token = await this.token();
        return await this.wait(token, { timeout: Math.max(1, deadline - clock.now()) });
      } catch (cause) {
        if (cause instanceof CacheError && cause.code !== "ERR_CACHE_TIMEOUT") throw cause;
        // The database is away: that is no reason not to be ready a moment later.
        if (clock.now() >= deadline)
          throw new CacheError("ERR_CACHE_TIMEOUT", `The feed was not ready within ${timeout} ms`, { cause });
        await pause(clock, 100, this.#closing.signal);
      }
    }
  }

  async ensure(): Promise<readonly SetupProblem[]> {
    const slot = this.#slot();
    if (this.#options.method === "outbox") return this.#ensureOutbox(slot);
    const names = { publication: this.#publication, slot };
    const find = (this.#options.setup ?? true) ? mendSetup : findProblems;
    const problems = await find(this.#db(), names, this.#mappings);
    if (slot === undefined || this.#sink === undefined || problems.some(({ level }) => level === "refused"))
      return problems;
    const context = await this.#context;
    if (context === undefined) return problems;
    const facts = await askFacts(this.#db(), context.clock, slot, this.#publication, this.#mappings.tables);
    if (facts.slot === undefined) await createSlot(context);
    return problems;
  }

  async status(): Promise<PostgresFeedStatus> {
    const slot = this.#slot();
    const { role, lagBytes, waiting } = this.#figures;
    const clock = this.#clock();
    const facts =
      slot === undefined
        ? undefined
        : await askFacts(this.#db(), clock, slot, this.#publication, this.#mappings.tables);
    const last = this.#news?.last;
    return {
      role,
      slot:
        facts?.slot && slot !== undefined
          ? { name: slot, active: facts.slot.active, lost: facts.slot.lost }
          : undefined,
      lagBytes,
      lagSeconds: this.#completeAt === undefined ? Number.POSITIVE_INFINITY : (clock.now() - this.#completeAt) / 1_000,
      retainedBytes: facts?.slot?.retained ?? 0,
      waiting,
      problem: last && `${last.what}: ${last.error instanceof Error ? last.error.message : String(last.error)}`,
    };
  }

  async token(): Promise<string> {
    const facts = await askFacts(this.#db(), this.#clock(), "", "", []);
    return writeToken(facts, this.#options.method === "outbox" ? snapshotText(facts.snapshot) : facts.lsn);
  }

  replica<Client extends ReplicaClient>(pool: ReplicaPool<Client>, options: ReplicaOptions = {}): ReplicaReads<Client> {
    const flushedOnly = this.#options.method !== "outbox";
    return new Replica({ database: this.#db(), clock: () => this.#clock(), pool, options, flushedOnly });
  }

  async installOutbox(): Promise<void> {
    await this.#db().statements(...installStatements(this.#outboxName(), this.#mappings));
  }

  async removeOutbox(): Promise<void> {
    await this.#db().statements(...removeStatements(this.#outboxName(), this.#mappings));
  }

  async wait(token: string, options: { timeout?: Duration | undefined } = {}): Promise<void> {
    const timeout = toMilliseconds(options.timeout ?? 5_000, "timeout");
    if (this.#sink === undefined)
      throw new CacheError("ERR_CACHE_OPTION", "Expected the feed to feed a cache: give it to `createCache`");
    await this.#waiters.wait(readToken(token), this.#clock(), timeout);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#database?.close();
  }

  async #run(context: Promise<FeedContext>, news: News): Promise<void> {
    try {
      await (this.#options.method === "outbox" ? runOutbox : runFeed)(await context);
    } catch (error) {
      // Only what no turn of the loop could mend comes here: `pg` is not installed.
      this.#figures.role = "refused";
      news.tell({ what: "refused", error });
    }
  }

  async #contextFor(sink: ChangeSink, settings: FeedSettings, news: News): Promise<FeedContext> {
    const { types } = await loadPg();
    const wake = new Wake();
    const database = this.#db();
    this.#waiters.onWait = () => {
      wake.fire();
      // The leader is another process: it hears this in the log, and notes how far it is at once.
      if (this.#figures.role === "standby" && this.#options.method !== "outbox")
        database.query("SELECT pg_logical_emit_message(true, 'tiercache', '')").catch((error: unknown) => {
          news.repeat({ what: "query-failed", error });
        });
    };
    return {
      sink: this.#noting(sink),
      clock: sink.clock,
      settings,
      database,
      mappings: this.#mappings,
      handlers: this.#handlers,
      parse: (type, text) => types.getTypeParser(type, "text")(text),
      news,
      waiters: this.#waiters,
      wake,
      signal: this.#closing.signal,
      figures: this.#figures,
    };
  }

  /** The sink, with the time of the newest barrier kept for `status`. */
  #noting(sink: ChangeSink): ChangeSink {
    return {
      cacheName: sink.cacheName,
      clock: sink.clock,
      ...this.#rows.around(sink),
      complete: (at) => {
        this.#completeAt = at;
        sink.complete(at);
      },
      catchUp: () => sink.catchUp(),
      readNote: (name) => sink.readNote(name),
      writeNote: (name, text) => sink.writeNote(name, text),
      tell: (news) => sink.tell(news),
    };
  }

  #settings(cacheName: string): FeedSettings {
    return {
      connect: this.#options.connect,
      slot: this.#options.slot ?? slotName(cacheName),
      publication: this.#publication,
      maxStaleness: this.maxStaleness,
      collapseAt: this.#collapseAt,
      setup: this.#options.setup ?? true,
    };
  }

  #slot(): string | undefined {
    return this.#options.slot ?? (this.#sink && slotName(this.#sink.cacheName));
  }

  #outboxName(): string {
    const slot = this.#slot();
    if (slot === undefined)
      throw new CacheError(
        "ERR_CACHE_OPTION",
        "Expected `slot` to be given, or the feed to feed a cache: the outbox has its name",
      );
    return slot;
  }

  async #ensureOutbox(slot: string | undefined): Promise<readonly SetupProblem[]> {
    const statements = installStatements(slot ?? "tiercache", this.#mappings);
    try {
      if (this.#options.setup ?? true) await this.#db().statements(...statements);
      return [];
    } catch (error) {
      const message = `The outbox cannot be installed: ${error instanceof Error ? error.message : String(error)}`;
      return [{ level: "refused", code: "outbox", message, sql: statements.join(";\n") }];
    }
  }

  #clock(): Clock {
    return this.#sink?.clock ?? systemClock;
  }

  #db(): Database {
    this.#database ??= new Database({
      connect: this.#options.connect,
      pool: this.#options.pool,
      clock: this.#clock(),
      bound: queryBound(this.maxStaleness),
    });
    return this.#database;
  }

  #stats(): FeedStats {
    const { role, transactions, rows, lagBytes, retainedBytes, waiting, reconnects, forgets } = this.#figures;
    return { role, transactions, rows, lagBytes, retainedBytes, waiting, reconnects, forgets };
  }
}

/** A slot's name may have few characters: what is lost of the cache's name is made up for by its hash. */
function slotName(cacheName: string): string {
  const plain = cacheName
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, "_")
    .slice(0, 40);
  const suffix = plain === cacheName ? "" : `_${hash("sha256", cacheName).slice(0, 8)}`;
  return `tiercache_${plain}${suffix}`;
}
