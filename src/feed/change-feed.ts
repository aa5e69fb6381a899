import type { InvalidationTarget } from "../api.js";
import type { Clock } from "../clock.js";
import type { KeyInput, ScopeInput } from "../keys.js";

/** An entity as `cache.entity` returns it, scoped or not. */
export interface FedEntity {
  readonly name: string;
}

/** What a change in a source makes outdated. */
export type ChangeTarget =
  | InvalidationTarget
  /** Some of an entity's things, and what belongs to them. `scope` for a scoped entity. */
  | { readonly of: FedEntity; readonly scope?: ScopeInput | undefined; readonly ids: readonly KeyInput[] }
  /** Tags as the entity's own definition writes them: in a scoped entity they are the scope's own. */
  | { readonly of: FedEntity; readonly scope?: ScopeInput | undefined; readonly tags: readonly KeyInput[] }
  /** All of an entity; of one scope, if that is named. */
  | { readonly of: FedEntity; readonly scope?: ScopeInput | undefined; readonly all: true };

/** Something that happened to a feed, for `cache.on("feed", …)`. */
export interface FeedNews {
  /** In the past tense: "connected", "disconnected", "slot-lost", "refused" … */
  readonly what: string;
  readonly detail?: unknown;
  readonly error?: unknown;
}

/** What a feed says of itself in `cache.stats().feed`, beside how long ago it was complete. */
export type FeedStats = Readonly<Record<string, number | string | boolean | undefined>>;

/**
 * Tells a cache what changed in a source, whoever changed it: `createCache({ feed })`.
 *
 * For implementers. A feed is told of changes in the order of their commits, and does three things with them:
 * 1. It *publishes* what they make outdated, once a reader of the source would see them. Published earlier, a load that
 *    begins between the two would store the old value after its only invalidation.
 * 2. It *acknowledges* them to the source only when `publish` has resolved: every tier has the invalidation. A feed that dies
 *    in between is told again by the source; publishing twice is harmless.
 * 3. It *bounds*: now and then it takes the time, asks the source how far its commits go, and calls `complete` with that time
 *    once everything up to there is published and applied in this process. Fed entries are believed for `maxStaleness`
 *    from then on, and not longer: a feed that breaks makes reads slower, never older.
 *
 * Where continuity is lost (changes may have passed unseen), it calls `forget` before it calls `complete` again.
 */
export interface ChangeFeed {
  /** Names it in statistics and events: "postgres". */
  readonly kind: string;
  /** B: how old a fed entry may be at the most, in milliseconds, whatever breaks. */
  readonly maxStaleness: number;
  /**
   * Begins to feed a cache, in the background, and for ever: a source that is away is tried again. Called once, by
   * `createCache`.
   *
   * @throws CacheError `ERR_CACHE_OPTION` when the feed feeds a cache already.
   */
  open(sink: ChangeSink): OpenFeed;
}

export interface OpenFeed {
  stats(): FeedStats;
  /** Stops; resolves when nothing of it runs any more. */
  close(): Promise<void>;
}

/** A cache, as a feed sees it. */
export interface ChangeSink {
  /** The cache's name: processes that share it share their tiers. */
  readonly cacheName: string;
  readonly clock: Clock;
  /**
   * Invalidates in every tier and process. Resolves when every shared tier has acknowledged it; what is loaded after that is
   * kept.
   *
   * @throws CacheError `ERR_CACHE_TIER` when one has not: publish it again until it resolves. `ERR_CACHE_KEY` for what is no
   * target, and then nothing was published.
   */
  publish(targets: readonly ChangeTarget[]): Promise<void>;
  /** Everything the source had committed before `at` (this process's `clock.now()`) is published, and applied in this process. */
  complete(at: number): void;
  /** Changes may have passed unseen: nothing that was stored before is believed, in any tier. Rejects as `publish` does. */
  forget(): Promise<void>;
  /** Applies here whatever any process of this cache has published before the call. False when a shared tier does not answer. */
  catchUp(): Promise<boolean>;
  /**
   * A short text that the processes of this cache share, by name: how far the one that reads the source has come.
   * `undefined`: nobody has written it, or it is lost, or the shared tier does not answer.
   */
  readNote(name: string): Promise<string | undefined>;
  /** Rejects when the shared tier has not acknowledged it. */
  writeNote(name: string, text: string): Promise<void>;
  /** Tells listeners of the cache. */
  tell(news: FeedNews): void;
}
