import { Writable } from "node:stream";
import type { Cache, LoadOptions } from "../api.js";
import { systemClock, type Clock } from "../clock.js";
import { MAX_DURATION } from "../duration.js";
import { CacheError } from "../errors.js";
import type { Fields } from "../http/fields.js";
import { MAX_TAGS, surrogateTags } from "../http/surrogate-tags.js";
import { urlKey, urlTag, variantKey } from "../http/url-key.js";
import { encodeTag, type Segment } from "../keys.js";
import { knownOptions, wholeNumber } from "../policy.js";
import { toBytes } from "../tiers/memory/limits.js";
import type { UndiciCacheStore, UndiciFields, UndiciKey, UndiciResponse, UndiciResult } from "./undici-types.js";

export type { UndiciCacheStore, UndiciKey, UndiciResponse, UndiciResult } from "./undici-types.js";

/** How undici's responses are kept. */
export interface UndiciStoreOptions {
  /** Longest body that is stored; a cache's memory takes entries up to an eighth of its own. @default "4mb" */
  maxBodyBytes?: number | string | undefined;
  /** Bodies that are on their way into the store, all together; past that responses are not stored. @default "64mb" */
  maxFillBytes?: number | string | undefined;
  /** Bodies on their way at once; more are not stored. @default 256 */
  maxFills?: number | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
}

/** The defaults, as data. */
export const UNDICI_DEFAULTS = { maxBodyBytes: "4mb", maxFillBytes: "64mb", maxFills: 256 } as const;

/**
 * A store for undici's cache interceptor, on a cache: `interceptors.cache({ store: undiciStore(cache) })`. Memory and shared tier,
 * bounds, events and invalidations are the cache's; `purge` reaches its responses by URL, prefix, and the tags of their headers.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function undiciStore(cache: Cache, options: UndiciStoreOptions = {}): UndiciCacheStore {
  knownOptions(options, [...Object.keys(UNDICI_DEFAULTS), "clock"], "undici");
  return new Store(cache, {
    maxBodyBytes: toBytes(options.maxBodyBytes ?? UNDICI_DEFAULTS.maxBodyBytes, "maxBodyBytes"),
    maxFillBytes: toBytes(options.maxFillBytes ?? UNDICI_DEFAULTS.maxFillBytes, "maxFillBytes"),
    maxFills: wholeNumber(options.maxFills ?? UNDICI_DEFAULTS.maxFills, "maxFills", 1),
    clock: options.clock ?? systemClock,
  });
}

interface Limits {
  readonly maxBodyBytes: number;
  readonly maxFillBytes: number;
  readonly maxFills: number;
  readonly clock: Clock;
}

/** A response as it is kept. */
interface Kept extends UndiciResponse {
  readonly kind: "undici";
  readonly body: Uint8Array;
}

/** What stands under a URL whose responses vary: by what, and where they are. */
interface Index {
  readonly kind: "undici-index";
  readonly names: readonly string[];
  readonly generation: string;
}

/**
 * For implementers: a URL's key holds its response to GET, or an index of what its responses vary on; each variant has a key of its own with
 * the URL's tag, and so has what other methods got. A response is stored by a load that begins when its head comes and ends with its
 * body, so that whatever is invalidated in between keeps it out.
 */
class Store implements UndiciCacheStore {
  readonly #cache: Cache;
  readonly #limits: Limits;
  /** Deletions under way, by URL: undici asks for one in each method's name. */
  readonly #deletions = new Map<string, Promise<void>>();
  #fills = 0;
  #filling = 0;

  constructor(cache: Cache, limits: Limits) {
    this.#cache = cache;
    this.#limits = limits;
  }

  get(key: UndiciKey): UndiciResult | undefined | Promise<UndiciResult | undefined> {
    const primary = primaryKey(key);
    if (primary === undefined) return undefined;
    // What memory holds is answered at once, as undici's own store does.
    try {
      const held = this.#peek(primary, key);
      return held === undefined ? this.#read(primary, key).catch(withoutCache) : this.#result(held, false);
    } catch (error) {
      return withoutCache(error);
    }
  }

  createWriteStream(key: UndiciKey, value: UndiciResponse): Writable | undefined {
    const primary = primaryKey(key);
    const tags = tagsOf(value.headers);
    if (primary === undefined || tags === undefined || this.#fills >= this.#limits.maxFills) return undefined;
    if (value.deleteAt <= this.#limits.clock.wall()) return undefined;
    this.#fills += 1;
    const fill = new Fill(this.#limits.maxBodyBytes, (bytes) => this.#take(bytes));
    // It does not reject: a response that is not stored is asked for again.
    const stored = this.#store(primary, key, value, tags, fill).finally(() => {
      this.#fills -= 1;
      this.#filling -= fill.taken;
    });
    return fill.stream(stored);
  }

  async delete(key: UndiciKey): Promise<void> {
    const primary = primaryKey({ ...key, method: "GET" });
    if (primary === undefined) return;
    const name = JSON.stringify(primary);
    const running = this.#deletions.get(name);
    if (running !== undefined) return running;
    const deletion = this.#cache
      .invalidate([{ key: primary }, { tag: urlTag(primary) }])
      .then(() => undefined)
      // This process serves nothing of it, and the cache sends it again; undici has nobody to tell.
      .catch(() => undefined)
      .finally(() => this.#deletions.delete(name));
    this.#deletions.set(name, deletion);
    return deletion;
  }

  /** Whether there is room for so many bytes more. */
  #take(bytes: number): boolean {
    if (this.#filling + bytes > this.#limits.maxFillBytes) return false;
    this.#filling += bytes;
    return true;
  }

  #peek(primary: readonly Segment[], key: UndiciKey): Kept | undefined {
    const first = asKept(this.#cache.peek(primary, UNCOUNTED));
    if (first?.kind === "undici") return answers(first, key) ? first : undefined;
    if (first === undefined) return undefined;
    const kept = asKept(this.#cache.peek(variantOf(primary, first, key), UNCOUNTED));
    return kept?.kind === "undici" && answers(kept, key) ? kept : undefined;
  }

  async #read(primary: readonly Segment[], key: UndiciKey): Promise<UndiciResult | undefined> {
    const first = await this.#find(primary);
    if (first === undefined) return undefined;
    if (first.value.kind === "undici") {
      return answers(first.value, key) ? this.#result(first.value, first.stale) : undefined;
    }
    const found = await this.#find(variantOf(primary, first.value, key));
    if (found?.value.kind !== "undici" || !answers(found.value, key)) return undefined;
    return this.#result(found.value, found.stale);
  }

  async #find(key: readonly Segment[]): Promise<{ readonly value: Kept | Index; readonly stale: boolean } | undefined> {
    const fresh = asKept(await this.#cache.get(key, UNCOUNTED));
    if (fresh !== undefined) return { value: fresh, stale: false };
    const stale = asKept(await this.#cache.get(key, { stale: true }));
    return stale === undefined ? undefined : { value: stale, stale: true };
  }

  /** @param stale it was invalidated softly, or has been fresh. */
  #result(kept: Kept, stale: boolean): UndiciResult | undefined {
    const now = this.#limits.clock.wall();
    if (kept.deleteAt <= now) return undefined;
    const { kind: _, body, staleAt, cacheControlDirectives, ...rest } = kept;
    return {
      ...rest,
      // Stale from a moment ago: undici then validates it, or serves it while it does.
      staleAt: stale ? Math.min(staleAt, now - 1) : staleAt,
      cacheControlDirectives: cacheControlDirectives ?? {},
      // A list of one: the bytes' own iterator would give numbers.
      body: [Buffer.from(body.buffer, body.byteOffset, body.byteLength)],
    };
  }

  async #store(
    primary: readonly Segment[],
    key: UndiciKey,
    value: UndiciResponse,
    tags: readonly string[],
    fill: Fill,
  ): Promise<void> {
    try {
      await this.#deletions.get(JSON.stringify(primary));
      const names = Object.keys(value.vary ?? {}).sort();
      const target = names.length === 0 ? primary : await this.#target(primary, names, key);
      await this.#cache.getOrLoad<unknown>(
        target,
        async (context) => {
          const body = await fill.whole;
          if (body === undefined) return context.skip();
          context.tags(urlTag(primary.slice(0, urlLength(primary))), ...tags);
          return { ...kept(value), body };
        },
        this.#policy(value),
      );
    } catch {
      // The cache's events tell why (its gate is full, it is closed, the entry is too large); the response goes on without it.
    } finally {
      fill.end();
    }
  }

  /** Where a response that varies is stored; makes the index, or one of more names. */
  async #target(primary: readonly Segment[], names: readonly string[], key: UndiciKey): Promise<readonly Segment[]> {
    const first = asKept(await this.#cache.get(primary, UNCOUNTED));
    if (first?.kind === "undici-index" && names.every((name) => first.names.includes(name))) {
      return variantOf(primary, first, key);
    }
    const known = first?.kind === "undici-index" ? first.names : [];
    const all = [...new Set([...known, ...names])].sort();
    const index: Index = { kind: "undici-index", names: all, generation: all.join(" ") };
    await this.#cache.set(primary, index, {
      ttl: MAX_DURATION,
      maxTtl: MAX_DURATION,
      jitter: 0,
      tags: [urlTag(primary.slice(0, urlLength(primary)))],
    });
    return variantOf(primary, index, key);
  }

  #policy({ staleAt, deleteAt }: UndiciResponse): LoadOptions {
    const now = this.#limits.clock.wall();
    const fresh = Math.min(MAX_DURATION, Math.max(1, staleAt - now));
    return {
      forceFresh: true,
      ttl: fresh,
      maxTtl: MAX_DURATION,
      jitter: 0,
      sliding: false,
      earlyRefresh: 0,
      staleWhileRevalidate: 0,
      staleIfError: Math.min(MAX_DURATION, Math.max(1, deleteAt - now - fresh)),
      hardTimeout: FILL_TIMEOUT,
      softTimeout: undefined,
      fed: false,
      ...UNCOUNTED,
    };
  }
}

/** Longest a body may take on its way into the store; milliseconds. */
const FILL_TIMEOUT = 300_000;
const OTHER_METHOD = "#method";
/** undici looks for a response in several steps, and stores what came in others: the last look is the miss that counts. */
const UNCOUNTED = { countMiss: false } as const;

/** A body on its way: kept until all of it has come, or given up. */
class Fill {
  /** All of it; `undefined` when it was cut short, too long or given up. */
  readonly whole: Promise<Uint8Array | undefined>;
  /** Bytes taken of the room for all fills. */
  taken = 0;
  readonly #limit: number;
  readonly #take: (bytes: number) => boolean;
  #chunks: Buffer[] = [];
  #resolve: (body: Uint8Array | undefined) => void = () => undefined;
  #ended = false;

  constructor(limit: number, take: (bytes: number) => boolean) {
    this.#limit = limit;
    this.#take = take;
    this.whole = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Nobody waits for the rest. */
  end(): void {
    this.#ended = true;
    this.#chunks = [];
    this.#resolve(undefined);
  }

  stream(stored: Promise<void>): Writable {
    const add = (chunk: Buffer): boolean => this.#add(chunk);
    return new Writable({
      write(chunk: Buffer | string, encoding, callback) {
        // Given up quietly: an error would be told as one of the response.
        if (!add(typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk)) this.destroy();
        callback();
      },
      final: (callback) => {
        this.#resolve(this.#ended ? undefined : Buffer.concat(this.#chunks));
        this.#chunks = [];
        // It is in the store when the stream is finished. It does not reject.
        void stored.then(() => callback());
      },
      destroy: (error, callback) => {
        this.#resolve(undefined);
        this.#chunks = [];
        callback(error);
      },
    });
  }

  #add(chunk: Buffer): boolean {
    if (this.#ended) return true;
    if (this.taken + chunk.length > this.#limit || !this.#take(chunk.length)) return false;
    this.taken += chunk.length;
    this.#chunks.push(chunk);
    return true;
  }
}

/** A request goes on without a cache that is closed, or has no key so long. */
function withoutCache(error: unknown): undefined {
  if (!(error instanceof CacheError)) throw error;
}

/** The key of a URL's GET, and what other methods have; `undefined` for what is no URL. */
function primaryKey({ origin, path, method }: UndiciKey): readonly Segment[] | undefined {
  const text = `${origin}${path}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.hash = "";
  const key = urlKey("undici", url);
  return method === "GET" ? key : [...key, OTHER_METHOD, method];
}

/** Segments of the URL itself. */
function urlLength(primary: readonly Segment[]): number {
  return primary.at(-2) === OTHER_METHOD ? primary.length - 2 : primary.length;
}

function variantOf(primary: readonly Segment[], { generation, names }: Index, key: UndiciKey): readonly Segment[] {
  return variantKey(primary, generation, JSON.stringify(names.map((name) => key.headers?.[name] ?? null)));
}

/** Whether a request says what the stored one's said in the fields it varies on, exactly. */
function answers({ vary }: Kept, { headers }: UndiciKey): boolean {
  return Object.entries(vary ?? {}).every(
    ([name, value]) => JSON.stringify(headers?.[name] ?? null) === JSON.stringify(value ?? null),
  );
}

/** A response as it is stored: plain, and without what is not there. */
function kept(value: UndiciResponse): Omit<Kept, "body"> {
  const { statusCode, statusMessage, headers, vary, etag, cacheControlDirectives, cachedAt, staleAt, deleteAt } = value;
  return {
    kind: "undici",
    statusCode,
    statusMessage,
    headers: { ...headers },
    ...(vary === undefined ? {} : { vary: { ...vary } }),
    ...(etag === undefined ? {} : { etag }),
    ...(cacheControlDirectives === undefined ? {} : { cacheControlDirectives: { ...cacheControlDirectives } }),
    cachedAt,
    staleAt,
    deleteAt,
  };
}

/** A value found under a key of ours; `undefined` for what somebody else may have put there. */
function asKept(value: unknown): Kept | Index | undefined {
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  if (value.kind === "undici-index" && "names" in value && "generation" in value) return value as Index;
  const isKept = value.kind === "undici" && "body" in value && value.body instanceof Uint8Array && "deleteAt" in value;
  // Of this shape only this file's own make it: the names of its keys are reserved by the documentation.
  return isKept ? (value as unknown as Kept) : undefined;
}

/** The response's tags; `undefined` when it could not be purged by all of them. */
function tagsOf(headers: UndiciFields): readonly string[] | undefined {
  const fields: Fields = Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly string[]) : [value as string]).map(
      (line) => [name.toLowerCase(), line] as const,
    ),
  );
  const tags = surrogateTags(fields);
  return tags.length > MAX_TAGS || !tags.every(isTag) ? undefined : tags;
}

function isTag(text: string): boolean {
  try {
    return encodeTag(text) !== "";
  } catch (error) {
    if (error instanceof CacheError) return false;
    throw error;
  }
}
