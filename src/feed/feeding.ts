import type { Clock } from "../clock.js";
import type { Invalidations } from "../invalidation/invalidations.js";
import type { Mark } from "../invalidation/record.js";
import { optionError } from "../policy.js";
import type { Recorder } from "../stats.js";
import { MAX_TARGET_KEYS } from "../targets.js";
import type { Sides } from "../tiers/sides.js";
import type { ChangeFeed, ChangeSink, ChangeTarget, FeedNews, FeedStats, OpenFeed } from "./change-feed.js";
import type { FeedBound } from "./feed-bound.js";

/** Short texts that the processes of a cache share. */
export interface Notes {
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

export interface FeedState extends FeedStats {
  readonly kind: string;
  readonly maxStaleness: number;
  /** Milliseconds since the feed was last known to have told everything; Infinity before the first time, and after it lost something. */
  readonly completeAgo: number;
}

/** A cache's side of its feed. */
export class Feeding implements ChangeSink {
  readonly cacheName: string;
  readonly clock: Clock;
  readonly #feed: ChangeFeed;
  readonly #bound: FeedBound;
  readonly #recorder: Recorder;
  readonly #invalidations: Invalidations;
  readonly #sides: Sides;
  readonly #marksOf: (target: ChangeTarget) => readonly Mark[];
  readonly #watch: (target: ChangeTarget) => void;
  readonly #notes: Notes;
  readonly #open: OpenFeed;

  constructor(parts: {
    feed: ChangeFeed;
    bound: FeedBound;
    cacheName: string;
    clock: Clock;
    recorder: Recorder;
    invalidations: Invalidations;
    sides: Sides;
    marksOf: (target: ChangeTarget) => readonly Mark[];
    /** Told of what every tier has. */
    watch: (target: ChangeTarget) => void;
    notes: Notes;
  }) {
    this.cacheName = parts.cacheName;
    this.clock = parts.clock;
    this.#feed = parts.feed;
    this.#bound = parts.bound;
    this.#recorder = parts.recorder;
    this.#invalidations = parts.invalidations;
    this.#sides = parts.sides;
    this.#marksOf = parts.marksOf;
    this.#watch = parts.watch;
    this.#notes = parts.notes;
    this.#open = parts.feed.open(this);
  }

  async publish(targets: readonly ChangeTarget[]): Promise<void> {
    // All are looked at before the first is sent: what is wrong publishes nothing.
    const marks = new Map<string, Mark>();
    for (const target of targets) for (const mark of this.#marksOf(target)) marks.set(JSON.stringify(mark), mark);
    const all = [...marks.values()];
    for (let start = 0; start < all.length; start += MAX_TARGET_KEYS)
      await this.#invalidations.invalidate(all.slice(start, start + MAX_TARGET_KEYS), false);
    for (const target of targets) this.#watch(target);
  }

  complete(at: number): void {
    this.#bound.complete(Math.min(at, this.clock.now()));
  }

  async forget(): Promise<void> {
    this.#bound.forget();
    await this.#invalidations.invalidate([{ kind: "all" }], false);
  }

  async catchUp(): Promise<boolean> {
    const confirmed = await Promise.all(this.#sides.all.map(({ follower }) => follower.confirm()));
    return confirmed.every(Boolean);
  }

  readNote(name: string): Promise<string | undefined> {
    return this.#notes.read(name);
  }

  writeNote(name: string, text: string): Promise<void> {
    return this.#notes.write(name, text);
  }

  tell(news: FeedNews): void {
    this.#recorder.emit({ type: "feed", kind: this.#feed.kind, ...news });
  }

  stats(): FeedState {
    const { kind, maxStaleness } = this.#feed;
    const completeAgo = this.clock.now() - this.#bound.completeAt;
    return { ...this.#open.stats(), kind, maxStaleness, completeAgo };
  }

  close(): Promise<void> {
    return this.#open.close();
  }
}

/** @throws CacheError `ERR_CACHE_OPTION` for what is no feed. */
export function checkFeed(feed: unknown): void {
  const isFeed =
    typeof feed === "object" && feed !== null && "open" in feed && typeof feed.open === "function" && "kind" in feed;
  if (!isFeed) throw optionError("feed", "a change feed, such as postgresFeed(…)", feed);
  const bound: unknown = Reflect.get(feed, "maxStaleness");
  if (typeof bound !== "number" || !(bound > 0)) throw optionError("feed.maxStaleness", "more than 0 ms", bound);
}
