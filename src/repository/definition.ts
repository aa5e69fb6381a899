import type { EntityDefinition, InvalidationResult, InvalidationTarget } from "../api.js";
import type { TagInput } from "../dependency-tag.js";
import type { KeyInput, ScopeInput, Segment } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import type { RowVersionOption } from "../row-versions.js";

/** A method a repository may declare: one that returns a promise. */
type Method = (...args: never) => Promise<unknown>;

/** The names of the methods of `R` that return promises. */
export type MethodName<R> = { [K in keyof R]: R[K] extends Method ? K : never }[keyof R] & string;

export type ArgsOf<R, K extends keyof R> = R[K] extends (...args: infer A extends readonly unknown[]) => unknown
  ? A
  : never;

export type ResultOf<R, K extends keyof R> = R[K] extends (...args: never) => Promise<infer T> ? T : never;

/** The rows in a result: itself, or an array's elements. What is no object is no row. */
export type RowIn<T> = T extends readonly (infer E)[] ? RowIn<E> : T extends object ? T : never;

/**
 * What a read gives, which decides its key, its time to live and what drops it:
 *
 * | Kind        | Key                    | Preset      | Dropped by a write of |
 * | ----------- | ---------------------- | ----------- | --------------------- |
 * | `id`        | `issue:id:<id>`        | `entity`    | that row              |
 * | `many`      | as `id`, one per row   | `entity`    | that row              |
 * | `key`       | `issue:key:<key>`      | `entity`    | that row              |
 * | `list`      | `issue:list:<params>`  | `list`      | any row               |
 * | `search`    | `issue:search:<query>` | `search`    | any row               |
 * | `count`     | `issue:count:<params>` | `count`     | any row               |
 * | `analytics` | `issue:analytics:…`    | `analytics` | any row               |
 *
 * An `id` or a `key` that found nothing is dropped by the write of any row, which may be the one it asked for.
 */
export type ReadKind = "id" | "key" | "many" | "list" | "search" | "count" | "analytics";

/** How one method's results are cached. */
export interface ReadDefinition<A extends readonly unknown[], T> extends EntryPolicy {
  kind: Exclude<ReadKind, "many">;
  /** The segment after the repository's name in keys; two reads with the same one need different names here. @default the kind */
  as?: string | undefined;
  /** The rest of the key: one segment or several. Calls with one key must have one answer. @default the arguments after the scope */
  key?: ((...args: A) => Segment | readonly Segment[]) | undefined;
  /** The rows in the result. @default its elements, if it is an array; itself, for kinds `id` and `key` */
  rows?: ((result: T) => readonly unknown[]) | undefined;
  /**
   * Which of the repository's own writes drop it. `any`: each of them. `held`: those of a row it holds; what else would
   * change it, a new match in a list say, waits for its time, or is for `tags`. @default "held" for kinds `id` and `key`, else "any"
   */
  droppedBy?: "any" | "held" | undefined;
  /** More tags; in a scoped repository they are the scope's own. */
  tags?: ((result: T, ...args: A) => readonly TagInput[]) | undefined;
  /** The scope of a call. @default as the repository says */
  scope?: ((...args: A) => ScopeInput) | undefined;
}

/**
 * How a method that takes an array of ids (its first argument after the scope) and resolves to an array of rows is
 * cached: row by row, in the entries of kind `id`; the target is asked once, for the ids that are missing.
 * A call with further arguments is not cached.
 */
export interface ManyDefinition<A extends readonly unknown[]> extends EntryPolicy {
  kind: "many";
  /** What the repository's read of kind `id` answers for a row that is not there: stored for ids that were not found. */
  absent: null | undefined;
  /** `found`: the rows that are there, once each, in the order of the ids. `aligned`: one for each id, `absent` where there is none. @default "found" */
  result?: "found" | "aligned" | undefined;
  /** As in `ReadDefinition`. @default "id" */
  as?: string | undefined;
  scope?: ((...args: A) => ScopeInput) | undefined;
}

/**
 * What a write does, which decides what it drops besides lists, searches, counts and what found nothing:
 *
 * - `create`: adds rows. Drops nothing else, unless a row of that id was there.
 * - `change`: changes or removes the rows that `ids` names and those it resolves to; everything, when neither says.
 * - `all`: changes any number of rows. Drops everything.
 */
export type WriteKind = "create" | "change" | "all";

/** What one writing method invalidates, in the scope of its call, once its promise has settled. */
export interface WriteDefinition<A extends readonly unknown[], T> {
  /** @default "change" */
  kind?: WriteKind | undefined;
  /** Ids of the rows it writes, as its arguments tell. Without them a `change` drops everything when it rejects, or resolves to no row or to one without an id. */
  ids?: ((...args: A) => readonly KeyInput[]) | undefined;
  /** The rows in its result. @default its elements, if it is an array; itself, if it is an object */
  rows?: ((result: T) => readonly unknown[]) | undefined;
  /** More to invalidate. Targets name their scope themselves. `result` is `undefined` when the write rejected. */
  invalidates?: ((result: T | undefined, ...args: A) => readonly InvalidationTarget[]) | undefined;
  /** The scope of a call. @default as the repository says */
  scope?: ((...args: A) => ScopeInput) | undefined;
}

/** The name of the scope, which is then the first argument of every declared method; or how to tell it otherwise. */
export type ScopeDefinition =
  | string
  | { readonly name: string; readonly of: (method: string, args: readonly unknown[]) => ScopeInput };

/**
 * How a repository is cached, declared once. The policy in it (`ttl` …) is that of single rows; for lists and the
 * other kinds its `ttl` gives way to the preset of the kind. What a method says comes first.
 */
/** How results lie in a shared tier, and what of them is kept at all; as an entity's, with the fields of rows. */
export type StoredForm = Pick<EntityDefinition<KeyInput, unknown>, "compression" | "encrypt" | "sensitive" | "exclude">;

export interface RepositoryDefinition<
  R extends object,
  Reads extends MethodName<R>,
  Writes extends MethodName<R>,
  Row,
  Scope extends ScopeDefinition | undefined,
  Controls extends string,
>
  extends EntryPolicy, StoredForm {
  /**
   * The version a row carries, as an entity's `rowVersion`: no older row replaces a newer one. For reads of one row (`id`, `key`,
   * `many`); what holds several has none.
   */
  rowVersion?: RowVersionOption<Row> | undefined;
  /** First segment of its keys after the scope, and its name in stats. */
  name: string;
  /** Of the shape of its results: another version reads nothing of this one. @default 1 */
  version?: number | undefined;
  /** With it, no call is cached or answered without its scope, and scopes never mix. @default none */
  scope?: Scope;
  reads: {
    readonly [K in Reads]:
      | Exclude<ReadKind, "many">
      | ReadDefinition<ArgsOf<R, K>, ResultOf<R, K>>
      | ManyDefinition<ArgsOf<R, K>>;
  };
  /** @default none: the target is read-only, or written by others */
  writes?: { readonly [K in Writes]: WriteKind | WriteDefinition<ArgsOf<R, K>, ResultOf<R, K>> } | undefined;
  /** The id of a row. A row without one is dropped by every write. @default its property `id` */
  id?: ((row: Row) => KeyInput | null | undefined) | undefined;
  /** More tags of every entry that holds the row. */
  tags?: ((row: Row) => readonly TagInput[]) | undefined;
  /** Parents, by the name of their repository, of the same scope: a write of the parent drops what holds the row. */
  belongsTo?: Readonly<Record<string, (row: Row) => KeyInput | null | undefined>> | undefined;
  /** The property of the result that holds the controls; another one, where the target has a `cache` of its own. @default "cache" */
  controls?: Controls | undefined;
}

/** Invalidation by hand, of one scope. */
export interface RepositoryInvalidation {
  /** What holds these rows, what belongs to them, and every list: as a write of them does. */
  invalidate(...ids: readonly KeyInput[]): Promise<InvalidationResult>;
  /** Lists, searches, counts and what found nothing: as a `create` does. */
  invalidateLists(): Promise<InvalidationResult>;
  /** Everything of the repository in this scope, and what belongs to it. */
  invalidateAll(): Promise<InvalidationResult>;
  /** What `invalidate` of these rows names (of none: what `invalidateLists` does), for the mapping of a feed's tables. */
  targetsOf(...ids: readonly KeyInput[]): readonly InvalidationTarget[];
}

/** The cache's side of a repository, whatever its scope. Methods take the arguments of the repository's own. */
export interface RepositoryReadControls<R extends object, Reads extends MethodName<R>> {
  /** The encoded key of a read; of kind `many` there is none. */
  key<K extends Reads>(method: K, ...args: ArgsOf<R, K>): string;
  /** Reads from the target now, and stores what it gives. */
  refresh<K extends Reads>(method: K, ...args: ArgsOf<R, K>): Promise<ResultOf<R, K>>;
}

export interface ScopedRepositoryControls<R extends object, Reads extends MethodName<R>> extends RepositoryReadControls<
  R,
  Reads
> {
  in(scope: ScopeInput): RepositoryInvalidation;
  /** Everything of the repository, in every scope. */
  invalidateAll(): Promise<InvalidationResult>;
}

export interface RepositoryControls<R extends object, Reads extends MethodName<R>>
  extends RepositoryReadControls<R, Reads>, RepositoryInvalidation {}

export type ControlsFor<R extends object, Reads extends MethodName<R>, Scope> = [Scope] extends [undefined]
  ? RepositoryControls<R, Reads>
  : ScopedRepositoryControls<R, Reads>;

/** The target's own methods, cached, and the controls next to them. */
export type CachedRepository<
  R extends object,
  Reads extends MethodName<R>,
  Scope = undefined,
  Controls extends string = "cache",
> = R & {
  readonly [P in Controls]: ControlsFor<R, Reads, Scope>;
};
