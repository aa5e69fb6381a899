import type {
  BatchContext,
  Entity,
  EntityContext,
  EntityDefinition,
  GetOptions,
  InvalidateOptions,
  InvalidationResult,
  LoaderContext,
  LoadOptions,
  ScopedEntity,
  ScopedEntityDefinition,
  SetOptions,
} from "./api.js";
import { inParts } from "./parts.js";
import type { WriteSpec } from "./write/writes.js";
import { CacheError } from "./errors.js";
import { EntityNames, wholeEntityMarks } from "./entity-names.js";
import { declareEntity, type EntityHome, type Shape } from "./entity-shape.js";
import type { DependencyTag, TagInput } from "./dependency-tag.js";
import type { Held } from "./entries/held.js";
import { explain } from "./explain-key.js";
import type { ChangeTarget, FedEntity } from "./feed/change-feed.js";
import type { StalenessMonitor } from "./feed/staleness-monitor.js";
import type { Explanation } from "./explain.js";
import { NOT_WRITTEN, writeId } from "./id-text.js";
import type { Mark } from "./invalidation/record.js";
import { entityPrefix, inNamespace, type KeyInput, type ScopeInput } from "./keys.js";
import { loadAside } from "./load-aside.js";
import type { LoadContext } from "./load/context.js";
import type { LoadSpec } from "./load/loads.js";
import { checkLoadOptions, checkSetOptions, display, isSoft, mayAnswerAtOnce, optionError } from "./policy.js";
import type { KeyFamily } from "./tiers/memory/key-family.js";

const NO_OPTIONS = {};
/** Bound entities kept per scoped entity, so that `.in(scope)` is cheap; making one anew costs a microsecond. */
const MAX_SCOPES = 1_000;

/** @throws CacheError `ERR_CACHE_OPTION`; `ERR_CACHE_ENTITY` when the name is declared already. */
export function defineEntity<Id extends KeyInput, T>(
  home: EntityHome,
  definition: EntityDefinition<Id, T> | ScopedEntityDefinition<Id, T>,
): Entity<Id, T> | ScopedEntity<Id, T> {
  const { shape, scope } = declareEntity(home, definition);
  return scope === undefined ? new BoundEntity(shape, undefined) : new Scoped(shape, scope);
}

class Scoped<Id extends KeyInput, T> implements ScopedEntity<Id, T> {
  readonly name: string;
  readonly #shape: Shape<Id, T>;
  readonly #scope: string;
  readonly #bound = new Map<string, BoundEntity<Id, T>>();
  /** The same by the scope as it was given, where that is no array: its prefix need not be put together. */
  readonly #given = new Map<ScopeInput, BoundEntity<Id, T>>();

  constructor(shape: Shape<Id, T>, scope: string) {
    this.name = shape.definition.name;
    this.#shape = shape;
    this.#scope = scope;
  }

  in(scope: ScopeInput): Entity<Id, T> {
    return this.bound(scope);
  }

  /** @internal */
  bound(scope: ScopeInput): BoundEntity<Id, T> {
    const known = this.#given.get(scope);
    if (known !== undefined) return known;
    if (scope === undefined || scope === null || scope === "") {
      throw new CacheError(
        "ERR_CACHE_ENTITY",
        `The entity ${display(this.name)} is read in a ${this.#scope}: got \`${display(scope)}\``,
      );
    }
    const prefix = entityPrefix(scope, this.name);
    let bound = this.#bound.get(prefix);
    if (bound === undefined) {
      // A list of its own: its giver may change theirs, and whoever names an equal scope gets this entity.
      bound = new BoundEntity(this.#shape, typeof scope === "object" ? Object.freeze([...scope]) : scope);
      keepBounded(this.#bound, prefix, bound);
    }
    if (typeof scope !== "object") keepBounded(this.#given, scope, bound);
    return bound;
  }

  async invalidateAll(options: InvalidateOptions = NO_OPTIONS): Promise<InvalidationResult> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    return engine.invalidations.invalidate(this.allMarks(), isSoft(options));
  }

  /** @internal */
  allMarks(): readonly Mark[] {
    return wholeEntityMarks(this.#shape.home.namespace, this.name, undefined);
  }
}

/** Where staleness is measured: has the things that changed looked at again. */
export function watchEntity(target: ChangeTarget): void {
  if (!("ids" in target)) return;
  const entity = boundOf(target);
  if (entity?.monitor !== undefined) entity.watch(entity.monitor, target.ids);
}

function boundOf({
  of,
  scope,
}: Extract<ChangeTarget, { readonly of: FedEntity }>): BoundEntity<KeyInput, unknown> | undefined {
  if (of instanceof BoundEntity) return of;
  return of instanceof Scoped && scope !== undefined && scope !== null ? of.bound(scope) : undefined;
}

/**
 * What a change of an entity's things names. Where a scoped entity's change does not say in which scope it was, all of them.
 *
 * @throws CacheError `ERR_CACHE_OPTION` for what is no entity; `ERR_CACHE_KEY` for what is no id or tag.
 */
export function entityMarks(target: Extract<ChangeTarget, { readonly of: FedEntity }>): readonly Mark[] {
  const { of } = target;
  if (!(of instanceof Scoped || of instanceof BoundEntity)) throw optionError("of", "an entity of a cache", of);
  const entity = boundOf(target);
  if (entity === undefined) return of.allMarks();
  if ("ids" in target) return entity.names.marksOf(target.ids);
  return "tags" in target ? entity.names.tagMarks(target.tags) : entity.allMarks();
}

/** Forgets the oldest when there are too many. */
function keepBounded<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.set(key, value);
  if (map.size <= MAX_SCOPES) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}

class BoundEntity<Id extends KeyInput, T> implements Entity<Id, T> {
  readonly name: string;
  /** @internal */
  readonly names: EntityNames<Id, T>;
  readonly #shape: Shape<Id, T>;
  readonly #scope: ScopeInput | undefined;
  readonly #base: LoadSpec;
  /** The keys of this version. */
  readonly #family: KeyFamily | undefined;

  constructor(shape: Shape<Id, T>, scope: ScopeInput | undefined) {
    const { home, definition, version } = shape;
    this.name = definition.name;
    this.#shape = shape;
    this.#scope = scope;
    this.names = new EntityNames(shape, scope);
    const prefix = inNamespace(home.namespace, entityPrefix(scope, definition.name));
    this.#family = home.engine.local.family(prefix, `:v${version}`);
    this.#base = {
      policy: shape.policy,
      counters: shape.counters,
      countMiss: true,
      fingerprint: shape.fingerprint,
      accept: shape.accept,
      rows: shape.rows,
      form: shape.form,
      load: () => this.#unloadable(),
      gated: true,
      tags: [this.names.entity],
      tagsOf: undefined,
      tagPaths: (tag) => this.names.tag(tag),
      etag: undefined,
      batch: undefined,
    };
  }

  get(id: Id, options: LoadOptions = NO_OPTIONS): Promise<T> {
    try {
      this.#shape.home.engine.checkOpen();
      const { load, loadMany } = this.#shape.definition;
      // Said at once and not at the first miss, which may come late.
      if (load === undefined && loadMany === undefined) this.#unloadable();
      const hit = this.#hit(id, options);
      if (hit !== undefined) return hit;
      if (load !== undefined) return this.#load(id, (context) => load(id, context), options);
      return this.getMany([id], options).then(([value]) => value as T);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  getOrLoad(
    id: Id,
    loader: (context: LoaderContext & EntityContext) => T | Promise<T>,
    options: LoadOptions = NO_OPTIONS,
  ): Promise<T> {
    try {
      this.#shape.home.engine.checkOpen();
      if (typeof loader !== "function") throw optionError("loader", "a function", loader);
      return this.#hit(id, options) ?? this.#load(id, loader, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async find(id: Id, options: GetOptions = NO_OPTIONS): Promise<T | undefined> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    return (await engine.get(this.names.path(id), this.#base, options.stale === true))?.value as T | undefined;
  }

  async getMany(given: readonly Id[], options: LoadOptions = NO_OPTIONS): Promise<T[]> {
    // The ids are looked at again when they are loaded: by then their caller may use the list for others.
    const ids = given.slice();
    const { engine } = this.#shape.home;
    engine.checkOpen();
    const { load, loadMany } = this.#shape.definition;
    if (loadMany === undefined) {
      if (load === undefined) this.#unloadable();
      return Promise.all(ids.map((id) => this.get(id, options)));
    }
    const paths = ids.map((id) => this.names.path(id));
    // Two equal ids are one item: the batch loader sees each id once.
    const first = new Map(paths.map((path, index) => [path, index] as const));
    const unique = [...first.values()];
    const loader = (
      missing: readonly number[],
      context: BatchContext<number>,
    ): Promise<readonly unknown[] | ReadonlyMap<number, unknown>> => this.#loadBatch(missing, ids, loadMany, context);
    const spec = this.#loadSpec(options, undefined, undefined);
    const tagsOf = (index: number): LoadSpec["tagsOf"] => this.names.tagsOf(ids[index] as Id);
    const values = await engine.loadMany({ items: unique, paths: [...first.keys()], loader, spec, options, tagsOf });
    const valueAt = new Map(unique.map((index, at) => [index, values[at]]));
    return paths.map((path) => valueAt.get(first.get(path) as number) as T);
  }

  peek(id: Id): T | undefined {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    if (this.#base.policy.strict) {
      // What is confirmed by nobody is no answer to a strict reader.
      engine.recorder.miss(this.#shape.counters, this.names.path(id), "suspect");
      return undefined;
    }
    let held = this.#fresh(id);
    if (held === undefined) {
      const path = this.names.path(id);
      const look = engine.local.look(path);
      held = look.state === "fresh" || look.state === "early" ? look.held : undefined;
      if (held === undefined) {
        engine.recorder.miss(this.#shape.counters, path, look.reason);
        return undefined;
      }
    }
    return this.#give(id, held);
  }

  async has(id: Id): Promise<boolean> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    return (await engine.get(this.names.path(id), this.#base, false)) !== undefined;
  }

  async set(id: Id, value: T, options: SetOptions = NO_OPTIONS): Promise<void> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    const entry = [this.names.path(id), this.#shape.kept(value)] as const;
    const spec = this.#writeSpec(id, options);
    await this.#outdating(id, () => engine.writes.set([entry], spec));
  }

  refresh(id: Id, options: LoadOptions = NO_OPTIONS): Promise<T> {
    return this.get(id, { ...options, forceFresh: true });
  }

  async expire(id: Id): Promise<boolean> {
    return (await this.invalidate(id, { mode: "soft" })).hit > 0;
  }

  async writeThrough(id: Id, write: () => Promise<T>, options: SetOptions = NO_OPTIONS): Promise<T> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    if (typeof write !== "function") throw optionError("write", "a function", write);
    const committed = async (): Promise<T> => this.#shape.kept(await write());
    const path = this.names.path(id);
    const spec = this.#writeSpec(id, options);
    return (await this.#outdating(id, () => engine.writes.through(path, committed, spec))) as T;
  }

  invalidate(id: Id, options: InvalidateOptions = NO_OPTIONS): Promise<InvalidationResult> {
    return this.invalidateMany([id], options);
  }

  async invalidateMany(ids: readonly Id[], options: InvalidateOptions = NO_OPTIONS): Promise<InvalidationResult> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    // Of all of them first: an id that is none invalidates nothing.
    const parts = Array.from(inParts(ids), (part) => this.names.marksOf(part));
    return engine.invalidations.invalidateParts(parts, isSoft(options));
  }

  async invalidateTag(tag: TagInput, options: InvalidateOptions = NO_OPTIONS): Promise<InvalidationResult> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    return engine.invalidations.invalidate(this.names.tagMarks([tag]), isSoft(options));
  }

  async invalidateAll(options: InvalidateOptions = NO_OPTIONS): Promise<InvalidationResult> {
    const { engine } = this.#shape.home;
    engine.checkOpen();
    return engine.invalidations.invalidate(this.allMarks(), isSoft(options));
  }

  /** @internal */
  allMarks(): readonly Mark[] {
    return this.names.allMarks();
  }

  tag(...id: readonly [] | readonly [id: Id]): DependencyTag {
    return this.names.dependencyTag(...id);
  }

  async explain(id: Id): Promise<Explanation> {
    this.#shape.home.engine.checkOpen();
    return explain(this.#shape.home.engine, this.names.path(id), this.#base);
  }

  key(id: Id): string {
    return this.names.path(id);
  }

  /** The answer of memory, when there is nothing to say about it. */
  #hit(id: Id, options: LoadOptions): Promise<T> | undefined {
    if (options.forceFresh === true || !mayAnswerAtOnce(options, this.#base.policy)) return undefined;
    const held = this.#fresh(id);
    if (held === undefined) return undefined;
    const { monitor } = this.#shape.home.engine;
    if (monitor !== undefined) monitor.read(() => ({ path: this.names.path(id), held, load: () => this.#aside(id) }));
    return Promise.resolve(this.#give(id, held));
  }

  /** The entry of an id if nothing at all is to be said about it, found without putting its key together where that goes. */
  #fresh(id: Id): Held | undefined {
    const { local } = this.#shape.home.engine;
    const family = this.#family;
    if (family === undefined) return undefined;
    const end = writeId(id, family.units, family.from, family.to);
    return end === NOT_WRITTEN ? local.fresh(this.names.path(id)) : local.freshIn(family, end);
  }

  #give(id: Id, held: Held): T {
    const { recorder, local } = this.#shape.home.engine;
    recorder.hit(held.counters, recorder.hearsHits ? this.names.path(id) : "", "memory", false);
    return local.give(held.value, held.mutable) as T;
  }

  #load(id: Id, loader: (context: LoaderContext & EntityContext) => T | Promise<T>, options: LoadOptions): Promise<T> {
    const { engine } = this.#shape.home;
    const path = this.names.path(id);
    const load = (context: LoadContext): unknown => this.#shape.keptOf(loader(this.#inScope(context)));
    const spec = this.#loadSpec(options, id, load);
    if (options.forceFresh !== true) return engine.loads.get(path, spec, options) as Promise<T>;
    return engine.markStale([path]).then(() => engine.loads.fresh(path, spec, options)) as Promise<T>;
  }

  /** The load's context with the scope in it; the rest stays the context's own. */
  #inScope(context: LoadContext): LoaderContext & EntityContext {
    return Object.assign(context, { scope: this.#scope });
  }

  async #loadBatch(
    missing: readonly number[],
    ids: readonly Id[],
    loadMany: NonNullable<EntityDefinition<Id, T>["loadMany"]>,
    context: BatchContext<number>,
  ): Promise<readonly unknown[] | ReadonlyMap<number, unknown>> {
    const asked = missing.map((index) => ids[index] as Id);
    const indexOf = new Map(missing.map((index) => [ids[index] as Id, index] as const));
    const at = (id: Id): number => indexOf.get(id) ?? -1;
    const values = await loadMany(asked, {
      signal: context.signal,
      tags: (id, ...tags) => context.tags(at(id), ...tags),
      ttl: (id, ttl) => context.ttl(at(id), ttl),
      scope: this.#scope,
    });
    if (Array.isArray(values)) return (values as readonly T[]).map((value) => this.#shape.kept(value));
    if (!(values instanceof Map))
      throw new CacheError("ERR_CACHE_LOAD", `Expected \`loadMany\` of ${this.name} to return an array or a map`);
    return new Map(
      missing.map((index) => [index, this.#shape.kept((values as ReadonlyMap<Id, T>).get(ids[index] as Id) as T)]),
    );
  }

  #loadSpec(options: LoadOptions, id: Id | undefined, load: LoadSpec["load"] | undefined): LoadSpec {
    if (options !== NO_OPTIONS) checkLoadOptions(options);
    return {
      ...this.#base,
      policy: this.#shape.resolve(options),
      tags: this.#tags(options),
      tagsOf: id === undefined ? undefined : this.names.tagsOf(id),
      etag: options.etag,
      load: load ?? this.#base.load,
    };
  }

  #writeSpec(id: Id, options: SetOptions): WriteSpec {
    if (options !== NO_OPTIONS) checkSetOptions(options);
    return {
      ...this.#base,
      policy: this.#shape.resolve(options),
      tags: this.#tags(options),
      tagsOf: this.names.tagsOf(id),
      etag: options.etag,
    };
  }

  #tags(options: SetOptions): readonly string[] {
    return options.tags === undefined
      ? this.#base.tags
      : [...this.#base.tags, ...options.tags.flatMap((tag) => this.names.tag(tag))];
  }

  /** Runs a write of the thing; what it outdates besides goes whatever came of it. */
  async #outdating<R>(id: Id, write: () => Promise<R>): Promise<R> {
    const { invalidations } = this.#shape.home.engine;
    const marks = this.names.marksBeside(id);
    try {
      return await write();
    } finally {
      await invalidations.invalidateSoon(marks, false);
    }
  }

  #aside(id: Id): Promise<unknown> {
    return loadAside(this.#shape, id, { key: this.names.path(id), scope: this.#scope });
  }

  /** @internal Has changed things looked at again. */
  watch(monitor: StalenessMonitor, ids: readonly Id[]): void {
    for (const id of ids) monitor.published(this.names.path(id), () => this.explain(id));
  }

  /** @internal */
  get monitor(): StalenessMonitor | undefined {
    return this.#shape.home.engine.monitor;
  }

  #unloadable(): never {
    throw new CacheError(
      "ERR_CACHE_ENTITY",
      `The entity ${display(this.name)} declares neither \`load\` nor \`loadMany\``,
    );
  }
}
