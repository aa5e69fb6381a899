import type { Cache, SetOptions } from "../api.js";
import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import type { Segment } from "../keys.js";
import { knownOptions, optionError } from "../policy.js";
import { toBytes } from "../tiers/memory/limits.js";
import { RecentMarks } from "./recent-marks.js";

/** How Next.js' entries are kept. */
export interface NextCacheOptions {
  /** First segment of the keys: handlers of one name share entries and revalidations. @default "next" */
  name?: string | undefined;
  /** The build: pages and route handlers of another are not read, as they name its scripts. Results of `fetch` outlive builds. @default "1" */
  build?: string | undefined;
  /** Longest life of an entry, and of the memory of a revalidated path: milliseconds or "30d". @default "30d" */
  ttl?: Duration | undefined;
  /** Longest result of a `use cache` function that is stored, in bytes or "8mb". @default "8mb" */
  maxEntryBytes?: number | string | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
}

/** The defaults, as data. */
export const NEXT_DEFAULTS = { name: "next", build: "1", ttl: "30d", maxEntryBytes: "8mb" } as const;

/** How long Next.js means an entry to last, in seconds. */
export interface NextCacheControl {
  readonly revalidate: number | false;
  readonly expire: number | undefined;
}

/** An entry of the incremental cache: `kind` is APP_PAGE, APP_ROUTE, PAGES, FETCH, REDIRECT or IMAGE. */
export interface NextIncrementalValue {
  readonly kind: string;
  readonly headers?: unknown;
  readonly tags?: readonly string[] | undefined;
}

/** What an incremental `get` gives. */
export interface NextIncrementalEntry {
  lastModified: number;
  // Next.js' own union, which is a type of the application's version of it.
  // oxlint-disable-next-line typescript/no-explicit-any
  value: any;
  // oxlint-disable-next-line typescript/no-explicit-any
  cacheControl?: any;
}

/** What Next.js says of a read, as far as it matters here. */
export interface NextGetContext {
  readonly kind: string;
  readonly tags?: readonly string[] | undefined;
  readonly softTags?: readonly string[] | undefined;
}

/** And of a write. */
export interface NextSetContext {
  readonly fetchCache?: boolean | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly cacheControl?: { readonly revalidate: number | false; readonly expire?: number | undefined } | undefined;
}

/** A handler of Next.js' option `cacheHandler`; one is made for each request. */
export interface NextCacheHandler {
  get(key: string, context: NextGetContext): Promise<NextIncrementalEntry | null>;
  set(key: string, value: NextIncrementalValue | null, context: NextSetContext): Promise<void>;
  /** @param durations `expire` in seconds: entries are stale until then, and gone after that; without durations they are gone at once. */
  revalidateTag(tags: string | readonly string[], durations?: { readonly expire?: number | undefined }): Promise<void>;
  resetRequestCache(): void;
}

export type NextCacheHandlerClass = new (context: {
  readonly revalidatedTags?: readonly string[] | undefined;
}) => NextCacheHandler;

/** An entry of a `use cache` function; `stale`, `expire` and `revalidate` in seconds, `timestamp` in milliseconds. */
export interface NextUseCacheEntry {
  value: ReadableStream<Uint8Array>;
  tags: string[];
  stale: number;
  timestamp: number;
  expire: number;
  revalidate: number;
}

/** A handler of Next.js' option `cacheHandlers`. */
export interface NextUseCacheHandler {
  get(key: string, softTags: readonly string[]): Promise<NextUseCacheEntry | undefined>;
  set(key: string, pendingEntry: Promise<NextUseCacheEntry>): Promise<void>;
  refreshTags(): Promise<void>;
  getExpiration(tags: readonly string[]): Promise<number>;
  updateTags(tags: readonly string[], durations?: { readonly expire?: number | undefined }): Promise<void>;
}

/**
 * The class for Next.js' option `cacheHandler`: pages, route handlers and results of `fetch`, in a cache. The tags of Next.js are the
 * cache's own: `cache.invalidate({ tag: "contacts" })` does what `revalidateTag` does, in every process, and softly (`mode: "soft"`) what
 * it does with a profile: stale once more, and rendered anew.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function nextCacheHandler(cache: Cache, options: NextCacheOptions = {}): NextCacheHandlerClass {
  const store = new Store(cache, options);
  return class extends IncrementalHandler {
    constructor(context: { readonly revalidatedTags?: readonly string[] | undefined }) {
      super(store, context.revalidatedTags ?? []);
    }
  };
}

/**
 * The handler for Next.js' option `cacheHandlers`: results of `use cache` functions, in a cache. Their bytes are stored whole, up to
 * `maxEntryBytes`; a longer result, or one whose stream broke, is not stored.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function nextUseCacheHandler(cache: Cache, options: NextCacheOptions = {}): NextUseCacheHandler {
  const maxEntryBytes = toBytes(options.maxEntryBytes ?? NEXT_DEFAULTS.maxEntryBytes, "maxEntryBytes");
  return new UseCacheHandler(new Store(cache, options), maxEntryBytes);
}

/** What is stored under a key, whichever handler it is of. */
interface Stored<T> {
  readonly content: T;
  readonly tags: readonly string[];
  /** When what it is made from was read, at the earliest, on the wall clock. */
  readonly begunAt: number;
}

/** A moment, on both clocks: what this process has heard is compared on the monotonic one, which nobody sets. */
interface Moment {
  readonly wall: number;
  readonly now: number;
}

/** Entries with tags, and when tags were revalidated. */
class Store {
  readonly clock: Clock;
  readonly build: string;
  /** The time as Next.js reads it for its timestamps: the wall clock of when the process started, and never set since. */
  readonly #nextTime: () => number;
  readonly #cache: Cache;
  readonly #room: string;
  readonly #ttl: number;
  readonly #recent: RecentMarks;

  constructor(cache: Cache, options: NextCacheOptions) {
    knownOptions(options, ["name", "build", "ttl", "maxEntryBytes", "clock"], "next");
    const { name = NEXT_DEFAULTS.name, build = NEXT_DEFAULTS.build } = options;
    if (typeof name !== "string" || name === "") throw optionError("name", "a text of 1 character or more", name);
    if (typeof build !== "string" || build === "") throw optionError("build", "a text of 1 character or more", build);
    this.#ttl = toMilliseconds(options.ttl ?? NEXT_DEFAULTS.ttl, "ttl");
    if (this.#ttl === 0) throw optionError("ttl", "more than 0", options.ttl);
    this.#cache = cache;
    this.#room = name;
    this.build = build;
    const clock = options.clock ?? systemClock;
    this.clock = clock;
    this.#nextTime =
      options.clock === undefined ? () => performance.timeOrigin + performance.now() : () => clock.wall();
    this.#recent = new RecentMarks(cache, clock);
  }

  /** A time that Next.js has told; now, without one. */
  moment(timestamp: number = this.#nextTime()): Moment {
    const age = Math.max(0, this.#nextTime() - timestamp);
    return { wall: this.clock.wall() - age, now: this.clock.now() - age };
  }

  /** @param softTags tags that the entry does not have, and that count for it all the same: the path that it is read for. */
  async read<T>(
    key: readonly Segment[],
    softTags: readonly string[],
  ): Promise<(Stored<T> & { readonly isStale: boolean }) | undefined> {
    try {
      const path = [this.#room, ...key];
      const fresh = await this.#cache.get<Stored<T>>(path);
      const stored = fresh ?? (await this.#cache.get<Stored<T>>(path, { stale: true }));
      if (stored === undefined) return undefined;
      // By its own tags the cache has judged it.
      const others = softTags.filter((tag) => !stored.tags.includes(tag));
      if (await this.#anyAt("revalidated", others, (at) => at >= stored.begunAt)) return undefined;
      const now = this.clock.wall();
      const isStale = fresh === undefined;
      if (isStale && (await this.#anyAt("ends", stored.tags, (at) => at > stored.begunAt && at <= now)))
        return undefined;
      return { ...stored, isStale };
    } catch {
      // Closed, or a key that cannot be one: Next.js renders, as for any other miss.
      return undefined;
    }
  }

  /** @param life milliseconds. */
  async write<T>(
    key: readonly Segment[],
    content: T,
    tags: readonly string[],
    begun: Moment,
    life: number,
  ): Promise<void> {
    const path = [this.#room, ...key];
    const stored: Stored<T> = { content, tags, begunAt: begun.wall };
    const ttl = Math.min(life, this.#ttl);
    if (!(ttl > 0) || (await this.#recent.hit(path, tags, begun.now))) return;
    await this.#cache.set(path, stored, { ...exactly(ttl), staleWhileRevalidate: ttl, tags });
    // What was invalidated until it was stored: a write has the log read up to its own record.
    if (await this.#recent.hit(undefined, tags, begun.now)) await this.#cache.delete(path);
  }

  async revalidate(
    tags: readonly string[],
    durations: { readonly expire?: number | undefined } | undefined,
  ): Promise<void> {
    const named = [...new Set(tags)].filter((tag) => tag !== "");
    if (named.length === 0) return;
    const now = this.clock.wall();
    await this.#remember("revalidated", named, now);
    if (durations?.expire !== undefined) await this.#remember("ends", named, now + durations.expire * 1_000);
    await this.#cache.invalidate({ tags: named }, { mode: durations === undefined ? "hard" : "soft" });
  }

  async #remember(what: string, tags: readonly string[], at: number): Promise<void> {
    await this.#cache.setMany(
      tags.map((tag) => [[this.#room, what, tag], at] as const),
      exactly(this.#ttl),
    );
  }

  async #anyAt(what: string, tags: readonly string[], test: (at: number) => boolean): Promise<boolean> {
    // 0 is kept as well: most paths are never revalidated, and are asked for with each request.
    const times = await Promise.all(
      tags
        .filter((tag) => tag !== "")
        .map((tag) => this.#cache.getOrLoad([this.#room, what, tag], () => 0, exactly(this.#ttl))),
    );
    return times.some(test);
  }
}

function exactly(ttl: number): SetOptions {
  return { ttl, jitter: 0, staleWhileRevalidate: 0, staleIfError: 0 };
}

interface Incremental {
  readonly value: NextIncrementalValue | null;
  readonly lastModified: number;
  readonly control: NextCacheControl | undefined;
}

class IncrementalHandler implements NextCacheHandler {
  readonly #store: Store;
  readonly #revalidated: ReadonlySet<string>;
  #begun: Moment;

  constructor(store: Store, revalidated: readonly string[]) {
    this.#store = store;
    this.#revalidated = new Set(revalidated);
    // Whatever this request renders was read after it.
    this.#begun = store.moment();
  }

  async get(key: string, context: NextGetContext): Promise<NextIncrementalEntry | null> {
    const { kind, tags = [], softTags = [] } = context;
    const isFetch = kind === "FETCH";
    if (isFetch && [...tags, ...softTags].some((tag) => this.#revalidated.has(tag))) return null;
    // Tags of this read that the entry was not stored with count as well.
    const stored = await this.#store.read<Incremental>(this.#key(key, isFetch), isFetch ? [...tags, ...softTags] : []);
    if (stored === undefined) return null;
    const { value, lastModified, control } = stored.content;
    if (isFetch && value === null) return null;
    const entry = { lastModified, value: writable(value), ...(control === undefined ? {} : { cacheControl: control }) };
    return stored.isStale ? outdated(entry, isFetch, control, this.#store.clock.wall()) : entry;
  }

  async set(key: string, value: NextIncrementalValue | null, context: NextSetContext): Promise<void> {
    const isFetch = context.fetchCache === true;
    const tags = isFetch ? [...(context.tags ?? []), ...(value?.tags ?? [])] : headerTags(value);
    const expire = context.cacheControl?.expire;
    const control =
      context.cacheControl === undefined ? undefined : { revalidate: context.cacheControl.revalidate, expire };
    const content: Incremental = { value, lastModified: this.#store.clock.wall(), control };
    const life = expire === undefined ? Infinity : expire * 1_000;
    await this.#store.write(this.#key(key, isFetch), content, distinct(tags), this.#begun, life);
  }

  async revalidateTag(
    tags: string | readonly string[],
    durations?: { readonly expire?: number | undefined },
  ): Promise<void> {
    await this.#store.revalidate(typeof tags === "string" ? [tags] : tags, durations);
  }

  resetRequestCache(): void {
    this.#begun = this.#store.moment();
  }

  #key(key: string, isFetch: boolean): readonly Segment[] {
    return isFetch ? ["fetch", key] : ["page", this.#store.build, key];
  }
}

/** Next.js serves it once more and renders anew in the background. It knows the age of an entry only, so it is told one. */
function outdated(
  entry: NextIncrementalEntry,
  isFetch: boolean,
  control: NextCacheControl | undefined,
  now: number,
): NextIncrementalEntry {
  // Any age at all: a fetch has no end.
  if (isFetch) return { ...entry, lastModified: 1 };
  const revalidate = typeof control?.revalidate === "number" ? Math.max(1, control.revalidate) : 1;
  const lastModified = Math.min(entry.lastModified, now - revalidate * 1_000 - 1);
  return { ...entry, lastModified, cacheControl: { revalidate, expire: control?.expire } };
}

/** Pages and route handlers carry their tags in a header that Next.js takes off again. */
function headerTags(value: NextIncrementalValue | null): readonly string[] {
  const { headers } = value ?? {};
  const text: unknown =
    typeof headers === "object" && headers !== null
      ? (headers as Readonly<Record<string, unknown>>)["x-next-cache-tags"]
      : undefined;
  return typeof text === "string" ? text.split(",") : [];
}

function distinct(tags: readonly string[]): readonly string[] {
  return [...new Set(tags)].filter((tag) => tag !== "");
}

/** A copy that Next.js may change, as it does, with Node's own kind of bytes. */
function writable(part: unknown): unknown {
  if (typeof part !== "object" || part === null) return part;
  if (part instanceof Uint8Array) return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  if (part instanceof Map) return new Map(Array.from(part, ([name, one]) => [name, writable(one)] as const));
  if (Array.isArray(part)) return part.map(writable);
  return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, writable(one)]));
}

type UseCacheContent = Pick<NextUseCacheEntry, "stale" | "timestamp" | "expire" | "revalidate"> & {
  readonly bytes: Uint8Array<ArrayBuffer>;
};

class UseCacheHandler implements NextUseCacheHandler {
  readonly #store: Store;
  readonly #maxBytes: number;
  readonly #pending = new Map<string, Promise<void>>();

  constructor(store: Store, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  async get(key: string, softTags: readonly string[]): Promise<NextUseCacheEntry | undefined> {
    await this.#pending.get(key);
    const stored = await this.#store.read<UseCacheContent>(this.#key(key), softTags);
    if (stored === undefined) return undefined;
    const { bytes, stale, timestamp, expire, revalidate } = stored.content;
    return {
      value: streamOf(bytes),
      tags: [...stored.tags],
      stale,
      timestamp,
      expire,
      // In the past: served once more, and made anew in the background.
      revalidate: stored.isStale ? -1 : revalidate,
    };
  }

  async set(key: string, pendingEntry: Promise<NextUseCacheEntry>): Promise<void> {
    const storing = this.#write(key, pendingEntry);
    this.#pending.set(key, storing);
    await storing;
    if (this.#pending.get(key) === storing) this.#pending.delete(key);
  }

  /** The log tells of what other processes revalidate. */
  async refreshTags(): Promise<void> {}

  /** `get` judges by the soft tags itself. */
  async getExpiration(): Promise<number> {
    return Infinity;
  }

  async updateTags(tags: readonly string[], durations?: { readonly expire?: number | undefined }): Promise<void> {
    await this.#store.revalidate(tags, durations);
  }

  /** Never rejects: an entry that is not stored is made again, and the cache has told of a tier that failed. */
  async #write(key: string, pendingEntry: Promise<NextUseCacheEntry>): Promise<void> {
    try {
      const { value, tags, stale, timestamp, expire, revalidate } = await pendingEntry;
      const begun = this.#store.moment(timestamp);
      const bytes = await bytesOf(value, this.#maxBytes);
      if (bytes === undefined) return;
      const content: UseCacheContent = { bytes, stale, timestamp, expire, revalidate };
      await this.#store.write(this.#key(key), content, distinct(tags), begun, expire * 1_000);
    } catch {
      // The function threw, or its stream broke: Next.js knows.
    }
  }

  #key(key: string): readonly Segment[] {
    return ["use-cache", key];
  }
}

/** All of a stream, or `undefined` when it is longer than it may be. */
async function bytesOf(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > most) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}
