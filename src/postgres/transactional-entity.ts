import type {
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
} from "../api.js";
import type { DependencyTag, TagInput } from "../dependency-tag.js";
import { without } from "../entries/fields.js";
import type { Explanation } from "../explain.js";
import type { KeyInput, ScopeInput } from "../keys.js";
import { isSoft } from "../policy.js";
import { facade } from "../repository/facade.js";
import type { Transactions } from "./transaction.js";
import { loadManyPast, loadPast, QUEUED } from "./transactional-loads.js";

/**
 * The entity of a transactional cache. It stands for the cache's own, wherever that is asked for (in a feed's mapping, say).
 */
export function transactionalEntity<Id extends KeyInput, T>(
  transactions: Transactions,
  direct: Entity<Id, T>,
  definition: EntityDefinition<Id, T>,
  scope: ScopeInput | undefined,
): Entity<Id, T> {
  return standingFor(direct, new TransactionalEntity(transactions, direct, definition, scope));
}

/** As `transactionalEntity`, of a scoped one. */
export function transactionalScopedEntity<Id extends KeyInput, T>(
  transactions: Transactions,
  direct: ScopedEntity<Id, T>,
  definition: ScopedEntityDefinition<Id, T>,
): ScopedEntity<Id, T> {
  return standingFor(direct, new TransactionalScopedEntity(transactions, direct, definition));
}

function standingFor<E extends object>(direct: E, own: E): E {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(own)).filter((name) => name !== "constructor");
  const bound = methods.map((name) => [name, (Reflect.get(own, name) as Method).bind(own)] as const);
  return facade(direct, new Map(bound)) as E;
}

type Method = (...args: unknown[]) => unknown;

/** A scoped entity that goes past the cache inside a transaction. */
class TransactionalScopedEntity<Id extends KeyInput, T> implements ScopedEntity<Id, T> {
  readonly name: string;
  readonly #transactions: Transactions;
  readonly #direct: ScopedEntity<Id, T>;
  readonly #definition: ScopedEntityDefinition<Id, T>;
  /** By the bound entity of the cache, which keeps a bounded number of them. */
  readonly #bound = new WeakMap<Entity<Id, T>, Entity<Id, T>>();

  constructor(transactions: Transactions, direct: ScopedEntity<Id, T>, definition: ScopedEntityDefinition<Id, T>) {
    this.name = direct.name;
    this.#transactions = transactions;
    this.#direct = direct;
    this.#definition = definition;
  }

  in(scope: ScopeInput): Entity<Id, T> {
    const direct = this.#direct.in(scope);
    let bound = this.#bound.get(direct);
    if (bound === undefined) {
      bound = transactionalEntity(this.#transactions, direct, this.#definition, scope);
      this.#bound.set(direct, bound);
    }
    return bound;
  }

  async invalidateAll(options: InvalidateOptions = {}): Promise<InvalidationResult> {
    const transaction = this.#transactions.current();
    if (transaction === undefined) return this.#direct.invalidateAll(options);
    isSoft(options);
    transaction.queue({ run: () => this.#direct.invalidateAll(options) });
    return QUEUED;
  }
}

/** An entity that goes past the cache inside a transaction. */
class TransactionalEntity<Id extends KeyInput, T> implements Entity<Id, T> {
  readonly name: string;
  readonly #transactions: Transactions;
  readonly #direct: Entity<Id, T>;
  readonly #definition: EntityDefinition<Id, T>;
  readonly #scope: ScopeInput | undefined;

  constructor(
    transactions: Transactions,
    direct: Entity<Id, T>,
    definition: EntityDefinition<Id, T>,
    scope: ScopeInput | undefined,
  ) {
    this.name = direct.name;
    this.#transactions = transactions;
    this.#direct = direct;
    this.#definition = definition;
    this.#scope = scope;
  }

  get(id: Id, options?: LoadOptions): Promise<T> {
    const { load, loadMany } = this.#definition;
    if (this.#transactions.current() === undefined) return this.#direct.get(id, options);
    if (load !== undefined) return this.#load(id, (context) => load(id, context), options);
    // With neither, the entity itself says so.
    if (loadMany === undefined) return this.#direct.get(id, options);
    return this.getMany([id], options).then(([value]) => value as T);
  }

  async find(id: Id, options?: GetOptions): Promise<T | undefined> {
    return this.#transactions.current() === undefined ? this.#direct.find(id, options) : undefined;
  }

  getOrLoad(
    id: Id,
    loader: (context: LoaderContext & EntityContext) => T | Promise<T>,
    options?: LoadOptions,
  ): Promise<T> {
    if (this.#transactions.current() === undefined) return this.#direct.getOrLoad(id, loader, options);
    return this.#load(id, loader, options);
  }

  async getMany(ids: readonly Id[], options?: LoadOptions): Promise<T[]> {
    const { load, loadMany } = this.#definition;
    if (this.#transactions.current() === undefined) return this.#direct.getMany(ids, options);
    if (loadMany === undefined) {
      if (load === undefined) return this.#direct.getMany(ids, options);
      return Promise.all(ids.map((id) => this.get(id, options)));
    }
    const values = await loadManyPast(
      ids,
      (missing, context) => loadMany(missing, { ...context, scope: this.#scope }),
      options,
    );
    return values.map((value) => this.#kept(value));
  }

  peek(id: Id): T | undefined {
    return this.#transactions.current() === undefined ? this.#direct.peek(id) : undefined;
  }

  async has(id: Id): Promise<boolean> {
    return this.#transactions.current() === undefined ? this.#direct.has(id) : false;
  }

  async set(id: Id, value: T, options?: SetOptions): Promise<void> {
    if (this.#transactions.current() === undefined) return this.#direct.set(id, value, options);
    // The value is not committed, and after the commit it may be another's: the entry goes.
    await this.invalidate(id);
  }

  async refresh(id: Id, options?: LoadOptions): Promise<T> {
    if (this.#transactions.current() === undefined) return this.#direct.refresh(id, options);
    await this.invalidate(id);
    return this.get(id, options);
  }

  async expire(id: Id): Promise<boolean> {
    if (this.#transactions.current() === undefined) return this.#direct.expire(id);
    await this.invalidate(id, { mode: "soft" });
    return false;
  }

  async writeThrough(id: Id, write: () => Promise<T>, options?: SetOptions): Promise<T> {
    if (this.#transactions.current() === undefined) return this.#direct.writeThrough(id, write, options);
    await this.invalidate(id);
    return this.#kept(await write());
  }

  invalidate(id: Id, options?: InvalidateOptions): Promise<InvalidationResult> {
    return this.invalidateMany([id], options);
  }

  async invalidateMany(ids: readonly Id[], options: InvalidateOptions = {}): Promise<InvalidationResult> {
    return this.#invalidate(options, () => this.#direct.invalidateMany(ids, options), ids);
  }

  async invalidateTag(tag: TagInput, options: InvalidateOptions = {}): Promise<InvalidationResult> {
    return this.#invalidate(options, () => this.#direct.invalidateTag(tag, options), []);
  }

  async invalidateAll(options: InvalidateOptions = {}): Promise<InvalidationResult> {
    return this.#invalidate(options, () => this.#direct.invalidateAll(options), []);
  }

  tag(...id: readonly [] | readonly [id: Id]): DependencyTag {
    return this.#direct.tag(...id);
  }

  explain(id: Id): Promise<Explanation> {
    return this.#direct.explain(id);
  }

  key(id: Id): string {
    return this.#direct.key(id);
  }

  async #invalidate(
    options: InvalidateOptions,
    run: () => Promise<InvalidationResult>,
    ids: readonly Id[],
  ): Promise<InvalidationResult> {
    const transaction = this.#transactions.current();
    if (transaction === undefined) return run();
    // Said now, to the one who said it wrongly; at the commit nobody could be told.
    isSoft(options);
    for (const id of ids) this.#direct.key(id);
    transaction.queue({ run });
    return QUEUED;
  }

  async #load(
    id: Id,
    loader: (context: LoaderContext & EntityContext) => T | Promise<T>,
    options: LoadOptions | undefined,
  ): Promise<T> {
    const load = (context: LoaderContext): T | Promise<T> => loader({ ...context, scope: this.#scope });
    return this.#kept(await loadPast(() => this.#direct.key(id), load, options));
  }

  /** Fields that the entity never gives, it does not give here either. */
  #kept(value: T): T {
    const { exclude } = this.#definition;
    return exclude === undefined || exclude.length === 0 ? value : (without(value, exclude) as T);
  }
}
