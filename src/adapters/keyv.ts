import type { Cache } from "../api.js";
import { CacheError } from "../errors.js";
import type { Segment } from "../keys.js";
import { knownOptions, optionError } from "../policy.js";

/** How entries of Keyv are kept. */
export interface KeyvStoreOptions {
  /** First segment of the keys of this store: stores of one name and namespace share entries. @default "keyv" */
  name?: string | undefined;
  /** Longest life of an entry that Keyv gives no ttl, in milliseconds. @default the cache's `ttl` */
  ttl?: number | undefined;
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number | undefined;
}

/**
 * A store for Keyv 5 (and so for cache-manager 6 and 7, and NestJS' cache module) in a cache: bounded memory, the shared tier, its
 * invalidations. What Keyv stores can be invalidated by `cache.invalidate({ prefix: [name, namespace] })`.
 *
 * Errors of a tier are the cache's own: a read that cannot be answered is a miss, a write that was not acknowledged rejects, and Keyv
 * tells its `error` listeners. It lists nothing: a cache forgets, so Keyv's `iterator` is not offered.
 */
export interface KeyvStore {
  /** What Keyv looks at to find out what it has; nothing here is iterable. */
  readonly opts: { readonly dialect: "tiercache"; readonly url: "" };
  /** Set by the Keyv it is given to. */
  namespace: string | undefined;
  get(key: string): Promise<unknown>;
  getMany(keys: readonly string[]): Promise<unknown[]>;
  /** @param ttl milliseconds; left out or 0 is the store's, and then the cache's. */
  set(key: string, value: unknown, ttl?: number): Promise<boolean>;
  setMany(entries: readonly Entry[]): Promise<void>;
  has(key: string): Promise<boolean>;
  hasMany(keys: readonly string[]): Promise<boolean[]>;
  delete(key: string): Promise<boolean>;
  deleteMany(keys: readonly string[]): Promise<boolean>;
  /** Removes what this store holds of its namespace, in every tier and every process; of all its namespaces when it has none. */
  clear(): Promise<void>;
  /** Nothing is closed: the cache belongs to whoever made it. */
  disconnect(): Promise<void>;
  /** Keyv subscribes to `error`; what fails is told by the promise, so nobody is ever called. */
  on(event: string, listener: (...payload: readonly unknown[]) => void): KeyvStore;
}

/**
 * @param cache where entries are kept; it may be used for other things as well.
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function keyvStore(cache: Cache, options: KeyvStoreOptions = {}): KeyvStore {
  knownOptions(options, ["name", "ttl"], "keyvStore");
  const { name = "keyv", ttl } = options;
  if (typeof name !== "string" || name === "") throw optionError("name", "a text of 1 character or more", name);
  if (ttl !== undefined && !(Number.isFinite(ttl) && ttl > 0)) throw optionError("ttl", "more than 0", ttl);
  return new CacheStore(cache, name, ttl);
}

class CacheStore implements KeyvStore {
  readonly opts = { dialect: "tiercache", url: "" } as const;
  readonly #cache: Cache;
  readonly #room: string;
  readonly #ttl: number | undefined;
  #namespace: string | undefined;

  constructor(cache: Cache, room: string, ttl: number | undefined) {
    this.#cache = cache;
    this.#room = room;
    this.#ttl = ttl;
  }

  get namespace(): string | undefined {
    return this.#namespace;
  }

  set namespace(namespace: string | undefined) {
    // Each Keyv sets its own on the store that it is given. With two of them the last would name the keys of both.
    if (this.#namespace !== undefined && namespace !== undefined && namespace !== this.#namespace) {
      throw new CacheError(
        "ERR_CACHE_OPTION",
        `Expected one store to serve one Keyv, of the namespace "${this.#namespace}", got it for "${namespace}" as well: call keyvStore() for each`,
      );
    }
    this.#namespace = namespace;
  }

  async get(key: string): Promise<unknown> {
    return this.#cache.get(this.#key(key));
  }

  async getMany(keys: readonly string[]): Promise<unknown[]> {
    return this.#cache.getMany(keys.map((key) => this.#key(key)));
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    const life = ttl === undefined || ttl === 0 ? this.#ttl : ttl;
    // Exactly as long as Keyv has written into the value: neither jitter nor stale windows, as it would drop what they keep.
    const exact = { jitter: 0, staleWhileRevalidate: 0, staleIfError: 0 } as const;
    await this.#cache.set(this.#key(key), value, life === undefined ? exact : { ...exact, ttl: life });
    return true;
  }

  async setMany(entries: readonly Entry[]): Promise<void> {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  async has(key: string): Promise<boolean> {
    return this.#cache.has(this.#key(key));
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)));
  }

  async delete(key: string): Promise<boolean> {
    return this.#cache.delete(this.#key(key));
  }

  async deleteMany(keys: readonly string[]): Promise<boolean> {
    return (await this.#cache.deleteMany(keys.map((key) => this.#key(key)))) > 0;
  }

  async clear(): Promise<void> {
    const prefix: Segment[] = this.#namespace === undefined ? [this.#room] : [this.#room, this.#namespace];
    await this.#cache.invalidate({ prefix });
  }

  async disconnect(): Promise<void> {}

  on(): KeyvStore {
    return this;
  }

  /**
   * Keyv joins namespace and key by a colon, so that `a` + `b:c` and `a:b` + `c` are one text; here they are segments. Some of its
   * methods join twice, others take a key that begins like the namespace for joined: those keys are the same to us as to it.
   */
  #key(joined: string): readonly Segment[] {
    const namespace = this.#namespace;
    if (namespace === undefined) return [this.#room, "", joined];
    const prefix = `${namespace}:`;
    return [this.#room, namespace, joined.startsWith(prefix) ? joined.slice(prefix.length) : joined];
  }
}
