import type { Cache } from "../api.js";
import { systemClock, type Clock, type Timer } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { WarmStore } from "./store.js";

export interface HotKeySavingOptions {
  store: WarmStore;
  /** Names them in the store: one name for each kind of process. @default the cache's name */
  name?: string | undefined;
  /** Most keys. @default 1000 */
  most?: number | undefined;
  /** How often they are saved. @default "1m" */
  every?: Duration | undefined;
  /** @default the machine's */
  clock?: Clock | undefined;
}

/** Keys that are kept in mind for each that is saved. */
const CANDIDATES = 8;
const PREFIX = "hot-keys:";

/** What saves the keys a process reads most. */
export interface HotKeySaving {
  /** Saves now. @throws the store's error */
  save(): Promise<void>;
  /** Saves once more and stops; before the cache is closed. */
  close(): Promise<void>;
}

/**
 * Keeps the keys that a process reads most in a store, for the next one to warm (`savedHotKeys`). It counts the sample of hits that
 * memory draws, and every answer of the shared tier, so that a hit costs nothing more.
 *
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function saveHotKeys(cache: Cache, options: HotKeySavingOptions): HotKeySaving {
  knownOptions(options, ["store", "name", "most", "every", "clock"], "saveHotKeys");
  const { store, name = cache.name, clock = systemClock } = options;
  if (typeof store?.write !== "function") throw optionError("store", "a store, such as fileStore(…)", store);
  const most = wholeNumber(options.most ?? 1_000, "most", 1);
  return new Saving(cache, { store, name, most, every: toMilliseconds(options.every ?? "1m", "every"), clock });
}

interface Settings {
  readonly store: WarmStore;
  readonly name: string;
  readonly most: number;
  /** Milliseconds. */
  readonly every: number;
  readonly clock: Clock;
}

class Saving implements HotKeySaving {
  readonly #settings: Settings;
  readonly #tally: KeyTally;
  readonly #off: () => void;
  readonly #cache: Cache;
  #timer: Timer | undefined;
  #closed: Promise<void> | undefined;

  constructor(cache: Cache, settings: Settings) {
    this.#cache = cache;
    this.#settings = settings;
    this.#tally = new KeyTally(settings.most * CANDIDATES);
    this.#off = cache.on("served", ({ key }) => this.#tally.add(key));
    this.#arm();
  }

  async save(): Promise<void> {
    const { store, name, most } = this.#settings;
    // Those known to be hot come first: the cache measures them by themselves.
    const hot = this.#cache.stats().hot.map(({ key }) => key);
    const keys = [...new Set([...hot, ...this.#tally.top(most)])].slice(0, most);
    // A process that has read nothing yet has nothing to say against the last one's.
    if (keys.length > 0) await store.write(PREFIX + name, JSON.stringify(keys));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #close(): Promise<void> {
    this.#timer?.cancel();
    this.#off();
    return this.save();
  }

  #arm(): void {
    const { clock, every } = this.#settings;
    this.#timer = clock.after(every, () => {
      this.#arm();
      // What is hot now counts more than what was an hour ago.
      this.save()
        .catch(() => undefined) // The next time it is tried again; only `close` tells.
        .finally(() => this.#tally.fade());
    });
  }
}

/** The keys that `saveHotKeys` left under the name, hottest first; none when there are none. */
export async function savedHotKeys(store: WarmStore, name: string): Promise<readonly string[]> {
  const text = await store.read(PREFIX + name);
  if (text === undefined) return [];
  try {
    const keys: unknown = JSON.parse(text);
    return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === "string") : [];
  } catch {
    // Half of it: it is warmed without.
    return [];
  }
}

/**
 * Counts of the keys met most, in bounded room: a new key takes the place of the one met least, with its count (Metwally et
 * al., "space-saving", ICDT 2005).
 */
export class KeyTally {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  add(key: string): void {
    const count = this.#counts.get(key);
    if (count !== undefined || this.#counts.size < this.#most) {
      this.#counts.set(key, (count ?? 0) + 1);
      return;
    }
    let least: string | undefined;
    let floor = Number.POSITIVE_INFINITY;
    for (const [one, times] of this.#counts) {
      if (times >= floor) continue;
      least = one;
      floor = times;
      if (floor <= 1) break;
    }
    if (least !== undefined) this.#counts.delete(least);
    this.#counts.set(key, floor + 1);
  }

  /** Halves every count. */
  fade(): void {
    for (const [key, count] of this.#counts) {
      if (count < 2) this.#counts.delete(key);
      else this.#counts.set(key, Math.floor(count / 2));
    }
  }

  /** Met most first. */
  top(most: number): string[] {
    return [...this.#counts]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([key]) => key);
  }
}
