import type { Cache, SetOptions } from "../api.js";
import { systemClock, type Clock } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { CacheError } from "../errors.js";
import type { CacheEvent } from "../events.js";
import { encodeKey, type Segment } from "../keys.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";

/** How items of unstorage are kept. */
export interface UnstorageDriverOptions {
  /** First segment of the keys of this driver: drivers of one name share items. @default "unstorage" */
  name?: string | undefined;
  /** Longest life of an item that is set without a ttl: milliseconds or "5m", as everywhere here. @default the cache's `ttl` */
  ttl?: Duration | undefined;
  /** Most items that `getKeys` lists; it rejects where there are more. @default 10000 */
  maxKeys?: number | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
}

/** The defaults, as data. */
export const UNSTORAGE_DEFAULTS = { name: "unstorage", maxKeys: 10_000 } as const;

/** What unstorage passes with a call. */
export interface UnstorageCallOptions {
  /** Life of the item, in SECONDS: unstorage's own unit. */
  readonly ttl?: number | undefined;
}

interface Item {
  readonly key: string;
  readonly value: string;
  readonly options?: UnstorageCallOptions | undefined;
}

/** What is told of an item: when it was stored, and the seconds it still has. */
export type UnstorageMeta = { readonly mtime: Date; readonly ttl: number };

/**
 * A driver for unstorage 1 (and so for Nitro and Nuxt) on a cache. Items live as long as a cache keeps them: it is storage for what can be
 * made again.
 *
 * unstorage has made one key of several before it asks: `a/b` and `a:b` are the same item, and so are `page?x=1` and `page?x=2`, as it
 * drops whatever follows a question mark. Use the cache itself where keys hold data.
 */
export interface UnstorageDriver {
  readonly name: "tiercache";
  readonly flags: { readonly ttl: true };
  readonly options: UnstorageDriverOptions;
  getInstance(): Cache;
  hasItem(key: string): Promise<boolean>;
  getItem(key: string): Promise<string | null>;
  getItems(items: readonly { readonly key: string }[]): Promise<{ key: string; value: string | null }[]>;
  /** Bytes as they were set; text for an item that was set as one. */
  getItemRaw(key: string): Promise<unknown>;
  setItem(key: string, value: string, options?: UnstorageCallOptions): Promise<void>;
  setItems(items: readonly Item[], options?: UnstorageCallOptions): Promise<void>;
  setItemRaw(key: string, value: unknown, options?: UnstorageCallOptions): Promise<void>;
  removeItem(key: string): Promise<void>;
  getMeta(key: string): Promise<UnstorageMeta | null>;
  /**
   * Lists what a tier that can list holds, and reads it to leave out what was invalidated: work that grows with the number of items.
   *
   * @throws CacheError `ERR_CACHE_TIER` when the shared tier cannot list or does not answer, or holds more than `maxKeys`: never a part.
   */
  getKeys(base?: string): Promise<string[]>;
  /** Removes what begins with `base`, in every tier and every process. */
  clear(base?: string): Promise<void>;
  /** Hears of items that were set and removed, by any process; not of those that expired or went with `clear`. */
  watch(callback: (event: "update" | "remove", key: string) => unknown): Promise<() => void>;
}

/** Items checked at once by `getKeys`. */
const READ_TOGETHER = 100;
/** Exactly as long as asked for: neither jitter nor stale windows. */
const EXACT: SetOptions = { jitter: 0, staleWhileRevalidate: 0, staleIfError: 0 };

/**
 * @param cache where items are kept; it may be used for other things as well.
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function unstorageDriver(cache: Cache, options: UnstorageDriverOptions = {}): UnstorageDriver {
  knownOptions(options, ["name", "ttl", "maxKeys", "clock"], "unstorageDriver");
  const name = options.name ?? UNSTORAGE_DEFAULTS.name;
  if (typeof name !== "string" || name === "") throw optionError("name", "a text of 1 character or more", name);
  const ttl = options.ttl === undefined ? undefined : toMilliseconds(options.ttl, "ttl");
  if (ttl === 0) throw optionError("ttl", "more than 0", options.ttl);
  const maxKeys = wholeNumber(options.maxKeys ?? UNSTORAGE_DEFAULTS.maxKeys, "maxKeys", 1);
  return driverOf(new Items(cache, { room: name, ttl, maxKeys, clock: options.clock ?? systemClock }), options);
}

/** unstorage takes methods off the driver before it calls them, so they are functions of their own. */
function driverOf(items: Items, options: UnstorageDriverOptions): UnstorageDriver {
  return {
    name: "tiercache",
    flags: { ttl: true },
    options,
    getInstance: () => items.cache,
    hasItem: (key) => items.cache.has(items.key(key)),
    getItem: async (key) => textOf(await items.cache.get(items.key(key))),
    getItems: async (wanted) => {
      const values = await items.cache.getMany(wanted.map(({ key }) => items.key(key)));
      return wanted.map(({ key }, at) => ({ key, value: textOf(values[at]) }));
    },
    getItemRaw: async (key) => (await items.cache.get(items.key(key))) ?? null,
    setItem: (key, value, call) => items.set(key, value, call),
    setItems: async (all, call) => {
      await Promise.all(all.map(({ key, value, options: own }) => items.set(key, value, { ...call, ...own })));
    },
    setItemRaw: (key, value, call) => items.set(key, value, call),
    removeItem: async (key) => {
      await items.cache.delete(items.key(key));
    },
    getMeta: (key) => items.meta(key),
    getKeys: (base = "") => items.list(base),
    clear: async (base = "") => {
      await items.cache.invalidate({ prefix: items.key(base) });
    },
    watch: (callback) => items.watch(callback),
  };
}

interface Settings {
  readonly room: string;
  readonly ttl: number | undefined;
  readonly maxKeys: number;
  readonly clock: Clock;
}

class Items {
  readonly cache: Cache;
  readonly #settings: Settings;
  /** Paths that this driver is setting: what is heard of them is an update, before the value is there. */
  readonly #writing = new Map<string, number>();
  #namespace: Promise<string> | undefined;

  constructor(cache: Cache, settings: Settings) {
    this.cache = cache;
    this.#settings = settings;
  }

  /** unstorage separates by colons; each part is a segment, whatever it holds. */
  key(text: string): readonly Segment[] {
    return [this.#settings.room, ...text.split(":").filter((part) => part !== "")];
  }

  async set(key: string, value: unknown, call: UnstorageCallOptions = {}): Promise<void> {
    const seconds = call.ttl;
    if (seconds !== undefined && seconds !== 0 && !(Number.isFinite(seconds) && seconds > 0)) {
      throw optionError("ttl", "seconds, more than 0", seconds);
    }
    const ttl = seconds === undefined || seconds === 0 ? this.#settings.ttl : seconds * 1_000;
    const path = await this.#path(key);
    this.#writing.set(path, (this.#writing.get(path) ?? 0) + 1);
    try {
      await this.cache.set(this.key(key), value, ttl === undefined ? EXACT : { ...EXACT, ttl });
    } finally {
      const left = (this.#writing.get(path) ?? 1) - 1;
      if (left === 0) this.#writing.delete(path);
      else this.#writing.set(path, left);
    }
  }

  async meta(key: string): Promise<UnstorageMeta | null> {
    const { tiers } = await this.cache.explain(this.key(key));
    const tier = tiers.find(({ state }) => state === "fresh");
    if (tier?.age === undefined || tier.freshFor === undefined) return null;
    return { mtime: new Date(this.#settings.clock.wall() - tier.age), ttl: Math.ceil(tier.freshFor / 1_000) };
  }

  async list(base: string): Promise<string[]> {
    const { maxKeys } = this.#settings;
    const prefix = await this.#path(base);
    const marks = [{ kind: "prefix", prefix }] as const;
    const inspector = this.cache.inspect();
    const shared = await inspector.shared({ marks, sample: maxKeys, most: maxKeys + 1 });
    if (shared.problem === "unlisted") throw unlisted("the shared tier cannot list its keys");
    if (shared.problem === "down") throw unlisted("the shared tier does not answer");
    let paths = shared.keys;
    if (shared.problem === "none") {
      const memory = await inspector.memory({ marks, sample: maxKeys, most: Number.MAX_SAFE_INTEGER });
      if ((memory?.entries ?? 0) > maxKeys) throw unlisted(`there are more than ${maxKeys} (maxKeys)`);
      paths = (memory?.sample ?? []).map(({ key }) => key);
    } else if (!shared.complete || shared.entries > maxKeys) throw unlisted(`there are more than ${maxKeys} (maxKeys)`);
    const room = await this.#path("");
    return this.#alive(paths.filter((path) => path.startsWith(`${room}:`)).map((path) => itemKey(path, room)));
  }

  /** A prefix that was invalidated leaves its entries where they lie: only reading tells. */
  async #alive(keys: readonly string[]): Promise<string[]> {
    const alive: string[] = [];
    for (let start = 0; start < keys.length; start += READ_TOGETHER) {
      const some = keys.slice(start, start + READ_TOGETHER);
      const stored = await Promise.all(some.map((key) => this.cache.has(this.key(key))));
      alive.push(...some.filter((_, at) => stored[at] === true));
    }
    return alive;
  }

  async watch(callback: (event: "update" | "remove", key: string) => unknown): Promise<() => void> {
    const room = await this.#path("");
    return this.cache.on("invalidated", (event) => this.#heard(event, room, callback));
  }

  #heard(
    { names }: Extract<CacheEvent, { type: "invalidated" }>,
    room: string,
    callback: (event: "update" | "remove", key: string) => unknown,
  ): void {
    for (const mark of names) {
      if (mark.kind !== "key" || !mark.key.startsWith(`${room}:`)) continue;
      const key = itemKey(mark.key, room);
      const told = this.#writing.has(mark.key) ? Promise.resolve(true) : this.cache.has(this.key(key));
      told
        .then((stored) => callback(stored ? "update" : "remove", key))
        // The cache was closed meanwhile, or the listener threw: nobody waits for it.
        .catch(() => undefined);
    }
  }

  async #path(key: string): Promise<string> {
    // The name of the namespace is in the paths that tiers and events know, and nowhere else.
    const bare = [this.#settings.room];
    this.#namespace ??= this.cache.explain(bare).then((told) => told.key.slice(0, -encodeKey(bare).length));
    return `${await this.#namespace}${encodeKey(this.key(key))}`;
  }
}

/** The key that unstorage knows an entry by: each of its parts is a segment that holds a string. */
function itemKey(path: string, room: string): string {
  return path
    .slice(room.length + 1)
    .split(":")
    .map((segment) =>
      segment
        .replace(/^'/, "")
        .replace(/%u([0-9A-F]{4})|%([0-9A-F]{2})/g, (_, wide: string | undefined, narrow: string | undefined) =>
          String.fromCharCode(Number.parseInt(wide ?? narrow ?? "", 16)),
        ),
    )
    .join(":");
}

function unlisted(reason: string): CacheError {
  return new CacheError("ERR_CACHE_TIER", `The keys cannot be listed: ${reason}`);
}

function textOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : (JSON.stringify(value) ?? null);
}
