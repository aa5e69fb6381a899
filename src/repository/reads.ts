import type { BatchContext, Cache, Entity, LoaderContext } from "../api.js";
import { ROW_PARENTS } from "../entity-shape.js";
import { CacheError } from "../errors.js";
import type { TagInput } from "../dependency-tag.js";
import type { KeyInput, ScopeInput, Segment } from "../keys.js";
import type { EntryPolicy } from "../options.js";
import type { Declaration, DeclaredRead } from "./declaration.js";
import { idSegments, idsOf, rowsIn, tagsOfRows } from "./rows.js";

type Args = readonly unknown[];
/** A method of the target, `this` bound. */
export type TargetMethod = (...args: Args) => Promise<unknown>;
/** What an entry is called in the repository's entity: its room, then its own segments. */
type EntryId = readonly Segment[];
type ReadOptions = EntryPolicy & { readonly forceFresh?: boolean };
type Batch = (ids: readonly EntryId[], context: BatchContext<EntryId>) => Promise<readonly unknown[]>;

/**
 * The reads of a repository, as entries of one entity.
 *
 * For implementers: an entity loads many by their ids alone, and cannot be told by which method. So a call makes its
 * ids anew, as arrays of its own, and what loads them hangs on those arrays for as long as anybody holds them, a refresh
 * in the background included.
 */
export class RepositoryReads {
  readonly #declaration: Declaration;
  readonly #batches = new WeakMap<EntryId, Batch>();
  readonly #entityOf: (scope: ScopeInput | undefined) => Entity<EntryId, unknown>;

  constructor(cache: Cache, declaration: Declaration) {
    this.#declaration = declaration;
    const { name, version, scope, form, rowVersion } = declaration;
    const loadMany: Batch = (ids, context) => this.#batchOf(ids)(ids, context);
    const own = { [ROW_PARENTS]: declaration.traits.parents.map((parent) => parent.name) };
    if (scope === undefined) {
      const entity = cache.entity<EntryId, unknown>({ name, version, loadMany, rowVersion, ...form, ...own });
      this.#entityOf = () => entity;
    } else {
      const entity = cache.entity<EntryId, unknown>({ name, version, loadMany, scope, rowVersion, ...form, ...own });
      // A declared scope throws for a call without one, so there is one.
      this.#entityOf = (found) => entity.in(found as ScopeInput);
    }
  }

  /** The method's answer, from the cache or, with `fresh`, from the target. */
  async call(read: DeclaredRead, method: TargetMethod, args: Args, fresh: boolean): Promise<unknown> {
    const entity = this.#entityOf(read.scope(args));
    const options: ReadOptions = fresh ? { ...read.policy, forceFresh: true } : read.policy;
    if (read.kind === "many") return this.#callMany(read, entity, method, args, options);
    const load = async (context: LoaderContext): Promise<unknown> => {
      const result = await method(...args);
      context.tags(...this.#tagsOf(read, result, args));
      return result;
    };
    return entity.getOrLoad(entryId(read, args), load, options);
  }

  /** The encoded key of a call. */
  key(read: DeclaredRead, args: Args): string {
    if (read.kind === "many")
      throw new CacheError(
        "ERR_CACHE_KEY",
        `Expected a read with one key, got \`${read.method}\`, which has one for each row`,
      );
    return this.#entityOf(read.scope(args)).key(entryId(read, args));
  }

  async #callMany(
    read: DeclaredRead,
    entity: Entity<EntryId, unknown>,
    method: TargetMethod,
    args: Args,
    options: ReadOptions,
  ): Promise<unknown> {
    const asked = args[read.first];
    // With further arguments the rows may be other rows; only the target knows.
    if (!Array.isArray(asked) || args.slice(read.first + 1).some((arg) => arg !== undefined)) return method(...args);
    const wanted = read.aligned ? (asked as KeyInput[]) : distinct(asked as KeyInput[]);
    const asks = new Map<EntryId, KeyInput>(wanted.map((id) => [[read.room, ...segmentsOf(id)], id]));
    const batch: Batch = (ids, context) => this.#loadMany(read, method, args, asks, ids, context);
    for (const id of asks.keys()) this.#batches.set(id, batch);
    const rows = await entity.getMany([...asks.keys()], options);
    return read.aligned ? rows : rows.filter((row) => row !== undefined && row !== null);
  }

  async #loadMany(
    read: DeclaredRead,
    method: TargetMethod,
    args: Args,
    asks: ReadonlyMap<EntryId, KeyInput>,
    ids: readonly EntryId[],
    context: BatchContext<EntryId>,
  ): Promise<readonly unknown[]> {
    const missing = ids.map((id) => asks.get(id));
    const result = await method(...args.slice(0, read.first), missing, ...args.slice(read.first + 1));
    const rows = new Map<string, unknown>();
    for (const row of rowsIn(result)) {
      for (const id of idsOf(this.#declaration.traits, [row])) rows.set(identity(id), row);
    }
    return ids.map((id, index) => {
      const row = rows.get(identity(missing[index] as KeyInput));
      context.tags(id, ...tagsOfRows(this.#declaration.traits, row === undefined ? [] : [row], row === undefined));
      return row ?? read.absent;
    });
  }

  #tagsOf(read: DeclaredRead, result: unknown, args: Args): readonly TagInput[] {
    const rows = read.rows(result);
    return [...tagsOfRows(this.#declaration.traits, rows, read.listed(rows)), ...read.tags(result, args)];
  }

  #batchOf(ids: readonly EntryId[]): Batch {
    const batch = ids[0] && this.#batches.get(ids[0]);
    if (batch === undefined) {
      throw new CacheError(
        "ERR_CACHE_LOAD",
        `Entries of \`${this.#declaration.name}\` are loaded by its repository's methods only`,
      );
    }
    return batch;
  }
}

function entryId(read: DeclaredRead, args: Args): EntryId {
  return [read.room, ...read.key(args)];
}

function segmentsOf(id: KeyInput): readonly Segment[] {
  return Array.isArray(id) ? (id as readonly Segment[]) : [id as Segment];
}

/** Tells rows apart as tags do: an id as a number and the same as text are one. */
function identity(id: KeyInput): string {
  return JSON.stringify(idSegments(id));
}

function distinct(ids: readonly KeyInput[]): readonly KeyInput[] {
  return [...new Map(ids.map((id) => [identity(id), id])).values()];
}
