import type {
  BatchContext,
  Cache,
  Entity,
  EntityDefinition,
  GetOptions,
  InvalidateOptions,
  InvalidationResult,
  InvalidationTarget,
  Loader,
  LoadOptions,
  Lock,
  LockOptions,
  ScopedEntity,
  ScopedEntityDefinition,
  SetOptions,
  WarmOptions,
  WarmPlan,
  WarmReport,
  Wrapped,
  WrapOptions,
} from "./api.js";
import { resolveCacheOptions } from "./cache-options.js";
import { Engine } from "./engine.js";
import type { Held } from "./entries/held.js";
import { defineEntity, entityMarks, watchEntity } from "./entity.js";
import type { EntityRegistry } from "./entity-shape.js";
import { tagPaths, type TagInput } from "./dependency-tag.js";
import { CacheError } from "./errors.js";
import type { CacheEvent, CacheEventType } from "./events.js";
import type { ChangeFeed, ChangeTarget } from "./feed/change-feed.js";
import { explain } from "./explain-key.js";
import type { Explanation } from "./explain.js";
import { notePath } from "./feed/note-path.js";
import { inspectorOf, type CacheInspector } from "./inspect/inspector.js";
import type { Mark } from "./invalidation/record.js";
import { encodeKey, inNamespace, namespacePath, type KeyInput } from "./keys.js";
import type { LoadSpec } from "./load/loads.js";
import type { CacheOptions, EntryPolicy } from "./options.js";
import {
  checkLoadOptions,
  checkSetOptions,
  DEFAULT_POLICY,
  isSoft,
  mayAnswerAtOnce,
  optionError,
  resolvePolicy,
  saysPolicy,
  type ResolvedPolicy,
} from "./policy.js";
import type { CacheStats, Counters } from "./stats.js";
import { marksOfTargets } from "./targets.js";
import { warm } from "./warm.js";
import type { Watcher } from "./watchers.js";
import { wrap } from "./wrap.js";
import { openWriteBehind, type BehindHome, type WriteBehind } from "./write/behind.js";
import type { CounterOptions, WriteBehindOptions } from "./write/behind-options.js";
import { Behinds } from "./write/behinds.js";
import { openCounter, type Counter } from "./write/counter.js";
import type { RowId } from "./write/sink.js";
import { inParts } from "./parts.js";
import type { WriteSpec } from "./write/writes.js";

const NO_OPTIONS = {};
/** How long what processes tell one another is kept, in milliseconds: far longer than anybody takes to tell it again. */
const NOTE_TTL = 3_600_000;

/**
 * A caching system over the given tiers.
 *
 * @example
 * const cache = createCache({ name: "crm", tiers: [memory({ maxBytes: "64mb" }), redis(client)], ttl: "10m" });
 * const user = await cache.getOrLoad(key`user:${id}`, () => db.user(id));
 *
 * @throws CacheError `ERR_CACHE_OPTION` naming the option, its rule and the value.
 */
export function createCache(options: CacheOptions = {}): Cache {
  const { policy, known } = resolveCacheOptions(options);
  const engine = new Engine(options);
  const view = new CacheView(engine, "", policy, known);
  if (options.feed !== undefined) view.follow(options.feed);
  return view;
}

/** One way into an engine: a namespace, and the policy its calls start from. */
class CacheView implements Cache {
  readonly name: string;
  readonly #engine: Engine;
  readonly #namespace: string;
  readonly #policy: ResolvedPolicy;
  readonly #presets: Readonly<Record<string, EntryPolicy>>;
  readonly #counters: Counters;
  readonly #spec: LoadSpec;
  readonly #entities: EntityRegistry = new Map();
  readonly #namespaces = new Map<string, Cache>();
  readonly #behinds: Behinds;

  constructor(
    engine: Engine,
    namespace: string,
    policy: ResolvedPolicy,
    known: Readonly<Record<string, EntryPolicy>>,
    behinds: Behinds = new Behinds(),
  ) {
    this.name = engine.name + namespace;
    this.#behinds = behinds;
    this.#engine = engine;
    this.#namespace = namespace;
    this.#policy = policy;
    this.#presets = known;
    this.#counters = engine.recorder.counters("");
    this.#spec = {
      policy,
      counters: this.#counters,
      countMiss: true,
      fingerprint: 0,
      accept: undefined,
      rows: undefined,
      form: engine.forms.default,
      load: unloadable,
      gated: true,
      tags: [],
      tagsOf: undefined,
      tagPaths: (tag) => this.#tag(tag),
      etag: undefined,
      batch: undefined,
    };
  }

  /** Has the cache fed. What the feed's processes tell one another lies under keys that no caller's can be. */
  follow(feed: ChangeFeed): void {
    const engine = this.#engine;
    const noted = { ...DEFAULT_POLICY, strict: true, fed: false, jitter: 0, ttl: NOTE_TTL };
    const spec = { ...this.#spec, policy: noted };
    const marksOf = (target: ChangeTarget): readonly Mark[] =>
      "of" in target ? entityMarks(target) : this.#marksOf(target);
    engine.follow(feed, {
      marksOf,
      watch: watchEntity,
      notes: {
        read: async (name) => (await engine.get(notePath(name), spec, false))?.value as string | undefined,
        write: (name, text) => engine.writes.set([[notePath(name), text]], spec),
      },
    });
  }

  peek<T>(key: KeyInput, options: GetOptions = NO_OPTIONS): T | undefined {
    this.#engine.checkOpen();
    const { local, recorder } = this.#engine;
    if (this.#policy.strict) {
      // What is confirmed by nobody is no answer to a strict reader.
      if (options.countMiss !== false) recorder.miss(this.#counters, this.#path(key), "suspect");
      return undefined;
    }
    const answer = this.#answer(key);
    if (answer !== undefined) return answer as T;
    const plain = this.#freshPlain(key);
    if (plain !== undefined) return this.#hit(key as string, plain) as T;
    const path = this.#path(key);
    let held = local.fresh(path);
    if (held === undefined) {
      const look = local.look(path);
      if (look.state !== "fresh" && look.state !== "early") {
        if (options.countMiss !== false) recorder.miss(this.#counters, path, look.reason);
        return undefined;
      }
      held = look.held;
    }
    if (held === undefined) return undefined;
    if (path === key) held.plain = true;
    return this.#hit(path, held) as T;
  }

  async get<T>(key: KeyInput, options: GetOptions = NO_OPTIONS): Promise<T | undefined> {
    this.#engine.checkOpen();
    const { stale = false, countMiss = true } = options;
    const spec = countMiss ? this.#spec : { ...this.#spec, countMiss };
    return (await this.#engine.get(this.#path(key), spec, stale))?.value as T | undefined;
  }

  async getMany<T>(keys: readonly KeyInput[], options: GetOptions = NO_OPTIONS): Promise<(T | undefined)[]> {
    this.#engine.checkOpen();
    const paths = keys.map((key) => this.#path(key));
    const found = await Promise.all(paths.map((path) => this.#engine.get(path, this.#spec, options.stale === true)));
    return found.map((one) => one?.value as T | undefined);
  }

  async has(key: KeyInput): Promise<boolean> {
    this.#engine.checkOpen();
    return (await this.#engine.get(this.#path(key), this.#spec, false)) !== undefined;
  }

  async set(key: KeyInput, value: unknown, options: SetOptions = NO_OPTIONS): Promise<void> {
    this.#engine.checkOpen();
    await this.#engine.writes.set([[this.#path(key), value]], this.#writeSpec(options));
  }

  async setMany(entries: Iterable<readonly [KeyInput, unknown]>, options: SetOptions = NO_OPTIONS): Promise<void> {
    this.#engine.checkOpen();
    // Of a key named twice the last value counts, as if set one after the other.
    const paths = new Map<string, unknown>();
    for (const [key, value] of entries) paths.set(this.#path(key), value);
    await this.#engine.writes.set([...paths], this.#writeSpec(options));
  }

  async delete(key: KeyInput): Promise<boolean> {
    return (await this.deleteMany([key])) > 0;
  }

  async deleteMany(keys: readonly KeyInput[]): Promise<number> {
    return this.#invalidateKeys(keys, false);
  }

  async expire(key: KeyInput): Promise<boolean> {
    return (await this.#invalidateKeys([key], true)) > 0;
  }

  getOrLoad<T>(key: KeyInput, loader: Loader<T>, options: LoadOptions = NO_OPTIONS): Promise<T> {
    try {
      this.#engine.checkOpen();
      const isForced = options.forceFresh === true;
      const mayAnswer = !isForced && mayAnswerAtOnce(options, this.#policy);
      const plain = mayAnswer ? this.#freshPlain(key) : undefined;
      if (plain !== undefined) return Promise.resolve(this.#hit(key as string, plain) as T);
      const path = this.#path(key);
      const held = mayAnswer ? this.#engine.local.fresh(path) : undefined;
      if (held !== undefined) {
        if (path === key) held.plain = true;
        return Promise.resolve(this.#hit(path, held) as T);
      }
      if (typeof loader !== "function") throw optionError("loader", "a function", loader);
      const spec = this.#loadSpec(loader, options);
      if (isForced) return this.#refresh(path, spec, options) as Promise<T>;
      return this.#engine.loads.get(path, spec, options) as Promise<T>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async getOrLoadMany<I, T>(
    items: readonly I[],
    key: (item: I) => KeyInput,
    loader: (missing: readonly I[], context: BatchContext<I>) => Promise<readonly T[] | ReadonlyMap<I, T>>,
    options: LoadOptions = NO_OPTIONS,
  ): Promise<T[]> {
    this.#engine.checkOpen();
    if (typeof loader !== "function") throw optionError("loader", "a function", loader);
    const spec = this.#loadSpec(unloadable, options);
    const paths = items.map((item) => this.#path(key(item)));
    // By the time they are loaded the caller may use the list for others.
    return this.#engine.loadMany({ items: items.slice(), paths, loader, spec, options }) as Promise<T[]>;
  }

  async refresh<T>(key: KeyInput, loader: Loader<T>, options: LoadOptions = NO_OPTIONS): Promise<T> {
    return this.getOrLoad(key, loader, { ...options, forceFresh: true });
  }

  async writeThrough<T>(key: KeyInput, write: () => Promise<T>, options: SetOptions = NO_OPTIONS): Promise<T> {
    this.#engine.checkOpen();
    if (typeof write !== "function") throw optionError("write", "a function", write);
    return this.#engine.writes.through(this.#path(key), write, this.#writeSpec(options)) as Promise<T>;
  }

  wrap<A extends readonly unknown[], T>(fn: (...args: A) => T | Promise<T>, options: WrapOptions<A, T>): Wrapped<A, T> {
    // Said wrongly, it is said when the function is made and not at its first call.
    if (typeof options !== "object" || options === null) throw optionError("options", "an object with a name", options);
    const { name: _name, key: _key, tagsOf: _tagsOf, ...loading } = options;
    checkLoadOptions(loading);
    this.#resolve(options);
    return wrap(this, fn, options);
  }

  async invalidate(
    target: InvalidationTarget | readonly InvalidationTarget[],
    options: InvalidateOptions = NO_OPTIONS,
  ): Promise<InvalidationResult> {
    this.#engine.checkOpen();
    return this.#engine.invalidations.invalidate(this.#marksOf(target), isSoft(options));
  }

  entity<Id extends KeyInput, T>(definition: ScopedEntityDefinition<Id, T>): ScopedEntity<Id, T>;
  entity<Id extends KeyInput, T>(definition: EntityDefinition<Id, T>): Entity<Id, T>;
  entity<Id extends KeyInput, T>(
    definition: EntityDefinition<Id, T> | ScopedEntityDefinition<Id, T>,
  ): Entity<Id, T> | ScopedEntity<Id, T> {
    this.#engine.checkOpen();
    return defineEntity(
      {
        engine: this.#engine,
        namespace: this.#namespace,
        policy: this.#policy,
        presets: this.#presets,
        registry: this.#entities,
      },
      definition,
    );
  }

  namespace(name: string): Cache {
    this.#engine.checkOpen();
    const path = namespacePath(this.#namespace, name);
    // The same room is the same view: entities declared in it are known wherever it is entered.
    let view = this.#namespaces.get(path);
    if (view === undefined) {
      view = new CacheView(this.#engine, path, this.#policy, this.#presets, this.#behinds);
      this.#namespaces.set(path, view);
      if (this.#namespaces.size > MAX_NAMESPACES) {
        const [oldest] = this.#namespaces.keys();
        if (oldest !== undefined) this.#namespaces.delete(oldest);
      }
    }
    return view;
  }

  async lock(name: KeyInput, options: LockOptions = NO_OPTIONS): Promise<Lock> {
    this.#engine.checkOpen();
    // "!" begins no entry's path, so a lock and an entry of one name do not meet.
    return this.#engine.locks.obtain(`!lock:${inNamespace(this.#namespace, encodeKey(name))}`, options);
  }

  writeBehind<Id extends RowId, T>(options: WriteBehindOptions<Id, T>): WriteBehind<Id, T> {
    this.#engine.checkOpen();
    return openWriteBehind(this.#behindHome(), options);
  }

  counter<Id extends RowId = RowId>(name: string, options: CounterOptions): Counter<Id> {
    this.#engine.checkOpen();
    return openCounter(this.#behindHome(), name, options);
  }

  async warm(plan: WarmPlan, options: WarmOptions = NO_OPTIONS): Promise<WarmReport> {
    this.#engine.checkOpen();
    return warm(this.#engine.clock, plan, options, () => this.#engine.overloaded);
  }

  stats(): CacheStats {
    const writeBehind = this.#behinds.stats();
    return writeBehind === undefined ? this.#engine.stats() : { ...this.#engine.stats(), writeBehind };
  }

  async explain(key: KeyInput): Promise<Explanation> {
    this.#engine.checkOpen();
    return explain(this.#engine, this.#path(key), this.#spec);
  }

  inspect(): CacheInspector {
    return inspectorOf(this.#engine);
  }

  on<E extends CacheEventType>(type: E, listener: (event: Extract<CacheEvent, { type: E }>) => void): () => void;
  on(type: "*", listener: (event: CacheEvent) => void): () => void;
  on(type: CacheEventType | "*", listener: (event: never) => void): () => void {
    if (typeof listener !== "function") throw optionError("listener", "a function", listener);
    // The overloads have tied the listener to the events it is told.
    return this.#engine.recorder.on(type, listener as (event: CacheEvent) => void);
  }

  watch(watcher: Watcher): () => void {
    if (typeof watcher !== "function") throw optionError("watcher", "a function", watcher);
    return this.#engine.recorder.watchers.add(watcher);
  }

  close(): Promise<void> {
    // Flushed first: a flush uses the cache. Without any the cache is closed at once, as it is seen from outside.
    const flushed = this.#behinds.close();
    return flushed === undefined ? this.#engine.close() : flushed.then(() => this.#engine.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #behindHome(): BehindHome {
    const { clock, recorder, invalidations } = this.#engine;
    return {
      cacheName: this.name,
      clock,
      behinds: this.#behinds,
      emit: (event) => recorder.emit(event),
      lock: (name, wait) => this.lock(["write-behind", name], { wait, ttl: FLUSH_LOCK_TTL }),
      getOrLoad: (key, load) => this.getOrLoad(key, load),
      writeThrough: (key, write) => this.writeThrough(key, write),
      invalidateSoon: (key) => invalidations.invalidateSoon([{ kind: "key", key: this.#path(key) }], false),
    };
  }

  /** What memory vouches for, counted. */
  #answer(key: KeyInput): unknown {
    if (typeof key !== "string" || this.#namespace !== "") return undefined;
    const { local, recorder } = this.#engine;
    const answer = local.answer(key);
    if (answer !== undefined) recorder.hit(this.#counters, key, "memory", false);
    return answer;
  }

  /** Text is looked up as it is before it is encoded, which is most of what a hit costs otherwise. */
  #freshPlain(key: KeyInput): Held | undefined {
    if (typeof key !== "string" || this.#namespace !== "") return undefined;
    const { local } = this.#engine;
    const held = local.freshPlain(key);
    if (held !== undefined) local.vouch(key, held, this.#counters);
    return held;
  }

  #hit(path: string, held: Held): unknown {
    this.#engine.recorder.hit(held.counters, path, "memory", false);
    return this.#engine.local.give(held.value, held.mutable);
  }

  #path(key: KeyInput): string {
    return inNamespace(this.#namespace, encodeKey(key, this.#engine.maxKeyLength));
  }

  #tag(tag: TagInput): readonly string[] {
    return tagPaths(tag, this.#engine, this.#namespace);
  }

  #marksOf(target: InvalidationTarget | readonly InvalidationTarget[]): Mark[] {
    return marksOfTargets(target, this.#namespace, this.#engine.maxKeyLength, this.#engine);
  }

  async #refresh(path: string, spec: LoadSpec, options: LoadOptions): Promise<unknown> {
    await this.#engine.markStale([path]);
    return this.#engine.loads.fresh(path, spec, options);
  }

  /** How many were stored. */
  async #invalidateKeys(keys: readonly KeyInput[], soft: boolean): Promise<number> {
    this.#engine.checkOpen();
    const paths = new Set(keys.map((key) => this.#path(key)));
    const marks = Array.from(paths, (path): Mark => ({ kind: "key", key: path }));
    return (await this.#engine.invalidations.invalidateParts(inParts(marks), soft)).hit;
  }

  #resolve(options: EntryPolicy): ResolvedPolicy {
    return saysPolicy(options) ? resolvePolicy(this.#policy, options, this.#presets) : this.#policy;
  }

  #writeSpec(options: SetOptions): WriteSpec {
    if (options === NO_OPTIONS) return this.#spec;
    checkSetOptions(options);
    return this.#specWith(options);
  }

  #specWith(options: LoadOptions): LoadSpec {
    return {
      ...this.#spec,
      policy: this.#resolve(options),
      countMiss: options.countMiss !== false,
      tags: (options.tags ?? []).flatMap((tag) => this.#tag(tag)),
      etag: options.etag,
    };
  }

  #loadSpec(load: Loader<unknown>, options: LoadOptions): LoadSpec {
    if (options === NO_OPTIONS) return { ...this.#spec, load: load };
    checkLoadOptions(options);
    return { ...this.#specWith(options), load: load };
  }
}

/** How long a flush waits for a flusher that died; milliseconds. */
const FLUSH_LOCK_TTL = 5_000;
/** Views kept for namespaces entered again; a tenant's name made into one must not keep memory for ever. */
const MAX_NAMESPACES = 1_000;

function unloadable(): never {
  throw new CacheError("ERR_CACHE_LOAD", "There is no loader for this key");
}
