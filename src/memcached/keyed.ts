import { CacheError } from "../errors.js";
import type { StoredValue } from "../tiers/shared.js";
import { contended } from "./head.js";
import { MAX_SECONDS, seconds, type Item, type Items, type Version } from "./items.js";
import type { Layout } from "./layout.js";
import type { Parts } from "./parts.js";
import {
  decodeStored,
  encodeStored,
  hasStamp,
  isSoftStale,
  isWhole,
  kindOf,
  setSoftStale,
  type Stored,
} from "./stored.js";

/** The item of a key as it was read: what it says, and what a compare-and-set of it needs. */
export interface Found extends Stored, Version {
  /** Seconds until the server forgets it. */
  readonly remaining: number;
}

/** What is written of a key; where the item has other fields they stay. */
export interface Change {
  readonly holder: { readonly token: string; readonly seconds: number } | undefined;
  readonly entry: Uint8Array | undefined;
  readonly manifest: boolean;
  readonly generation: string;
  /** Seconds the entry is to live on. */
  readonly remaining: number;
}

const MAX_TRIES = 50;

/**
 * The items of keys. For implementers:
 *
 * - A key's entry and the lease on it are ONE item, so that every step that must know both is one compare-and-set. Whatever
 *   ends a lease (an invalidation, a put, a writer that takes it over) writes or removes that item: the fill that
 *   comes after compares with a version that is no more, and is refused.
 * - A soft invalidation is memcached's own mark on the item, one command with a new version. Here it is an entry
 *   whose flag is set, and a lease that nobody holds.
 */
export class Keyed {
  readonly #items: Items;
  readonly #layout: Layout;
  readonly #parts: Parts;

  constructor(items: Items, layout: Layout, parts: Parts) {
    this.#items = items;
    this.#layout = layout;
    this.#parts = parts;
  }

  /** What is there, with the lease only while it lasts. */
  async find(key: string): Promise<Found | undefined> {
    const item = await this.#items.get(this.#layout.entry(key));
    return item && foundIn(item);
  }

  /** The entry as readers see it, if it belongs to that generation. */
  async read(key: string): Promise<{ readonly generation: string; readonly value: StoredValue } | undefined> {
    const stored = await this.#stored(key);
    const value = stored && this.valueOf(key, stored);
    return stored && value && { generation: stored.generation, value };
  }

  /** An entry, or what fetches it. */
  valueOf(key: string, { entry, manifest }: Stored): StoredValue | undefined {
    if (!manifest || entry === undefined) return entry;
    return this.#parts.large(entry, async () => {
      const now = await this.#stored(key);
      return now?.manifest === true ? now.entry : undefined;
    });
  }

  async #stored(key: string): Promise<Stored | undefined> {
    const item = await this.#items.value(this.#layout.entry(key));
    const stored = item && decodeStored(item.value);
    if (item?.stale === true && stored?.entry !== undefined) setSoftStale(stored.entry);
    return stored;
  }

  /** Writes over whatever is there: nothing but a lease. The version of it. */
  async seize(key: string, token: string, ttl: number): Promise<Version> {
    const holder = { token, endsAt: 0 };
    const bytes = encodeStored({ generation: NONE, holder, entry: undefined, manifest: false });
    const version = await this.#items.store(this.#layout.entry(key), bytes, { ttl, kind: kindOf(undefined) });
    if (version === undefined) throw new CacheError("ERR_CACHE_TIER", "memcached refused to store without a condition");
    return version;
  }

  /** Writes what should be there from now on, over a version or where nothing is; `undefined` when it is not so any more. */
  async change(key: string, over: Version | undefined, change: Change): Promise<Version | undefined> {
    const { holder, entry, generation, manifest } = change;
    const lease = holder?.seconds ?? 0;
    // Never 0, which is for ever; an entry outlives the lease on it, or the fill would find nothing to replace.
    const ttl = Math.min(MAX_SECONDS, Math.max(1, lease, entry === undefined ? 0 : change.remaining));
    const bytes = encodeStored({
      generation,
      holder: holder && { token: holder.token, endsAt: ttl - lease },
      entry,
      manifest,
    });
    const condition = over === undefined ? { add: true } : { over };
    return this.#items.store(this.#layout.entry(key), bytes, { ttl, kind: kindOf(entry), ...condition });
  }

  /** An entry in place of what is there, and no lease. */
  async fill(
    key: string,
    over: Version,
    generation: string,
    staged: { readonly entry: Uint8Array; readonly manifest: boolean },
    ttl: number,
  ): Promise<boolean> {
    const change = { ...staged, generation, holder: undefined, remaining: seconds(ttl) };
    return (await this.change(key, over, change)) !== undefined;
  }

  remove(key: string, over?: Version): Promise<boolean> {
    return this.#items.remove(this.#layout.entry(key), over);
  }

  soften(key: string): Promise<boolean> {
    return this.#items.soften(this.#layout.entry(key));
  }

  /** The kind of what is there; `undefined` for nothing. */
  kind(key: string): Promise<number | undefined> {
    return this.#items.kind(this.#layout.entry(key));
  }

  stage(entry: Uint8Array, ttl: number): Promise<{ readonly entry: Uint8Array; readonly manifest: boolean }> {
    return this.#parts.stage(entry, seconds(ttl));
  }

  /** Finds and changes until nobody came in between, or `act` has an answer that needs no change. */
  async update<T>(key: string, act: (found: Found | undefined) => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const answer = await act(await this.find(key));
      if (answer !== undefined) return answer;
    }
    throw contended();
  }
}

/** No generation: of a lease that is only to be replaced. */
const NONE = "-----------";

/** Whether an entry is there that somebody who has not seen it could use. */
export function isUsable({ entry }: Stored): boolean {
  return entry !== undefined && isWhole(entry) && !isSoftStale(entry);
}

/** Whether it is the entry with this stamp. */
export function isStamped({ entry }: Stored, stamp: Uint8Array | undefined): boolean {
  return entry !== undefined && stamp !== undefined && hasStamp(entry, stamp);
}

/** Seconds left of the lease. */
export function leaseLeft({ holder, remaining }: Found): number {
  return holder === undefined ? 0 : remaining - holder.endsAt;
}

function foundIn(item: Item): Found {
  const { cas, epoch, remaining, stale } = item;
  const stored = decodeStored(item.value) ?? { generation: NONE, holder: undefined, entry: undefined, manifest: false };
  if (stale && stored.entry !== undefined) setSoftStale(stored.entry);
  const stands = stored.holder !== undefined && !stale && remaining > stored.holder.endsAt;
  return { ...stored, holder: stands ? stored.holder : undefined, cas, epoch, remaining };
}
