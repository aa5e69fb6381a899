import type { Cache, InvalidationTarget, Wrapped } from "./api.js";
import type { TagInput } from "./dependency-tag.js";
import { encodeKey, type KeyInput, type Segment } from "./keys.js";
import type { EntryPolicy } from "./options.js";
import { DEFAULT_POLICY, POLICY_FIELDS, knownOptions, optionError, resolvePolicy } from "./policy.js";
import { invalidateAfter } from "./repository/invalidate-after.js";

/** The arguments of a method. */
type Args = readonly unknown[];
/** At least these arguments: a function that looks at the first of a method's arguments may leave out the others. */
type Leading<A extends Args> = readonly [...A, ...unknown[]];
type Method<This, A extends Args, T> = (this: This, ...args: A) => Promise<T>;

/**
 * The cache a decorator uses: itself, or how to find it on the instance (on the class, for a static method), asked
 * at each call.
 */
export type CacheOf<Self> = Cache | ((self: Self) => Cache);

/**
 * How the results of a method are cached.
 *
 * TypeScript types a decorator's options before it sees the method, so annotate the parameters of the functions
 * among them: `key: (tenant: string, id: string) => [tenant, id]`. They are checked against the method; trailing
 * parameters may be left out. A method is a function of its arguments here: two instances of a class share entries
 * unless `instance` tells them apart.
 */
export interface CachedOptions<
  Self,
  KeyArgs extends Args,
  TagArgs extends Args,
  WhenArgs extends Args,
  Result,
> extends EntryPolicy {
  cache: CacheOf<Self>;
  /** Names the method in keys. Required: names of classes do not survive a minifier, and two classes may share one. */
  name: string;
  /** The arguments' part of the key. @default all arguments, which must then be key segments */
  key?: ((...args: KeyArgs) => KeyInput) | undefined;
  /** Tags of the entries, or how to tell them from a result. @default none */
  tags?: readonly TagInput[] | ((result: Result, ...args: TagArgs) => readonly TagInput[]) | undefined;
  /** Whether this call is cached; otherwise the method itself answers. @default always */
  when?: ((...args: WhenArgs) => boolean) | undefined;
  /** Part of the key that tells instances apart: a tenant, a locale. @default none: instances share entries */
  instance?: ((self: Self) => Segment) | undefined;
}

/** A decorator for methods, static ones too, that return a promise and take at least `A`. */
export type CachedDecorator<Self, A extends Args, Result> = <This extends Self, MethodArgs extends A, T extends Result>(
  method: Method<This, MethodArgs, T>,
  context: ClassMethodDecoratorContext<This, Method<This, MethodArgs, T>>,
) => Method<This, MethodArgs, T>;

/** What a write invalidates: targets, or how to tell them from its result (`undefined` when it rejected) and arguments. */
export type Invalidates<A extends Args, Result> =
  | InvalidationTarget
  | readonly InvalidationTarget[]
  | ((result: Result | undefined, ...args: A) => InvalidationTarget | readonly InvalidationTarget[]);

export type InvalidatesDecorator<Self, A extends Args, Result> = <
  This extends Self,
  MethodArgs extends Leading<A>,
  T extends Result,
>(
  method: Method<This, MethodArgs, T>,
  context: ClassMethodDecoratorContext<This, Method<This, MethodArgs, T>>,
) => Method<This, MethodArgs, T>;

/** Both decorators, bound to one cache; they may be taken apart. */
export interface Decorators<Self> {
  readonly cached: <KeyArgs extends Args, TagArgs extends Args, WhenArgs extends Args, Result>(
    options: Omit<CachedOptions<Self, KeyArgs, TagArgs, WhenArgs, Result>, "cache">,
  ) => CachedDecorator<Self, Leading<KeyArgs> & Leading<TagArgs> & Leading<WhenArgs>, Result>;
  readonly invalidates: <A extends Args, Result>(
    targets: Invalidates<A, Result>,
  ) => InvalidatesDecorator<Self, A, Result>;
}

const OPTIONS: readonly string[] = [...POLICY_FIELDS, "cache", "name", "key", "tags", "when", "instance"];

/**
 * Caches the results of a method (standard decorators, TC39 stage 3; not `experimentalDecorators`).
 *
 * ```ts
 * class Rates {
 *   @cached({ cache, name: "rates.get", ttl: "1h", key: (from: string, to: string) => [from, to] })
 *   async get(from: string, to: string): Promise<number> { … }
 * }
 * ```
 *
 * @throws CacheError `ERR_CACHE_OPTION` when the class is defined: a bad option, or not on a method. At a call,
 * `ERR_CACHE_KEY` when the arguments are no key.
 */
export function cached<Self, KeyArgs extends Args, TagArgs extends Args, WhenArgs extends Args, Result>(
  options: CachedOptions<Self, KeyArgs, TagArgs, WhenArgs, Result>,
): CachedDecorator<Self, Leading<KeyArgs> & Leading<TagArgs> & Leading<WhenArgs>, Result> {
  validate(options);
  return <This extends Self, A extends Leading<KeyArgs> & Leading<TagArgs> & Leading<WhenArgs>, T extends Result>(
    method: Method<This, A, T>,
    context: unknown,
  ) => {
    requireMethod("@cached", context);
    // The constraints above are what makes this sound: every function among the options takes what the method takes.
    return cachedMethod<This, A, T>(method, options as unknown as Matched<This, A, T>);
  };
}

/**
 * Invalidates once the method's promise has settled, that is: after the write has committed. A rejected write
 * invalidates as well, because its outcome is unknown.
 *
 * ```ts
 * @invalidates((contact: Contact | undefined, tenant: string, id: string) => ({ tag: ["contact", id], scope: tenant }), { cache })
 * async update(tenant: string, id: string, changes: Changes): Promise<Contact> { … }
 * ```
 *
 * @throws CacheError `ERR_CACHE_OPTION` when the class is defined: a bad option, or not on a method.
 */
export function invalidates<Self, A extends Args, Result>(
  targets: Invalidates<A, Result>,
  options: { readonly cache: CacheOf<Self> },
): InvalidatesDecorator<Self, A, Result> {
  requireCache(options.cache);
  return <This extends Self, MethodArgs extends Leading<A>, T extends Result>(
    method: Method<This, MethodArgs, T>,
    context: unknown,
  ) => {
    requireMethod("@invalidates", context);
    // Sound by the constraints above, as in `cached`.
    return invalidatingMethod<This, MethodArgs, T>(
      method,
      targets as unknown as Invalidates<MethodArgs, T>,
      options.cache,
    );
  };
}

/** `cached` and `invalidates` for one cache, or for the cache that each instance names. */
export function createDecorators<Self = unknown>(cache: CacheOf<Self>): Decorators<Self> {
  requireCache(cache);
  return {
    cached: (options) => cached({ ...options, cache }),
    invalidates: (targets) => invalidates(targets, { cache }),
  };
}

/** The options once the decorator's type has matched them with the method. */
type Matched<This, A extends Args, T> = CachedOptions<This, A, A, A, T>;

function cachedMethod<This, A extends Args, T>(
  method: Method<This, A, T>,
  options: Matched<This, A, T>,
): Method<This, A, T> {
  const { cache, when } = options;
  const byCache = new WeakMap<Cache, Wrapped<[This, ...A], T>>();
  return async function (...args) {
    if (when !== undefined && !when(...args)) return method.call(this, ...args);
    const found = cacheOf(cache, this);
    let wrapped = byCache.get(found);
    if (wrapped === undefined) {
      wrapped = wrap(found, method, options);
      byCache.set(found, wrapped);
    }
    return wrapped(this, ...args);
  };
}

function invalidatingMethod<This, A extends Args, T>(
  method: Method<This, A, T>,
  targets: Invalidates<A, T>,
  cache: CacheOf<This>,
): Method<This, A, T> {
  return async function (...args) {
    return invalidateAfter(
      cacheOf(cache, this),
      () => method.call(this, ...args),
      (outcome) =>
        asArray(
          typeof targets === "function" ? targets(outcome.resolved ? outcome.result : undefined, ...args) : targets,
        ),
    );
  };
}

function wrap<This, A extends Args, T>(
  cache: Cache,
  method: Method<This, A, T>,
  options: Matched<This, A, T>,
): Wrapped<[This, ...A], T> {
  const { cache: _cache, name, key, tags, when: _when, instance, ...policy } = options;
  return cache.wrap<[This, ...A], T>((self, ...args) => method.call(self, ...args), {
    ...policy,
    name,
    key: (self, ...args) => keyOf(key?.(...args) ?? segmentsOf(args), instance?.(self)),
    tags: typeof tags === "function" ? undefined : tags,
    tagsOf: typeof tags === "function" ? (result, _self, ...args) => tags(result, ...args) : undefined,
  });
}

/** One segment for the instance, one for the rest of the key, whatever its form: so the two never run together. */
function keyOf(key: KeyInput, instance: Segment | undefined): KeyInput {
  return instance === undefined ? key : [instance, encodeKey(key)];
}

/** Arguments left out at the end count as absent: `find("a")` and `find("a", undefined)` are one call. */
function segmentsOf(args: Args): readonly Segment[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length -= 1;
  // Whatever is no segment is refused, with its place, when the key is encoded.
  return args.slice(0, length) as Segment[];
}

function cacheOf<Self>(cache: CacheOf<Self>, self: Self): Cache {
  const found = typeof cache === "function" ? cache(self) : cache;
  requireCache(found);
  return found;
}

function asArray<T>(value: T | readonly T[]): readonly T[] {
  // The cast only tells the compiler that an array is not itself a target.
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

function validate<Self, K extends Args, T extends Args, W extends Args, R>(
  options: CachedOptions<Self, K, T, W, R>,
): void {
  knownOptions(options, OPTIONS, "@cached");
  requireCache(options.cache);
  if (typeof options.name !== "string" || options.name === "") {
    throw optionError("name", "a string that is not empty", options.name);
  }
  for (const option of ["key", "when", "instance"] as const) {
    const value: unknown = options[option];
    if (value !== undefined && typeof value !== "function") throw optionError(option, "a function", value);
  }
  const tags: unknown = options.tags;
  if (tags !== undefined && typeof tags !== "function" && !Array.isArray(tags)) {
    throw optionError("tags", "an array of tags, or a function of the result", tags);
  }
  // Now, and not at the first call; what a preset's name means only the cache knows.
  resolvePolicy(DEFAULT_POLICY, { ...options, preset: undefined }, {});
}

function requireCache(cache: unknown): void {
  if (typeof cache === "function" || (typeof cache === "object" && cache !== null && "getOrLoad" in cache)) return;
  throw optionError("cache", "a cache, or a function that gives one", cache);
}

/** At run time too: without TypeScript, or under `experimentalDecorators`, it may stand before anything. */
function requireMethod(decorator: string, context: unknown): void {
  const kind: unknown = typeof context === "object" && context !== null && "kind" in context ? context.kind : undefined;
  if (kind !== "method") throw optionError(decorator, "before a method, as a standard decorator", kind ?? context);
}
