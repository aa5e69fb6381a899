import { transaction } from "../sink-transaction.js";
import type { ResolvedView } from "./view-definition.js";

/** What is needed of a client of `pg`. */
export interface ViewClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
  /** @param destroy whether the connection is not to be used again */
  release(destroy?: boolean): void;
}

/** What is needed of a pool of `pg`. */
export interface ViewPool {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
  connect(): Promise<ViewClient>;
}

/** Each statement sees what is committed before it, groups that changed meanwhile too. */
const REFRESHING = ["BEGIN ISOLATION LEVEL READ COMMITTED"];
/** All that is read is of one moment. */
const READING = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"];

/** How old a view's data are, and what is known of them. Times in milliseconds. */
export interface ViewState {
  /** Age of the data; `undefined`: never refreshed. */
  readonly age: number | undefined;
  /** How long ago the last refresh ended, and how long it took. */
  readonly endedAgo: number | undefined;
  readonly took: number;
  /** How long ago the first and the newest change came that the data lack. */
  readonly dirtySince: number | undefined;
  readonly dirtyAgo: number | undefined;
  readonly refreshes: number;
}

export type RefreshOutcome =
  /** `keys`: how many groups were made anew; `undefined`: all. */
  | {
      readonly state: "refreshed";
      readonly asOf: Date;
      readonly took: number;
      readonly keys: number | undefined;
    }
  /** Nothing it is made of has changed since. */
  | { readonly state: "clean" }
  /** Another process refreshes it. */
  | { readonly state: "busy" };

/** The prefix of the logical messages that tell of refreshes; the feed reads them. */
export const VIEW_MESSAGE = "tiercache.view";

const SETUP = `
CREATE SCHEMA IF NOT EXISTS tiercache;
CREATE TABLE IF NOT EXISTS tiercache.view_state (
  name text PRIMARY KEY,
  as_of timestamptz,
  ended_at timestamptz,
  took_ms double precision NOT NULL DEFAULT 0,
  dirty_since timestamptz,
  dirty_at timestamptz,
  all_dirty boolean NOT NULL DEFAULT true,
  refreshes bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tiercache.view_dirty (
  name text NOT NULL,
  key text NOT NULL,
  PRIMARY KEY (name, key)
);`;

const AGE = (column: string): string => `extract(epoch FROM clock_timestamp() - ${column})::float8 * 1000`;

const STATE = `SELECT name, ${AGE("as_of")} AS age, ${AGE("ended_at")} AS ended_ago, took_ms AS took,
  ${AGE("dirty_since")} AS dirty_since, ${AGE("dirty_at")} AS dirty_ago, refreshes::int AS refreshes
  FROM tiercache.view_state WHERE name = ANY ($1)`;

const MARK = `UPDATE tiercache.view_state SET dirty_since = coalesce(dirty_since, clock_timestamp()),
  dirty_at = clock_timestamp(), all_dirty = all_dirty OR $2 WHERE name = ANY ($1)`;

const MARK_KEYS = `INSERT INTO tiercache.view_dirty (name, key) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`;

/** A change that came after the refresh began may be missing in its data: it stays dirty. */
const REFRESHED = `UPDATE tiercache.view_state SET as_of = $2, ended_at = clock_timestamp(), took_ms = ${AGE("$2::timestamptz")},
  dirty_since = CASE WHEN dirty_at > $2 THEN $2 END, dirty_at = CASE WHEN dirty_at > $2 THEN dirty_at END,
  all_dirty = all_dirty AND coalesce(dirty_at > $2, false), refreshes = refreshes + 1
  WHERE name = $1 RETURNING took_ms AS took`;

/**
 * What the database knows of views, and how they are refreshed in it: by one process at a time (an advisory lock), with
 * what tells of it in the same transaction as the new data.
 */
export class ViewDatabase {
  readonly #pool: ViewPool;

  constructor(pool: ViewPool) {
    this.#pool = pool;
  }

  /** Creates what this needs, in a schema `tiercache`; twice is once. */
  async ensure(views: readonly ResolvedView[]): Promise<void> {
    await this.#transaction(async (client) => {
      // Two that create the same at the same time would fail.
      await client.query("SELECT pg_advisory_xact_lock(hashtextextended('tiercache.views', 0))");
      await client.query(SETUP);
      await client.query(
        "INSERT INTO tiercache.view_state (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING",
        [views.map(({ name }) => name)],
      );
    });
  }

  async states(names: readonly string[]): Promise<ReadonlyMap<string, ViewState>> {
    const { rows } = await this.#pool.query(STATE, [names]);
    return new Map(
      rows.map((row) => [
        String(row["name"]),
        {
          age: milliseconds(row["age"]),
          endedAgo: milliseconds(row["ended_ago"]),
          took: Number(row["took"]),
          dirtySince: milliseconds(row["dirty_since"]),
          dirtyAgo: milliseconds(row["dirty_ago"]),
          refreshes: Number(row["refreshes"]),
        },
      ]),
    );
  }

  /** Their tables have changed. `all`: nobody knows which rows. */
  async markDirty(names: readonly string[], all: boolean): Promise<void> {
    await this.#pool.query(MARK, [names, all]);
  }

  async markKeys(name: string, keys: readonly string[]): Promise<void> {
    await this.#pool.query(MARK_KEYS, [name, keys]);
  }

  /** @param force also if it is clean. Rejects with what the database says. */
  refresh(view: ResolvedView, force: boolean): Promise<RefreshOutcome> {
    return this.#transaction(async (client) => {
      const [locked] = (
        await client.query("SELECT pg_try_advisory_xact_lock(hashtextextended('tiercache.view ' || $1, 0)) AS mine", [
          view.name,
        ])
      ).rows;
      if (locked?.["mine"] !== true) return { state: "busy" };
      const [state] = (
        await client.query(
          "SELECT as_of, dirty_at, all_dirty, clock_timestamp() AS now FROM tiercache.view_state WHERE name = $1",
          [view.name],
        )
      ).rows;
      if (state === undefined) throw new Error(`The view ${view.name} is not set up: call ensure() first`);
      const isFirst = state["as_of"] === null;
      if (!force && !isFirst && state["dirty_at"] === null) return { state: "clean" };
      // A timestamp with microseconds passes through a Date with milliseconds: rounded down, which only makes it older.
      const asOf = state["now"] as Date;
      const keys = await this.#recompute(client, view, force || isFirst || state["all_dirty"] === true);
      const [ended] = (await client.query(REFRESHED, [view.name, asOf])).rows;
      await client.query("SELECT pg_logical_emit_message(true, $1, $2)", [
        VIEW_MESSAGE,
        JSON.stringify({ view: view.name, asOf: asOf.toISOString() }),
      ]);
      return { state: "refreshed", asOf, took: Number(ended?.["took"]), keys };
    });
  }

  /**
   * What `read` finds in one snapshot, with the age of the view's data in it.
   *
   * @returns `asOf` undefined for a view that was never refreshed.
   */
  readAsOf<T>(name: string, read: (client: ViewClient) => Promise<T>): Promise<{ value: T; asOf: Date | undefined }> {
    return this.#transaction(async (client) => {
      const [state] = (await client.query("SELECT as_of FROM tiercache.view_state WHERE name = $1", [name])).rows;
      const value = await read(client);
      return { value, asOf: (state?.["as_of"] as Date | null | undefined) ?? undefined };
    }, READING);
  }

  /** @returns how many groups were made anew; `undefined` for all. */
  async #recompute(client: ViewClient, view: ResolvedView, all: boolean): Promise<number | undefined> {
    const { mode, sql } = view;
    if (mode === "full" || mode === "concurrent") {
      const isConcurrent = mode === "concurrent" && (await isPopulated(client, view));
      // The one that does not run beside readers must not have all of them wait behind a slow one.
      if (!isConcurrent) await client.query(`SET LOCAL lock_timeout = ${Math.max(1, Math.ceil(view.lockTimeout))}`);
      await client.query(`REFRESH MATERIALIZED VIEW ${isConcurrent ? "CONCURRENTLY " : ""}${sql}`);
      return undefined;
    }
    const { rows } = await client.query("DELETE FROM tiercache.view_dirty WHERE name = $1 RETURNING key", [view.name]);
    const isFull = all || rows.length > mode.most;
    const keys = isFull ? null : rows.map(({ key }) => String(key));
    if (keys === null) await client.query(`DELETE FROM ${sql}`);
    else await client.query(`DELETE FROM ${sql} WHERE "${mode.key}"::text = ANY ($1)`, [keys]);
    await client.query(`INSERT INTO ${sql} ${mode.select}`, [keys]);
    return keys?.length;
  }

  #transaction<T>(work: (client: ViewClient) => Promise<T>, begin: readonly string[] = REFRESHING): Promise<T> {
    // The pool is asked for clients of its own kind only.
    return transaction(this.#pool, (_query, client) => work(client as ViewClient), begin);
  }
}

async function isPopulated(client: ViewClient, view: ResolvedView): Promise<boolean> {
  const { rows } = await client.query("SELECT relispopulated AS filled FROM pg_class WHERE oid = $1::regclass", [
    view.sql,
  ]);
  return rows[0]?.["filled"] === true;
}

function milliseconds(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}
