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
} from "../api.js";
import type { CacheEvent, CacheEventType } from "../events.js";
import type { Explanation } from "../explain.js";
import { encodeKey, MAX_KEY_LENGTH, type KeyInput } from "../keys.js";
import { isSoft, optionError } from "../policy.js";
import type { CacheStats } from "../stats.js";
import { marksOfTargets } from "../targets.js";
import type { Watcher } from "../watchers.js";
import { wrap } from "../wrap.js";
import type { CacheInspector } from "../inspect/inspector.js";
import type { WriteBehind } from "../write/behind.js";
import type { CounterOptions, WriteBehindOptions } from "../write/behind-options.js";
import type { Counter } from "../write/counter.js";
import type { RowId } from "../write/sink.js";
import { flush } from "./transaction-flush.js";
import { Transactions, type Transaction } from "./transaction.js";
import { transactionalEntity, transactionalScopedEntity } from "./transactional-entity.js";
import { loadManyPast, loadPast, QUEUED } from "./transactional-loads.js";

/** A cache that knows of transactions. */
export interface TransactionalCache extends Cache {
  /** The scopes it asks; adapters that are given this cache open them. */
  readonly transactions: Transactions;
  /** The cache itself, which knows nothing of transactions. */
  readonly direct: Cache;
  namespace(name: string): TransactionalCache;
}

/**
 * The cache as it may be used inside transactions: there, reads go past it (a loader runs each time, nothing is stored,
 * what is stored is not seen) and invalidations wait for the commit; a rollback drops them. What would store a value
 * invalidates its key instead: the value is not committed. Outside of transactions it is the cache itself.
 *
 * Entities and repositories made of it are as safe. Adapters (`cachedPool`, `tiercache/kysely` …) open its scopes;
 * another driver's are opened by `inTransaction`.
 *
 * @example
 * const cache = transactional(createCache({ tiers: [memory(), redis(client)] }));
 * const pool = cachedPool(new pg.Pool(), { cache });
 */
export function transactional(cache: Cache): TransactionalCache {
  if (cache instanceof View) return cache;
  if (typeof cache !== "object" || cache === null || typeof Reflect.get(cache, "getOrLoad") !== "function")
    throw optionError("cache", "a cache", cache);
  return new View(cache, new Transactions());
}

/**
 * Runs `body` as a transaction of a driver that nobody watches: it must begin one, and have committed when it resolves
 * and rolled back when it rejects.
 */
export async function inTransaction<T>(cache: TransactionalCache, body: () => Promise<T>): Promise<T> {
  const transaction = cache.transactions.prepare();
  let result: T;
  try {
    result = await cache.transactions.run(transaction, body);
  } catch (error) {
    transaction.rollback();
    throw error;
  }
  // What is not acknowledged is an event of the cache, which sends it again: the transaction has been done.
  await flush(cache.direct, transaction.commit(), () => undefined);
  return result;
}

class View implements TransactionalCache {
  readonly name: string;
  readonly direct: Cache;
  readonly transactions: Transactions;

  constructor(direct: Cache, transactions: Transactions) {
    this.name = direct.name;
    this.direct = direct;
    this.transactions = transactions;
  }

  async get<T>(key: KeyInput, options?: GetOptions): Promise<T | undefined> {
    return this.transactions.current() === undefined ? this.direct.get<T>(key, options) : undefined;
  }

  async getMany<T>(keys: readonly KeyInput[], options?: GetOptions): Promise<(T | undefined)[]> {
    return this.transactions.current() === undefined
      ? this.direct.getMany<T>(keys, options)
      : keys.map((): undefined => undefined);
  }

  peek<T>(key: KeyInput): T | undefined {
    return this.transactions.current() === undefined ? this.direct.peek<T>(key) : undefined;
  }

  async has(key: KeyInput): Promise<boolean> {
    return this.transactions.current() === undefined ? this.direct.has(key) : false;
  }

  async set(key: KeyInput, value: unknown, options?: SetOptions): Promise<void> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.set(key, value, options);
    this.#queue(transaction, [{ key }]);
  }

  async setMany(entries: Iterable<readonly [KeyInput, unknown]>, options?: SetOptions): Promise<void> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.setMany(entries, options);
    this.#queueKeys(
      transaction,
      Array.from(entries, ([key]) => key),
    );
  }

  async delete(key: KeyInput): Promise<boolean> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.delete(key);
    this.#queue(transaction, [{ key }]);
    return false;
  }

  async deleteMany(keys: readonly KeyInput[]): Promise<number> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.deleteMany(keys);
    this.#queueKeys(transaction, keys);
    return 0;
  }

  async expire(key: KeyInput): Promise<boolean> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.expire(key);
    this.#queue(transaction, [{ key }], { mode: "soft" });
    return false;
  }

  getOrLoad<T>(key: KeyInput, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    if (this.transactions.current() === undefined) return this.direct.getOrLoad(key, loader, options);
    return loadPast(() => encodeKey(key), loader, options);
  }

  async getOrLoadMany<I, T>(
    items: readonly I[],
    key: (item: I) => KeyInput,
    loader: (missing: readonly I[], context: BatchContext<I>) => Promise<readonly T[] | ReadonlyMap<I, T>>,
    options?: LoadOptions,
  ): Promise<T[]> {
    if (this.transactions.current() === undefined) return this.direct.getOrLoadMany(items, key, loader, options);
    return loadManyPast(items, loader, options);
  }

  async refresh<T>(key: KeyInput, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.refresh(key, loader, options);
    this.#queue(transaction, [{ key }]);
    return loadPast(() => encodeKey(key), loader, options);
  }

  async writeThrough<T>(key: KeyInput, write: () => Promise<T>, options?: SetOptions): Promise<T> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.writeThrough(key, write, options);
    this.#queue(transaction, [{ key }]);
    return write();
  }

  wrap<A extends readonly unknown[], T>(fn: (...args: A) => T | Promise<T>, options: WrapOptions<A, T>): Wrapped<A, T> {
    // For its checks; the calls go through this view.
    this.direct.wrap(fn, options);
    return wrap(this, fn, options);
  }

  async invalidate(
    target: InvalidationTarget | readonly InvalidationTarget[],
    options: InvalidateOptions = {},
  ): Promise<InvalidationResult> {
    const transaction = this.transactions.current();
    if (transaction === undefined) return this.direct.invalidate(target, options);
    return this.#queue(transaction, Array.isArray(target) ? target : [target as InvalidationTarget], options);
  }

  entity<Id extends KeyInput, T>(definition: ScopedEntityDefinition<Id, T>): ScopedEntity<Id, T>;
  entity<Id extends KeyInput, T>(definition: EntityDefinition<Id, T>): Entity<Id, T>;
  entity<Id extends KeyInput, T>(
    definition: EntityDefinition<Id, T> | ScopedEntityDefinition<Id, T>,
  ): Entity<Id, T> | ScopedEntity<Id, T> {
    if ("scope" in definition && definition.scope !== undefined) {
      return transactionalScopedEntity(this.transactions, this.direct.entity(definition), definition);
    }
    return transactionalEntity(this.transactions, this.direct.entity(definition), definition, undefined);
  }

  namespace(name: string): TransactionalCache {
    return new View(this.direct.namespace(name), this.transactions);
  }

  lock(name: KeyInput, options?: LockOptions): Promise<Lock> {
    return this.direct.lock(name, options);
  }

  writeBehind<Id extends RowId, T>(options: WriteBehindOptions<Id, T>): WriteBehind<Id, T> {
    return this.direct.writeBehind(options);
  }

  counter<Id extends RowId = RowId>(name: string, options: CounterOptions): Counter<Id> {
    return this.direct.counter(name, options);
  }

  warm(plan: WarmPlan, options?: WarmOptions): Promise<WarmReport> {
    return this.direct.warm(plan, options);
  }

  stats(): CacheStats {
    return this.direct.stats();
  }

  inspect(): CacheInspector {
    return this.direct.inspect();
  }

  explain(key: KeyInput): Promise<Explanation> {
    return this.direct.explain(key);
  }

  on<E extends CacheEventType>(type: E, listener: (event: Extract<CacheEvent, { type: E }>) => void): () => void;
  on(type: "*", listener: (event: CacheEvent) => void): () => void;
  on(type: CacheEventType | "*", listener: (event: never) => void): () => void {
    // The overloads have tied the listener to the events it is told.
    return this.direct.on(type as "*", listener as (event: CacheEvent) => void);
  }

  watch(watcher: Watcher): () => void {
    return this.direct.watch(watcher);
  }

  close(): Promise<void> {
    return this.direct.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.direct.close();
  }

  #queue(
    transaction: Transaction,
    targets: readonly InvalidationTarget[],
    options: InvalidateOptions = {},
  ): InvalidationResult {
    // Said now, to the one who said it wrongly; at the commit nobody could be told.
    const mode = isSoft(options) ? "soft" : "hard";
    marksOfTargets(targets, "", MAX_KEY_LENGTH, undefined);
    const { direct } = this;
    transaction.queue({ run: () => direct.invalidate(targets, { mode }) });
    return QUEUED;
  }

  #queueKeys(transaction: Transaction, keys: readonly KeyInput[]): void {
    for (const key of keys) this.#queue(transaction, [{ key }]);
  }
}
