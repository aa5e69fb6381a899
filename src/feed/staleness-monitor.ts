import { isDeepStrictEqual } from "node:util";

import type { Clock, Timer } from "../clock.js";
import { toMilliseconds, type Duration } from "../duration.js";
import type { Held } from "../entries/held.js";
import type { TierName } from "../events.js";
import type { Explanation } from "../explain.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { Recorder } from "../stats.js";
import type { LocalEntries } from "../tiers/local-entries.js";

/** How staleness is measured in production; costs nothing where it is off. */
export interface StalenessOptions {
  /** Share of the changed keys a feed publishes that are looked at again, from 0 to 1. @default 0.01 */
  changes?: number | undefined;
  /** How long after the change; the feed's bound comes before them. @default ["10s", "1m", "5m"] */
  after?: readonly Duration[] | undefined;
  /** Share of the hits of entities in memory that are loaded again and compared, from 0 to 1. @default 0.001 */
  reads?: number | undefined;
  /** Most keys watched at once; more are not looked at. @default 1000 */
  most?: number | undefined;
}

export interface StalenessStats {
  /** By the time after the change, in milliseconds. nines = −log₁₀(violations / checked). */
  readonly changes: readonly {
    readonly after: number;
    readonly checked: number;
    readonly violations: number;
    readonly nines: number;
  }[];
  /** checked = same + legal + violations + unexplained. */
  readonly reads: {
    readonly checked: number;
    readonly same: number;
    /** It differed, and was invalidated within the bound. */
    readonly legal: number;
    /** It differed, its invalidation was published, and it was still served. */
    readonly violations: number;
    /**
     * It differed, and nothing told of a change: a wrong mapping of rows to entries, a query that does not give the same twice,
     * or a value that does not come back as it was stored.
     */
    readonly unexplained: number;
    /** Loads that failed: nothing was compared. */
    readonly failed: number;
  };
  /** The newest findings. */
  readonly found: readonly StalenessFound[];
}

export interface StalenessFound {
  readonly what: "violation" | "unexplained";
  readonly key: string;
  readonly tier: TierName;
  /** How long it had been outdated at least, in milliseconds; `undefined`: unknown. */
  readonly outdatedFor: number | undefined;
}

/** `StalenessOptions`, resolved; milliseconds. */
export interface StalenessSettings {
  readonly changes: number;
  readonly after: readonly number[];
  readonly reads: number;
  readonly most: number;
}

/** A read that may be compared with its source. */
export interface WatchedRead {
  readonly path: string;
  readonly held: Held;
  /** Loads it from the source, around the cache. */
  readonly load: () => Promise<unknown>;
}

const FIELDS = ["changes", "after", "reads", "most"];
/** Clocks of two machines differ: an entry is older than a change only if it is by more than that; milliseconds. */
const SKEW = 500;
/** What is taken for the bound where no feed says one; milliseconds. */
const DEFAULT_BOUND = 1_000;
/** Shadow loads under way at once: they must never be what loads the source. */
const MOST_LOADS = 2;
const MOST_FOUND = 20;
/** Changed keys remembered, to tell what explains a difference. */
const MOST_PUBLISHED = 10_000;

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveStaleness(given: StalenessOptions | true): StalenessSettings {
  const options = given === true ? {} : given;
  knownOptions(options, FIELDS, "staleness");
  const after: unknown = options.after ?? ["10s", "1m", "5m"];
  if (!Array.isArray(after)) throw optionError("staleness.after", "a list of durations", after);
  return {
    changes: share(options.changes ?? 0.01, "staleness.changes"),
    after: (after as readonly Duration[]).map((one) => toMilliseconds(one, "staleness.after")),
    reads: share(options.reads ?? 0.001, "staleness.reads"),
    most: wholeNumber(options.most ?? 1_000, "staleness.most", 1),
  };
}

/**
 * Measures how stale a cache really is, in production: from the side of changes (a sampled change must not be found outdated
 * in any tier some time later; Meta's Polaris does so) and from the side of reads (a sampled hit is loaded again and compared;
 * Uber's Cache Inspector does so).
 *
 * What it cannot see: a change that the source never told of shows only in sampled reads.
 */
export class StalenessMonitor {
  readonly #settings: StalenessSettings;
  readonly #bound: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #recorder: Recorder;
  readonly #local: LocalEntries;
  readonly #horizons: { after: number; checked: number; violations: number }[];
  readonly #reads = { checked: 0, same: 0, legal: 0, violations: 0, unexplained: 0, failed: 0 };
  readonly #found: StalenessFound[] = [];
  /** When a change of the key was last published; oldest first. */
  readonly #published = new Map<string, number>();
  readonly #timers = new Set<Timer>();
  #watched = 0;
  #loads = 0;
  #closed = false;

  constructor(parts: {
    settings: StalenessSettings;
    /** How old a fed entry may be, in milliseconds; `undefined` without a feed. */
    bound: number | undefined;
    clock: Clock;
    random: () => number;
    recorder: Recorder;
    local: LocalEntries;
  }) {
    this.#settings = parts.settings;
    this.#bound = parts.bound ?? DEFAULT_BOUND;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#recorder = parts.recorder;
    this.#local = parts.local;
    const after = [this.#bound, ...parts.settings.after].toSorted((a, b) => a - b);
    this.#horizons = [...new Set(after)].map((one) => ({ after: one, checked: 0, violations: 0 }));
  }

  /** The key's change is published: every tier has it. */
  published(path: string, explain: () => Promise<Explanation>): void {
    const now = this.#clock.now();
    this.#published.delete(path);
    this.#published.set(path, now);
    if (this.#published.size > MOST_PUBLISHED) {
      const oldest = this.#published.keys().next();
      if (oldest.done !== true) this.#published.delete(oldest.value);
    }
    if (this.#watched >= this.#settings.most || this.#random() >= this.#settings.changes) return;
    this.#watched += 1;
    this.#lookAgain(path, now, 0, explain);
  }

  /** Memory has answered. Called for every hit: it must cost next to nothing. */
  read(describe: () => WatchedRead): void {
    if (this.#loads >= MOST_LOADS || this.#random() >= this.#settings.reads) return;
    this.#loads += 1;
    this.#compare(describe())
      // What the source throws is counted there; nothing else may reach anybody.
      .catch(() => undefined)
      .finally(() => {
        this.#loads -= 1;
      });
  }

  stats(): StalenessStats {
    return {
      changes: this.#horizons.map((one) => ({ ...one, nines: -Math.log10(one.violations / one.checked) })),
      reads: { ...this.#reads },
      found: [...this.#found],
    };
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #lookAgain(path: string, publishedAt: number, index: number, explain: () => Promise<Explanation>): void {
    const horizon = this.#horizons[index];
    // One that changed again meanwhile is watched from then on.
    if (horizon === undefined || this.#published.get(path) !== publishedAt) {
      this.#watched -= 1;
      return;
    }
    this.#after(publishedAt + horizon.after - this.#clock.now(), () => {
      explain().then(
        (explanation) => {
          this.#judge(explanation, publishedAt, horizon);
          this.#lookAgain(path, publishedAt, index + 1, explain);
        },
        () => {
          this.#watched -= 1;
        },
      );
    });
  }

  #judge(explanation: Explanation, publishedAt: number, horizon: { checked: number; violations: number }): void {
    const since = this.#clock.now() - publishedAt;
    horizon.checked += 1;
    // Loaded before the change was published, and served fresh: it was to go, in every tier.
    const outdated = explanation.tiers.find((tier) => tier.state === "fresh" && (tier.age ?? 0) > since + SKEW);
    if (outdated === undefined) return;
    horizon.violations += 1;
    this.#tell({ what: "violation", key: explanation.key, tier: outdated.tier, outdatedFor: since });
  }

  async #compare({ path, held, load }: WatchedRead): Promise<void> {
    const readAt = this.#clock.now();
    if (await this.#isSame(held, load)) return;
    // Within the bound it may be outdated: by then its invalidation must have come.
    await new Promise<void>((resolve) => this.#after(this.#bound, resolve));
    if (this.#local.inspect(path).held !== held || this.#local.inspect(path).state !== "fresh") {
      this.#reads.checked += 1;
      this.#reads.legal += 1;
      return;
    }
    if (await this.#isSame(held, load)) return;
    this.#reads.checked += 1;
    const publishedAt = this.#published.get(path);
    const isPublished = publishedAt !== undefined && publishedAt >= held.createdAt;
    this.#reads[isPublished ? "violations" : "unexplained"] += 1;
    const outdatedFor = isPublished ? this.#clock.now() - Math.min(publishedAt, readAt) : undefined;
    this.#tell({ what: isPublished ? "violation" : "unexplained", key: path, tier: "memory", outdatedFor });
  }

  async #isSame(held: Held, load: () => Promise<unknown>): Promise<boolean> {
    let value: unknown;
    try {
      value = await load();
    } catch {
      this.#reads.failed += 1;
      return true;
    }
    if (!isDeepStrictEqual(value, held.value)) return false;
    this.#reads.checked += 1;
    this.#reads.same += 1;
    return true;
  }

  #tell(found: StalenessFound): void {
    this.#found.push(found);
    if (this.#found.length > MOST_FOUND) this.#found.shift();
    this.#recorder.emit({ type: "staleness", ...found });
  }

  #after(ms: number, run: () => void): void {
    if (this.#closed) return;
    const timer = this.#clock.after(Math.max(0, ms), () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }
}

function share(n: unknown, option: string): number {
  if (typeof n !== "number" || !(n >= 0 && n <= 1)) throw optionError(option, "a number from 0 to 1", n);
  return n;
}
