import type { Duration } from "./duration.js";
import type { DependencyTag, TagInput } from "./dependency-tag.js";
import type { CacheEvent, CacheEventType } from "./events.js";
import type { KeyInput, ScopeInput } from "./keys.js";
import type { PatternInput } from "./patterns.js";
import type { CacheOptions, CompressionOptions, EntryPolicy } from "./options.js";
import type { RowVersionOption } from "./row-versions.js";
import type { CacheStats } from "./stats.js";
import type { Explanation } from "./explain.js";
import type { CacheInspector } from "./inspect/inspector.js";
import type { WriteBehind } from "./write/behind.js";
import type { Watcher } from "./watchers.js";
import type { CounterOptions, WriteBehindOptions } from "./write/behind-options.js";
import type { Counter } from "./write/counter.js";
import type { RowId } from "./write/sink.js";

/**
 * What a loader is told, and what it may decide. It does not name the value's type: if it did, TypeScript could not
 * infer that type from what the loader returns. Its functions may be taken apart: `({ tags, ttl }) => …`.
 */
export interface LoaderContext {
  /** The encoded key. */
  readonly key: string;
  /** Aborted when nobody waits any more, the hard timeout ran out, or the cache is closed. */
  readonly signal: AbortSignal;
  /** The value stored before, if it is still there (stale or forced), with its validator. */
  readonly previous: { readonly value: unknown; readonly etag: string | undefined; readonly age: number } | undefined;
  /** Sets this entry's time to live. */
  readonly ttl: (ttl: Duration) => void;
  /** Adds tags to this entry. */
  readonly tags: (...tags: readonly TagInput[]) => void;
  /** Sets the validator kept with the value. */
  readonly etag: (etag: string) => void;
  /** The value is returned to the callers and not stored. */
  readonly skip: () => void;
  /** Gives this load's place at the gate (`loads.concurrency`) to the next: what is left of it only waits, for a body on its way. */
  readonly release: () => void;
  /** The source says `previous` still holds: its value is fresh again. Return what this returns. @throws CacheError when there is no previous. */
  readonly notModified: <T>() => T;
  /** The load failed, without this being a throw of yours: stale is served where the policy allows, else callers get `error`. */
  readonly fail: (error: unknown) => never;
}

export type Loader<T> = (context: LoaderContext) => T | Promise<T>;

/** Options of one call that writes; each overrides the entity's and the cache's. */
export interface SetOptions extends EntryPolicy {
  /** Tags of the entry. */
  tags?: readonly TagInput[] | undefined;
  /** Validator kept with the value. */
  etag?: string | undefined;
}

/** Options of one call that may load. */
export interface LoadOptions extends SetOptions {
  /** Stops this caller's wait (never the load, while others wait). */
  signal?: AbortSignal | undefined;
  /** Longest this caller waits; then it gets stale, or `ERR_CACHE_TIMEOUT`. The load goes on. */
  waitTimeout?: Duration | undefined;
  /** Loads even if a fresh value is stored. @default false */
  forceFresh?: boolean | undefined;
  /** As in `GetOptions`. @internal */
  countMiss?: boolean | undefined;
}

/** Options of one call that only reads. */
export interface GetOptions {
  /** Also return a stale value that is still kept. @default false */
  stale?: boolean | undefined;
  /** Whether a miss is counted: not that of one who reads the key in several steps, and has one of them counted. @default true @internal */
  countMiss?: boolean | undefined;
}

/** What an invalidation is aimed at. `scope` narrows tags, prefixes and entities to one tenant. */
export type InvalidationTarget =
  | { key: KeyInput }
  | { keys: readonly KeyInput[] }
  | { tag: TagInput; scope?: ScopeInput | undefined }
  | { tags: readonly TagInput[]; match?: "any" | "all" | undefined; scope?: ScopeInput | undefined }
  | { prefix: KeyInput }
  | { pattern: PatternInput }
  | { entity: string; scope?: ScopeInput | undefined }
  | { all: true };

export interface InvalidateOptions {
  /** `hard`: gone. `soft`: stale, may be served under SWR and on error. @default "hard" */
  mode?: "hard" | "soft" | undefined;
}

export interface InvalidationResult {
  /** The log's position: whoever has applied it serves nothing older. */
  readonly position: number;
  /** How many of the named keys were stored in the shared tier (in memory, when there is none). */
  readonly hit: number;
}

/** A caching system: see docs/architecture.md for the way of a read and a write. */
export interface Cache {
  readonly name: string;
  /** The stored, fresh value, from whichever tier holds it. `undefined` is a miss, or a stored `undefined` (ask `has`). */
  get<T = unknown>(key: KeyInput, options?: GetOptions): Promise<T | undefined>;
  getMany<T = unknown>(keys: readonly KeyInput[], options?: GetOptions): Promise<(T | undefined)[]>;
  /** The fresh value if memory holds it; synchronous. */
  peek<T = unknown>(key: KeyInput): T | undefined;
  /** @internal */
  peek<T = unknown>(key: KeyInput, options: Pick<GetOptions, "countMiss">): T | undefined;
  /** Whether a fresh value is stored in some tier. */
  has(key: KeyInput): Promise<boolean>;
  /** Stores a value in every tier; other processes' copies go. A load that began before cannot overwrite it. */
  set(key: KeyInput, value: unknown, options?: SetOptions): Promise<void>;
  setMany(entries: Iterable<readonly [KeyInput, unknown]>, options?: SetOptions): Promise<void>;
  /** Removes the entry from every tier. @returns whether one was stored. */
  delete(key: KeyInput): Promise<boolean>;
  deleteMany(keys: readonly KeyInput[]): Promise<number>;
  /** Makes the entry stale now: still served under SWR and on error. @returns whether one was stored. */
  expire(key: KeyInput): Promise<boolean>;
  /** The fresh value, or what the loader gives; overlapping callers share one load. */
  getOrLoad<T>(key: KeyInput, loader: Loader<T>, options?: LoadOptions): Promise<T>;
  /** As `getOrLoad` for many: the loader is called once, with the items that are missing. */
  getOrLoadMany<I, T>(
    items: readonly I[],
    key: (item: I) => KeyInput,
    loader: (missing: readonly I[], context: BatchContext<I>) => Promise<readonly T[] | ReadonlyMap<I, T>>,
    options?: LoadOptions,
  ): Promise<T[]>;
  /** Loads now and stores, whatever is stored. What is stored is stale everywhere from the start: a refresh that fails leaves it to the stale windows. */
  refresh<T>(key: KeyInput, loader: Loader<T>, options?: LoadOptions): Promise<T>;
  /**
   * Runs `write` (which must have committed when it resolves) and stores its result, fenced: with writers
   * racing on one key, the entry is the last committed value or gone.
   */
  writeThrough<T>(key: KeyInput, write: () => Promise<T>, options?: SetOptions): Promise<T>;
  /** A cached version of `fn`. */
  wrap<A extends readonly unknown[], T>(fn: (...args: A) => T | Promise<T>, options: WrapOptions<A, T>): Wrapped<A, T>;
  invalidate(
    target: InvalidationTarget | readonly InvalidationTarget[],
    options?: InvalidateOptions,
  ): Promise<InvalidationResult>;
  /** Declares a kind of thing a service caches. Declaring the same name twice throws. */
  entity<Id extends KeyInput, T>(definition: ScopedEntityDefinition<Id, T>): ScopedEntity<Id, T>;
  entity<Id extends KeyInput, T>(definition: EntityDefinition<Id, T>): Entity<Id, T>;
  /** A view of this cache whose keys and tags lie in a room of their own; shares tiers and options. A namespace inside a namespace is another room: `{ all: true }` of the outer one leaves it alone. */
  namespace(name: string): Cache;
  /** A mutex, cluster-wide when there is a shared tier; it can be broken by a failover: check `fence` where that matters. */
  lock(name: KeyInput, options?: LockOptions): Promise<Lock>;
  /** Rows written to a journal, and from there to their source: see docs/write-behind.md. */
  writeBehind<Id extends RowId, T>(options: WriteBehindOptions<Id, T>): WriteBehind<Id, T>;
  /** Counts incremented in a journal, and added to their source together: see docs/write-behind.md. */
  counter<Id extends RowId = RowId>(name: string, options: CounterOptions): Counter<Id>;
  /** Loads what the plan names before users ask, a few at a time. */
  warm(plan: WarmPlan, options?: WarmOptions): Promise<WarmReport>;
  stats(): CacheStats;
  /** What an operator's tools ask of the whole cache, whichever namespace this is: see `CacheInspector`. */
  inspect(): CacheInspector;
  /** Where the key is stored, in what state, and why a read would miss. */
  explain(key: KeyInput): Promise<Explanation>;
  on<E extends CacheEventType>(type: E, listener: (event: Extract<CacheEvent, { type: E }>) => void): () => void;
  on(type: "*", listener: (event: CacheEvent) => void): () => void;
  /** Has every operation that memory does not answer at once run by `watcher`: for traces and timings. @returns takes it back. */
  watch(watcher: Watcher): () => void;
  /** Waits for background work (bounded), then stops timers and gives back connections; of a namespace, the whole cache's. Twice is once. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface BatchContext<I> {
  readonly signal: AbortSignal;
  /** Adds tags to the entry of one item. */
  readonly tags: (item: I, ...tags: readonly TagInput[]) => void;
  /** Sets the time to live of one item's entry. */
  readonly ttl: (item: I, ttl: Duration) => void;
}

export interface WrapOptions<A extends readonly unknown[], T> extends LoadOptions {
  /** Names the function in keys; required, because two functions may have the same `name`. */
  name: string;
  /** The arguments' part of the key. @default all of them, which must then be key segments */
  key?: ((...args: A) => KeyInput) | undefined;
  /** Tags from the result. */
  tagsOf?: ((value: T, ...args: A) => readonly TagInput[]) | undefined;
}

export interface Wrapped<A extends readonly unknown[], T> {
  (...args: A): Promise<T>;
  key(...args: A): string;
  invalidate(...args: A): Promise<InvalidationResult>;
  /** Forgets every result of this function. */
  invalidateAll(): Promise<InvalidationResult>;
  refresh(...args: A): Promise<T>;
  peek(...args: A): T | undefined;
}

/** A schema by the Standard Schema contract, version 1 (standardschema.dev): zod, valibot, arktype … */
export interface StandardSchema<T = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<T> | Promise<StandardResult<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}
export type StandardResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

export interface EntityContext {
  /** The scope the entity is read in; `undefined` for an unscoped one. */
  readonly scope: ScopeInput | undefined;
}

export interface EntityDefinition<Id extends KeyInput, T> extends EntryPolicy {
  /** Names it in keys, stats and events. */
  name: string;
  /** Of the shape of its values: another version reads nothing of this one. @default 1 */
  version?: number | undefined;
  /** Checked on values from the shared tier; a mismatch is a miss (after `migrate`). */
  schema?: StandardSchema<T> | undefined;
  /** Turns a stored value the schema refuses into a new one; `undefined` gives up. */
  migrate?: ((value: unknown) => unknown) | undefined;
  load?: ((id: Id, context: LoaderContext & EntityContext) => T | Promise<T>) | undefined;
  /** Loads many at once: an array in the order of `ids`, or a map. Missing ones are `undefined`. */
  loadMany?:
    | ((ids: readonly Id[], context: BatchContext<Id> & EntityContext) => Promise<readonly T[] | ReadonlyMap<Id, T>>)
    | undefined;
  /** Tags from the value; in a scoped entity they are the scope's own. */
  tags?: ((value: T, id: Id) => readonly TagInput[]) | undefined;
  /**
   * The version a value's row carries (a count, a time), greater with every change: then no older row replaces a newer one, in
   * any tier, whoever loads or writes it. See docs/other-sources.md.
   */
  rowVersion?: RowVersionOption<T> | undefined;
  /**
   * Parents by entity name: their ids in this value. Invalidating the parent invalidates these: in a process where
   * both are declared, so declare the child wherever the parent is written.
   * `belongsTo: { project: (issue) => issue.projectId }`
   */
  belongsTo?: Readonly<Record<string, (value: T) => KeyInput | null | undefined>> | undefined;
  /**
   * Other entries may hang on this entity's things (`Entity.tag`): then each invalidation and write of a thing also names it for them, which
   * every process remembers for a while. Say so wherever the entity is declared. @default false
   */
  dependents?: boolean | undefined;
  /** As the cache's, for this entity's values. @default the cache's */
  compression?: boolean | CompressionOptions | undefined;
  /**
   * What of the value is encrypted in a shared tier, with the first of the cache's `encryption.keys`: all of it, or these
   * fields of a plain object (the others stay readable there; a value that is no plain object is encrypted whole).
   */
  encrypt?: true | readonly string[] | undefined;
  /** Fields that must never lie readable in a shared tier: each must be in `encrypt` or in `exclude`. */
  sensitive?: readonly string[] | undefined;
  /**
   * Fields that this entity never keeps and never gives, in no tier: taken out of what a loader or a write brings (a
   * plain object, or those in an array) before anything else sees it. `T` is left as it is: declare them optional.
   */
  exclude?: readonly string[] | undefined;
}

export interface ScopedEntityDefinition<Id extends KeyInput, T> extends EntityDefinition<Id, T> {
  /** What the scope is, for errors: "tenant". With it, every access goes through `.in(scope)`. */
  scope: string;
}

export interface ScopedEntity<Id extends KeyInput, T> {
  readonly name: string;
  /** The entity of one tenant. Cheap; keep it or call it each time. */
  in(scope: ScopeInput): Entity<Id, T>;
  /** In every scope. */
  invalidateAll(options?: InvalidateOptions): Promise<InvalidationResult>;
}

export interface Entity<Id extends KeyInput, T> {
  readonly name: string;
  /** The value, loaded by the definition's `load` (or `loadMany`) if need be. @throws CacheError `ERR_CACHE_ENTITY` when it has neither: use `find`. */
  get(id: Id, options?: LoadOptions): Promise<T>;
  /** The value if it is stored and fresh; never loads. */
  find(id: Id, options?: GetOptions): Promise<T | undefined>;
  /** As `get`, with a loader of this call's. */
  getOrLoad(
    id: Id,
    loader: (context: LoaderContext & EntityContext) => T | Promise<T>,
    options?: LoadOptions,
  ): Promise<T>;
  /** In the order of `ids`, one `loadMany` for all that is missing. */
  getMany(ids: readonly Id[], options?: LoadOptions): Promise<T[]>;
  peek(id: Id): T | undefined;
  has(id: Id): Promise<boolean>;
  set(id: Id, value: T, options?: SetOptions): Promise<void>;
  refresh(id: Id, options?: LoadOptions): Promise<T>;
  expire(id: Id): Promise<boolean>;
  writeThrough(id: Id, write: () => Promise<T>, options?: SetOptions): Promise<T>;
  /** This entry, and everything that belongs to it. */
  invalidate(id: Id, options?: InvalidateOptions): Promise<InvalidationResult>;
  invalidateMany(ids: readonly Id[], options?: InvalidateOptions): Promise<InvalidationResult>;
  invalidateTag(tag: TagInput, options?: InvalidateOptions): Promise<InvalidationResult>;
  invalidateAll(options?: InvalidateOptions): Promise<InvalidationResult>;
  /**
   * This thing as a tag of other entries: invalidating it by `invalidate` or `expire`, a feed or a transaction invalidates what carries the
   * tag, in the same record; a write of it does so before it resolves, and `invalidateAll` as well. Without an id it is whichever thing of the
   * entity changes: for lists and counts. Needs `dependents: true`.
   *
   * @throws CacheError `ERR_CACHE_ENTITY` without `dependents`; `ERR_CACHE_KEY` for an id that is none, `undefined` among them.
   */
  tag(...id: readonly [] | readonly [id: Id]): DependencyTag;
  explain(id: Id): Promise<Explanation>;
  /** The encoded key. */
  key(id: Id): string;
}

export interface LockOptions {
  /** Renewed while held; freed this long after the holder died. @default "10s" */
  ttl?: Duration | undefined;
  /** Longest wait to obtain it; then `ERR_CACHE_LOCK`. @default "10s" */
  wait?: Duration | undefined;
  signal?: AbortSignal | undefined;
}

export interface Lock extends AsyncDisposable {
  /** Grows with every lock granted: hand it to the resource, which refuses a smaller one. */
  readonly fence: number;
  /** Aborted when the lock is known to be lost. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** One thing to warm: called once; must go through the cache (`() => contacts.in("acme").get(7)`). */
export type WarmTask = () => Promise<unknown>;
export type WarmPlan = Iterable<WarmTask> | AsyncIterable<WarmTask>;

export interface WarmOptions {
  /** Tasks under way at once. @default 4 */
  concurrency?: number | undefined;
  /** Most tasks started per second; fewer while they take longer than they did, none while loads wait at the gate. @default 1000 */
  perSecond?: number | undefined;
  signal?: AbortSignal | undefined;
  /** After each task; an async one is waited for, in the task's place. */
  onProgress?: ((done: number, failed: number) => unknown) | undefined;
}

export interface WarmReport {
  readonly done: number;
  readonly failed: number;
  /** Milliseconds. */
  readonly took: number;
  /** The first failures, ten at most. */
  readonly errors: readonly unknown[];
}

export type { CacheOptions };
