import { randomBytes } from "node:crypto";

import type { LoadOptions } from "./api.js";
import { systemClock, type Clock } from "./clock.js";
import { DeclaredEntities } from "./declared-entities.js";
import { createForms, type Forms } from "./entries/form.js";
import type { Held } from "./entries/held.js";
import { CacheError } from "./errors.js";
import type { MissReason, TierName } from "./events.js";
import type { ChangeFeed } from "./feed/change-feed.js";
import { FeedBound } from "./feed/feed-bound.js";
import { checkFeed, Feeding } from "./feed/feeding.js";
import { resolveStaleness, StalenessMonitor } from "./feed/staleness-monitor.js";
import { resolveHotKeys } from "./hot/hot-options.js";
import { HotReads } from "./hot/hot-reads.js";
import { LogFollower } from "./invalidation/follower.js";
import { Invalidations } from "./invalidation/invalidations.js";
import type { LogKnowledge } from "./invalidation/knowledge.js";
import { Marks } from "./invalidation/marks.js";
import { Outbox } from "./invalidation/outbox.js";
import { PendingOperations } from "./invalidation/pending.js";
import { Unsent } from "./invalidation/unsent.js";
import { encodeName, MAX_KEY_LENGTH } from "./keys.js";
import { Backoff } from "./load/backoff.js";
import { Batch } from "./load/batch.js";
import { EntryMaker } from "./load/entry-maker.js";
import { Flights } from "./load/flight.js";
import { LoadGate } from "./load/gate.js";
import { SharedLeases } from "./load/lease.js";
import { Loads, type LoadSpec } from "./load/loads.js";
import { tellAge } from "./load/outcomes.js";
import { SharedEntries, type ReadSpec } from "./load/shared-entries.js";
import { localLocks, sharedLocks, type Locks } from "./lock.js";
import type { CacheOptions } from "./options.js";
import { knownOptions, optionError, wholeNumber } from "./policy.js";
import { Recorder, type CacheStats, type SharedStats } from "./stats.js";
import { TierGuard } from "./tiers/guard.js";
import { doubt, LocalEntries, type Look } from "./tiers/local-entries.js";
import { createMemoryTier } from "./tiers/memory/create-memory-tier.js";
import { createKeyHash } from "./tiers/memory/hash-key.js";
import { resolveMemory } from "./tiers/memory/memory.js";
import type { MemoryTier } from "./tiers/memory/memory-tier.js";
import { RemovalMemory } from "./tiers/memory/removal-memory.js";
import { resolveShared, tiersOf, type SharedSettings, type SharedSide } from "./tiers/shared-side.js";
import type { ShardedTier, ShardedTierFactory, SharedTier, SharedTierFactory } from "./tiers/shared.js";
import { Sides } from "./tiers/sides.js";
import { operationOn, type Operation } from "./watchers.js";
import { Writes } from "./write/writes.js";

/** An invalidation is waited for this many times longer than a read. */
const WRITE_PATIENCE = 4;
/** How long `close` waits for the loads under way, and then for the tier; milliseconds. */
const CLOSE_PATIENCE = 5_000;

/**
 * One cache's tiers and everything between them, on canonical paths. Views, entities and namespaces are ways to
 * call it; loads, writes and invalidations are its parts.
 */
export class Engine {
  readonly name: string;
  readonly clock: Clock;
  readonly maxKeyLength: number;
  readonly recorder: Recorder;
  readonly forms: Forms;
  readonly local: LocalEntries;
  readonly sides: Sides;
  readonly hot: HotReads;
  readonly flights: Flights = new Flights();
  /** Entities, for those who meet one of their entries by its path only. */
  readonly declared: DeclaredEntities = new DeclaredEntities();
  readonly backoff: Backoff;
  readonly invalidations: Invalidations;
  readonly loads: Loads;
  readonly writes: Writes;
  readonly locks: Locks;
  /** Measures staleness, where that is asked for. */
  readonly monitor: StalenessMonitor | undefined;
  readonly #memory: MemoryTier<Held> | undefined;
  readonly #tier: { readonly kind: string; close(): Promise<void> } | undefined;
  readonly #pending = new PendingOperations();
  readonly #gate: LoadGate;
  readonly #bound: FeedBound | undefined;
  #feeding: Feeding | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: CacheOptions) {
    const tiers = tiersOf(options);
    const settings = resolveShared(options.shared ?? {});
    const random = options.random ?? Math.random;
    if (typeof random !== "function") throw optionError("random", "a function that returns a number", random);
    const loads = options.loads ?? {};
    knownOptions(loads, ["concurrency", "queue"], "loads");
    const name: unknown = options.name ?? "cache";
    if (typeof name !== "string" || name === "") throw optionError("name", "text that is not empty", name);
    this.name = encodeName(name);
    this.recorder = new Recorder(this.name);
    const { compression, encryption } = options;
    this.forms = createForms({ cacheName: this.name, isShared: tiers.shared !== undefined, compression, encryption });
    this.clock = options.clock ?? systemClock;
    if (!isClock(this.clock)) throw optionError("clock", "an object with now, wall and after", this.clock);
    this.maxKeyLength = wholeNumber(options.maxKeyLength ?? MAX_KEY_LENGTH, "maxKeyLength", 1);
    this.#gate = new LoadGate(
      wholeNumber(loads.concurrency ?? 64, "loads.concurrency", 1),
      wholeNumber(loads.queue ?? 10_000, "loads.queue", 0),
    );
    this.backoff = new Backoff(this.clock);
    if (options.feed !== undefined) {
      checkFeed(options.feed);
      this.#bound = new FeedBound(options.feed.maxStaleness);
    }

    const { clock, recorder, flights, backoff } = this;
    const alone: LogKnowledge = {
      marks: new Marks(0),
      isBounded: false,
      trusted: () => true,
      heard: () => true,
      vouched: () => true,
    };
    const pending = this.#pending;
    const hash = createKeyHash(random);
    const removals = new RemovalMemory(hash);
    this.hot = new HotReads({
      settings: resolveHotKeys(options.hotKeys),
      clock,
      recorder,
      random,
      memory: () => this.#memory,
      local: () => this.local,
      sides: () => this.sides,
    });
    const { hot } = this;
    const resolved = tiers.memory && resolveMemory(tiers.memory.options);
    this.#memory =
      resolved &&
      createMemoryTier<Held>({
        ...resolved,
        clock,
        random,
        hash,
        onSample: (key) => hot.sample(key),
        onRemove: (key, _held, cause, keyHash) => {
          if (cause === "evicted" || cause === "expired") removals.noteHash(keyHash, cause);
          else if (cause === "refused") removals.noteHash(keyHash, "evicted");
          if (recorder.hears("removed")) recorder.emit({ type: "removed", key, cause });
        },
      });
    this.local = new LocalEntries({
      memory: this.#memory,
      clock,
      recorder,
      removals,
      isolation: options.isolation ?? "freeze",
      random,
      exact: settings.maxStaleness !== Number.POSITIVE_INFINITY || options.feed !== undefined,
      revalidates: tiers.shared !== undefined,
      sizeOf: resolved?.sizeOf,
      isHot: (path) => hot.has(path),
    });
    const { local } = this;
    const { marks } = alone;
    this.invalidations = new Invalidations({ marks, pending, flights, local, recorder, sides: () => this.sides });
    const { invalidations } = this;
    const opened = tiers.shared && openTier(tiers.shared, this.name);
    this.#tier = opened;
    const origin = randomBytes(9).toString("base64url");
    const shards = opened?.shards ?? [];
    this.sides = new Sides(
      shards.map((tier, shard) => this.#side(tier, shard, origin, settings)),
      (path) => opened?.shardOf(path) ?? 0,
      alone,
      this.#fed(alone),
    );
    const { sides } = this;
    const maker = new EntryMaker({ clock, random, local });
    this.loads = new Loads({
      clock,
      maker,
      recorder,
      local,
      pending,
      flights,
      gate: this.#gate,
      backoff,
      sides,
      hot,
      invalidations,
    });
    if (options.staleness !== undefined && options.staleness !== false) {
      const staleness = resolveStaleness(options.staleness);
      const bound = options.feed?.maxStaleness;
      this.monitor = new StalenessMonitor({ settings: staleness, bound, clock, random, recorder, local });
    }
    this.writes = new Writes({ clock, recorder, local, pending, maker, invalidations, sides });
    const [first] = sides.all;
    this.locks = first === undefined ? localLocks(clock) : sharedLocks((path) => sides.of(path) ?? first, clock);
    for (const { follower } of sides.all) follower.start();
  }

  /** Begins to be fed. Apart from the constructor, because what entities are declared is known to the views of the cache. */
  follow(feed: ChangeFeed, view: Pick<ConstructorParameters<typeof Feeding>[0], "marksOf" | "watch" | "notes">): void {
    const { clock, recorder, invalidations, sides, name: cacheName } = this;
    const bound = this.#bound ?? new FeedBound(feed.maxStaleness);
    this.#feeding = new Feeding({ feed, bound, cacheName, clock, recorder, invalidations, sides, ...view });
  }

  /** Whether loads wait for a place at the gate. */
  get overloaded(): boolean {
    return this.#gate.queued > 0;
  }

  /** @throws CacheError `ERR_CACHE_CLOSED`. */
  checkOpen(): void {
    if (this.#closed !== undefined) throw new CacheError("ERR_CACHE_CLOSED", `The cache \`${this.name}\` is closed`);
  }

  /** The entry wherever it is, without loading; `undefined` is a miss. */
  async get(path: string, spec: ReadSpec, stale: boolean): Promise<{ readonly value: unknown } | undefined> {
    const side = this.sides.of(path);
    if (spec.policy.strict && side !== undefined && !(await side.follower.confirm())) {
      this.#miss(spec, path, "error");
      return undefined;
    }
    const look = this.local.look(path);
    const { held } = look;
    if (held !== undefined && (look.state === "fresh" || look.state === "early"))
      return this.#hit(path, held, "memory", false);
    const { watchers } = this.recorder;
    if (!watchers.watching) return this.#find(path, spec, look, stale, undefined);
    const operation = operationOn("get", path, spec);
    return watchers.run(operation, () => this.#find(path, spec, look, stale, operation));
  }

  /** The entry that memory has no fresh one of. */
  async #find(
    path: string,
    spec: ReadSpec,
    look: Look,
    stale: boolean,
    operation: Operation | undefined,
  ): Promise<{ readonly value: unknown } | undefined> {
    const side = this.sides.of(path);
    const { held } = look;
    const hit = (one: Held, tier: TierName, isStale: boolean): { readonly value: unknown } => {
      if (operation !== undefined) operation.answer = { hit: true, tier, stale: isStale, bytes: one.bytes };
      return this.#hit(path, one, tier, isStale);
    };
    this.hot.read(path);
    const lastResort = stale && look.state === "stale" ? held : undefined;
    if (side === undefined) {
      if (lastResort !== undefined) return hit(lastResort, "memory", true);
      this.#miss(spec, path, look.reason);
      return undefined;
    }
    const pending = this.#pending.begin(path);
    try {
      const found = await this.hot.find(side, path, spec);
      if (found.state === "fresh" || found.state === "stale") {
        if (found.held.position >= pending.fencedAt) {
          if (pending.touched) doubt(found.held);
          this.local.keep(path, found.held);
        }
        if (found.state === "fresh" || stale) return hit(found.held, "shared", found.state === "stale");
        this.#miss(spec, path, "expired");
        return undefined;
      }
      if (found.state === "down" && lastResort !== undefined) return hit(lastResort, "memory", true);
      const reason = found.state === "down" ? "error" : found.reason;
      this.#miss(spec, path, reason === "cold" ? look.reason : reason);
      return undefined;
    } finally {
      pending.end();
    }
  }

  /** Makes entries stale everywhere before they are loaded anew; a shared tier that is down does not hinder the load. */
  markStale(paths: readonly string[]): Promise<void> {
    return this.invalidations.invalidateSoon(
      paths.map((path) => ({ kind: "key", key: path })),
      true,
    );
  }

  /** Reads many, in order; the loader is called with those of which nothing is stored. */
  loadMany<I>(many: ManyReads<I>): Promise<unknown[]> {
    const { watchers } = this.recorder;
    if (!watchers.watching) return this.#loadMany(many);
    const { items, spec } = many;
    // One read of many, and one load of what is missing.
    const loader: typeof many.loader = (missing, context) =>
      watchers.run(manyOf("load", missing.length, spec), () => many.loader(missing, context));
    return watchers.run(manyOf("get", items.length, spec), () => this.#loadMany({ ...many, loader }));
  }

  async #loadMany<I>({ items, paths, loader, spec, options, tagsOf }: ManyReads<I>): Promise<unknown[]> {
    if (options.forceFresh === true) await this.markStale(paths);
    const batch = new Batch<I>(loader, this.#gate);
    // All are entered before the first is read: the batch waits for every one that may still come.
    const entered = items.map((item) => batch.item(item));
    const forced = new Map<string, Promise<unknown>>();
    const reads = entered.map((item, index) => {
      const path = paths[index] as string;
      const same = forced.get(path);
      if (same !== undefined) {
        item.decide();
        return same;
      }
      const own: LoadSpec = {
        ...spec,
        gated: false,
        batch: item,
        load: (context) => item.load(context),
        tagsOf: tagsOf?.(items[index] as I) ?? spec.tagsOf,
      };
      const read =
        options.forceFresh === true ? this.loads.fresh(path, own, options) : this.loads.get(path, own, options);
      if (options.forceFresh === true) forced.set(path, read);
      if (!item.begun) item.decide();
      return read;
    });
    return Promise.all(reads);
  }

  /** What memory holds, in no order; `undefined` without a memory tier. */
  memoryEntries(): Iterable<readonly [string, Held]> | undefined {
    return this.#memory?.entries();
  }

  stats(): CacheStats {
    const { recorder } = this;
    return {
      name: this.name,
      total: recorder.total(),
      entities: recorder.entities(),
      memory: this.#memory?.stats(),
      shared: this.#sharedStats(),
      gate: { active: this.#gate.active, queued: this.#gate.queued },
      invalidations: { own: recorder.own, other: recorder.other },
      marks: { own: { ...recorder.marks.own }, other: { ...recorder.marks.other } },
      hot: this.hot.stats(),
      feed: this.#feeding?.stats(),
      staleness: this.monitor?.stats(),
      took: recorder.took(),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #sharedStats(): SharedStats | undefined {
    if (this.#tier === undefined) return undefined;
    const { recorder, clock } = this;
    const now = clock.now();
    const shards = this.sides.all.map(({ guard, follower, unsent }) => ({
      up: guard.up,
      circuit: guard.circuit,
      position: follower.position ?? 0,
      unsent: unsent.size,
      heardAgo: now - follower.heardAt,
    }));
    return {
      kind: this.#tier.kind,
      up: shards.every((shard) => shard.up),
      failures: recorder.failures,
      corrupt: recorder.corrupt,
      position: Math.max(...shards.map((shard) => shard.position)),
      gaps: recorder.gaps,
      messagesRefused: recorder.messagesRefused,
      unsent: shards.reduce((total, shard) => total + shard.unsent, 0),
      heardAgo: Math.max(...shards.map((shard) => shard.heardAgo)),
      shards,
    };
  }

  #side(tier: SharedTier, shard: number, origin: string, settings: SharedSettings): SharedSide {
    const { clock, recorder, local, invalidations, hot } = this;
    const marks = new Marks(0);
    const guard = new TierGuard(clock, recorder, shard, settings);
    const unsent = new Unsent();
    const follower = new LogFollower({
      tier,
      guard,
      clock,
      recorder,
      marks,
      origin,
      heartbeat: settings.heartbeat,
      maxStaleness: settings.maxStaleness,
      onKey: (key, soft, position) => {
        hot.invalidated(key, position);
        invalidations.keyInvalidated(key, soft, position);
      },
      onLost: (position) => {
        hot.lost(side, position);
        invalidations.lost(side, position);
      },
      onHeard: () => invalidations.resend(side),
      onRewritten: (recent) => invalidations.sendAgain(side, recent),
      onChanged: (key) => (key === undefined ? invalidations.changedAll(side) : invalidations.changed(key)),
    });
    const knowledge: LogKnowledge = {
      marks,
      isBounded: settings.maxStaleness !== Number.POSITIVE_INFINITY,
      trusted: (now, since) => follower.trusted(now, since),
      heard: (now) => follower.trusted(now),
      vouched: () => true,
    };
    const fed = this.#fed(knowledge);
    const entries = new SharedEntries({ tier, guard, follower, unsent, local, clock, recorder, knowledge, fed });
    const leases = new SharedLeases({
      tier,
      guard,
      clock,
      recorder,
      follower,
      entries,
      origin,
      ttl: settings.leaseTtl,
    });
    const patience = settings.timeout * WRITE_PATIENCE;
    const parts = { ...knowledge, fed, shard, origin, patience, tier, guard, follower, entries, leases, unsent };
    const side: SharedSide = { ...parts, outbox: new Outbox(parts) };
    return side;
  }

  /** What is known of a log, for entries that the feed vouches for. */
  #fed(knowledge: LogKnowledge): LogKnowledge {
    return this.#bound?.over(knowledge) ?? knowledge;
  }

  #miss(spec: ReadSpec, path: string, reason: MissReason): void {
    if (spec.countMiss) this.recorder.miss(spec.counters, path, reason);
  }

  #hit(path: string, held: Held, tier: TierName, stale: boolean): { readonly value: unknown } {
    this.recorder.hit(held.counters, path, tier, stale);
    if (tier === "shared" && this.recorder.hearsAges) tellAge(this.recorder, path, held, this.clock);
    return { value: this.local.give(held.value, held.mutable) };
  }

  async #close(): Promise<void> {
    this.hot.close();
    this.monitor?.close();
    if (this.#feeding !== undefined) await this.#within(CLOSE_PATIENCE, this.#feeding.close());
    await this.#within(CLOSE_PATIENCE, this.flights.ended());
    this.flights.abortAll(new CacheError("ERR_CACHE_CLOSED", `The cache \`${this.name}\` is closed`));
    await this.#within(CLOSE_PATIENCE, this.#closeShared());
    this.#memory?.close();
  }

  async #closeShared(): Promise<void> {
    for (const { leases } of this.sides.all) leases.close();
    // Together: a subscription that still waits for its server ends only with the tier.
    await Promise.all([...this.sides.all.map(({ follower }) => follower.close()), this.#tier?.close()]);
  }

  /** Waits for the work, but no longer than that: a tier that hangs must not hold up the end of its process. */
  #within(ms: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(ms, resolve, true);
      work.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}

/** A read of many entries. */
interface ManyReads<I> {
  readonly items: readonly I[];
  /** Of the items, in their order. */
  readonly paths: readonly string[];
  readonly loader: ConstructorParameters<typeof Batch<I>>[0];
  readonly spec: LoadSpec;
  readonly options: LoadOptions;
  /** What an item's value tags its entry with. */
  readonly tagsOf?: ((item: I) => LoadSpec["tagsOf"]) | undefined;
}

/** An operation on many keys. */
function manyOf(kind: "get" | "load", count: number, spec: ReadSpec): Operation {
  return { kind, key: undefined, entity: spec.counters.entity, count, answer: undefined };
}

/** A shared tier as shards, though it be of one. */
function openTier(factory: SharedTierFactory | ShardedTierFactory, name: string): ShardedTier {
  if ("openShards" in factory) return factory.openShards(name);
  const tier = factory.open(name);
  return { kind: tier.kind, shards: [tier], shardOf: () => 0, close: () => tier.close() };
}

function isClock(clock: unknown): clock is Clock {
  if (typeof clock !== "object" || clock === null) return false;
  return ["now", "wall", "after"].every(
    (name) => typeof (clock as Readonly<Record<string, unknown>>)[name] === "function",
  );
}
