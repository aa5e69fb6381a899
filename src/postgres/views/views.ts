import type { Cache, LoadOptions } from "../../api.js";
import { systemClock, type Clock, type Timer } from "../../clock.js";
import { CacheError } from "../../errors.js";
import { knownOptions, optionError } from "../../policy.js";
import { tableKey, tableName } from "../pg.js";
import { requirePool } from "../sink-transaction.js";
import { ViewChanges } from "./view-changes.js";
import { viewTag } from "./view-tag.js";
import { nextRefresh } from "./schedule.js";
import { ViewDatabase, type RefreshOutcome, type ViewClient, type ViewPool, type ViewState } from "./view-database.js";
import { resolveView, type ResolvedView, type RowChange, type ViewDefinition } from "./view-definition.js";

/** Tells of changed rows; `postgresFeed` does. */
export interface ChangedRows {
  /**
   * Has a listener told of every change, before the feed acknowledges it to the database: what it resolves with is durable.
   * `columns` is what is read of the rows of a table besides their identity; of those it leaves out, all may be.
   * `lost` when changes may have passed unseen. Ends when the returned function is called.
   */
  onRows(
    listener: (changes: readonly RowChange[], lost: boolean) => Promise<void>,
    tables: readonly string[],
    fixed?: readonly string[],
    columns?: Readonly<Record<string, readonly string[]>>,
  ): () => void;
}

/** What happens to views. Times in milliseconds. */
export type ViewEvent =
  | { readonly type: "refreshing"; readonly view: string; readonly why: "asked" | "due" }
  | {
      readonly type: "refreshed";
      readonly view: string;
      readonly asOf: Date;
      readonly took: number;
      /** Groups made anew; `undefined`: all. */
      readonly keys: number | undefined;
    }
  | { readonly type: "skipped"; readonly view: string; readonly why: "clean" | "busy" }
  /** A view's `keysOf` threw: all groups are made anew. Told once for each message. */
  | { readonly type: "keys-unknown"; readonly view: string; readonly error: unknown }
  | { readonly type: "failed"; readonly view: string; readonly error: unknown };

export interface ViewsOptions {
  /** A pool of `pg`. */
  pool: ViewPool;
  /** By name, "view" or "schema.view". */
  views: Readonly<Record<string, ViewDefinition>>;
  /** Tells which tables changed: then views that are clean are not refreshed. @default none: every view may be dirty */
  feed?: ChangedRows | undefined;
  /** Hears of refreshes. */
  onEvent?: ((event: ViewEvent) => void) | undefined;
  /** @default the machine's */
  clock?: Clock | undefined;
  /** Source of chance, in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
}

/** A value from a view, and when the view's data were taken. */
export interface ViewRead<T> {
  readonly value: T;
  /** `undefined`: the view was never refreshed by this. */
  readonly asOf: Date | undefined;
}

/** Views that are kept fresh, and read through a cache. */
export interface MaterializedViews {
  /** Creates what is needed in the database (a schema `tiercache` with two tables), and begins to refresh. Twice is once. */
  ensure(): Promise<void>;
  /** Refreshes now; one that is clean only by `force`. Rejects with what the database says. */
  refresh(view: string, options?: { readonly force?: boolean | undefined }): Promise<RefreshOutcome>;
  /**
   * What `load` finds in a view, by way of the cache: from one snapshot with the age of its data, and forgotten when the view
   * is refreshed.
   */
  read<T>(
    view: string,
    key: string | number,
    load: (client: ViewClient) => Promise<T>,
    options?: LoadOptions,
  ): Promise<ViewRead<T>>;
  states(): Promise<ReadonlyMap<string, ViewState>>;
  /** Stops refreshing; resolves when nothing of it runs any more. */
  close(): Promise<void>;
}

const FIELDS = ["pool", "views", "feed", "onEvent", "clock", "random"];
/** How often a process looks at what others have noted, at the least; milliseconds. */
const LOOK = 5_000;
/** Different things told of `keysOf` that throws: messages may have a value of each row. */
const MOST_UNKNOWN = 20;

/**
 * Keeps materialised views fresh, by policy, one process at a time; what the cache holds of them goes with each refresh.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function materializedViews(cache: Cache, options: ViewsOptions): MaterializedViews {
  knownOptions(options, FIELDS, "materializedViews");
  const { pool, views } = options;
  requirePool(pool);
  if (typeof views !== "object" || views === null) throw optionError("views", "definitions by name", views);
  for (const [name, { tables }] of options.feed === undefined ? [] : Object.entries(views))
    if (tables === undefined) throw optionError(`views.${name}.tables`, "named, as a feed tells of changes", tables);
  return new KeptViews(cache, options);
}

interface Kept {
  readonly view: ResolvedView;
  timer: Timer | undefined;
  failures: number;
  /** When it was last found clean. */
  checkedAt: number | undefined;
}

class KeptViews implements MaterializedViews {
  readonly #cache: Cache;
  readonly #database: ViewDatabase;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #tell: (event: ViewEvent) => void;
  readonly #kept: ReadonlyMap<string, Kept>;
  readonly #changes: ViewChanges | undefined;
  readonly #running = new Set<Promise<unknown>>();
  #ensured: Promise<void> | undefined;
  /** Told already. */
  readonly #unknowns = new Set<string>();
  #closed = false;

  constructor(cache: Cache, { pool, views, feed, onEvent, clock, random }: ViewsOptions) {
    this.#cache = cache;
    this.#database = new ViewDatabase(pool);
    this.#clock = clock ?? systemClock;
    this.#random = random ?? Math.random;
    this.#tell = onEvent ?? (() => undefined);
    const resolved = Object.entries(views).map(([name, definition]) => resolveView(name, definition));
    this.#kept = new Map(
      resolved.map((view) => [view.name, { view, timer: undefined, failures: 0, checkedAt: undefined }]),
    );
    this.#changes =
      feed &&
      new ViewChanges({
        views: resolved,
        feed,
        database: this.#database,
        clock: this.#clock,
        ready: () => this.ensure(),
        onDirty: (names) => this.#plan(names),
        onUnknown: (view, error) => this.#unknown(view, error),
      });
  }

  ensure(): Promise<void> {
    this.#ensured ??= this.#ensure().catch((error: unknown) => {
      // The next call tries again.
      this.#ensured = undefined;
      throw error;
    });
    return this.#ensured;
  }

  async refresh(
    view: string,
    { force = false }: { readonly force?: boolean | undefined } = {},
  ): Promise<RefreshOutcome> {
    const kept = this.#of(view);
    await this.ensure();
    const outcome = await this.#track(this.#refresh(kept, force || this.#changes === undefined, "asked"));
    this.#plan([kept.view.name]);
    return outcome;
  }

  async read<T>(
    view: string,
    key: string | number,
    load: (client: ViewClient) => Promise<T>,
    options: LoadOptions = {},
  ): Promise<ViewRead<T>> {
    const { name } = this.#of(view).view;
    await this.ensure();
    return this.#cache.getOrLoad(["view", name, key], () => this.#database.readAsOf(name, load), {
      ...options,
      tags: [viewTag(name), ...(options.tags ?? [])],
    });
  }

  async states(): Promise<ReadonlyMap<string, ViewState>> {
    await this.ensure();
    return this.#database.states([...this.#kept.keys()]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const kept of this.#kept.values()) kept.timer?.cancel();
    await this.#changes?.close();
    await Promise.allSettled(this.#running);
  }

  async #ensure(): Promise<void> {
    await this.#database.ensure([...this.#kept.values()].map(({ view }) => view));
    this.#plan([...this.#kept.keys()]);
  }

  #of(name: string): Kept {
    const kept = this.#kept.get(tableKey(tableName(name)));
    if (this.#closed) throw new CacheError("ERR_CACHE_CLOSED", "The views are closed");
    if (kept === undefined) throw optionError("view", `one of ${[...this.#kept.keys()].join(", ")}`, name);
    return kept;
  }

  /** Finds out when each is due, and waits for that. */
  #plan(names: readonly string[]): void {
    if (this.#closed) return;
    const ours = names.filter((name) => this.#kept.get(name)?.view.refresh.kind !== "demand");
    if (ours.length === 0) return;
    this.#background(
      this.#database.states(ours).then(
        (states) => {
          for (const name of ours) this.#wait(this.#kept.get(name) as Kept, states.get(name));
        },
        (error: unknown) => {
          for (const name of ours) this.#failed(this.#kept.get(name) as Kept, error);
        },
      ),
    );
  }

  #wait(kept: Kept, state: ViewState | undefined): void {
    if (this.#closed) return;
    const now = this.#clock.now();
    const ago = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : now - ms);
    const asOf = ago(state?.age);
    const due = nextRefresh(
      kept.view,
      {
        // One found clean has data as of then, though nothing was done about them.
        asOf: asOf === undefined ? undefined : Math.max(asOf, kept.checkedAt ?? asOf),
        endedAt: ago(state?.endedAgo),
        took: state?.took ?? 0,
        dirtySince: ago(state?.dirtySince),
        dirtyAt: ago(state?.dirtyAgo),
        failures: kept.failures,
      },
      now,
      this.#random(),
    );
    kept.timer?.cancel();
    // Looked at again before long: another process may hear of what makes it dirty, or be quicker.
    kept.timer = this.#clock.after(Math.min(Math.max(0, due - now), LOOK), () => {
      if (this.#clock.now() < due) this.#plan([kept.view.name]);
      else this.#background(this.#due(kept));
    });
  }

  async #due(kept: Kept): Promise<void> {
    try {
      await this.#refresh(kept, this.#changes === undefined, "due");
    } catch {
      // Told by #refresh, and tried again.
    }
    this.#plan([kept.view.name]);
  }

  async #refresh(kept: Kept, force: boolean, why: "asked" | "due"): Promise<RefreshOutcome> {
    const { view } = kept;
    const { name } = view;
    this.#tell({ type: "refreshing", view: name, why });
    const begun = this.#clock.now();
    try {
      const outcome = await this.#database.refresh(view, force);
      kept.failures = 0;
      if (outcome.state === "refreshed") {
        await this.#forget(name);
        this.#tell({ type: "refreshed", view: name, asOf: outcome.asOf, took: outcome.took, keys: outcome.keys });
      } else {
        if (outcome.state === "clean") kept.checkedAt = begun;
        this.#tell({ type: "skipped", view: name, why: outcome.state });
      }
      return outcome;
    } catch (error) {
      kept.failures += 1;
      this.#tell({ type: "failed", view: name, error });
      throw error;
    }
  }

  /** Sooner than the message in the log does it; where there is no feed, nobody else does. */
  async #forget(name: string): Promise<void> {
    try {
      await this.#cache.invalidate({ tag: viewTag(name) });
    } catch (error) {
      // The cache sends it until a shared tier has it; the refresh has happened all the same.
      if (!(error instanceof CacheError && error.code === "ERR_CACHE_TIER")) throw error;
    }
  }

  #failed(kept: Kept, error: unknown): void {
    kept.failures += 1;
    this.#tell({ type: "failed", view: kept.view.name, error });
    this.#wait(kept, undefined);
  }

  #unknown(view: string, error: unknown): void {
    const about = JSON.stringify([view, String(error)]);
    if (this.#unknowns.has(about) || this.#unknowns.size >= MOST_UNKNOWN) return;
    this.#unknowns.add(about);
    this.#tell({ type: "keys-unknown", view, error });
  }

  /** Work that tells of its own failures. */
  #background(work: Promise<void>): void {
    this.#track(work).catch(() => undefined);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => {
      this.#running.delete(work);
    };
    work.then(done, done);
    return work;
  }
}
