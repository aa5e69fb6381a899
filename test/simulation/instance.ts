import { createCache, memory, type Cache, type ChangeFeed } from "../../src/index.js";
import type { Clock, Timer } from "../../src/clock.js";
import { chaos, type Disturbances, type FakeClock, type Schedule, type SharedMemory } from "../../src/testing/index.js";
import { Random } from "./random.js";
import type { Weather } from "./weather.js";

interface Loading {
  readonly rows: readonly number[];
  readonly signal: () => AbortSignal;
}

/** One life of a process: its cache, its clock, its connections. It dies once, and another may take its place. */
export class Instance {
  readonly process: number;
  readonly cache: Cache;
  readonly clock: ProcessClock;
  /** What is wrong with its client. */
  readonly client: Disturbances;
  isAlive = true;
  /** Calls that have not ended. */
  outstanding = 0;
  /** The loads under way: their rows, and their signals. */
  readonly loading: Set<Loading> = new Set();
  /** Invalidations of others that it heard of: failovers there were, and position. */
  readonly heard: Set<string> = new Set();

  constructor(
    process: number,
    parts: {
      readonly clock: FakeClock;
      readonly server: SharedMemory;
      readonly random: Random;
      readonly weather: Weather;
      readonly schedule: (owner: Instance) => Schedule;
      readonly epoch: () => number;
      readonly feed: (owner: Instance) => ChangeFeed | undefined;
    },
  ) {
    const { server, random, weather } = parts;
    this.process = process;
    const skew = weather.skew === 0 ? 0 : random.below(2 * weather.skew) - weather.skew;
    this.clock = new ProcessClock(parts.clock, skew);
    // Of its own: how often the cache asks for chance has no say in what happens to it.
    const chance = new Random(random.below(2 ** 31));
    const schedule = parts.schedule(this);
    const connections =
      weather.shards === 1 ? chaos(server.factory(schedule)) : chaos(server.shardedFactory(weather.shards, schedule));
    this.client = connections;
    this.cache = createCache({
      name: "simulation",
      tiers: [memory(), connections.factory],
      clock: this.clock,
      random: () => chance.next(),
      ttl: "5s",
      staleWhileRevalidate: weather.stale,
      staleIfError: weather.stale,
      hardTimeout: "10m",
      loads: { concurrency: weather.concurrency, queue: weather.queue },
      feed: parts.feed(this),
      shared: {
        heartbeat: weather.heartbeat,
        breakerFailures: weather.breakerFailures,
        breakerCooldown: "1s",
        leaseTtl: weather.leaseTtl,
        maxStaleness: weather.maxStaleness === 0 ? undefined : weather.maxStaleness,
      },
    });
    // Only a failover asks who knew what; listening slows the cache down.
    if (!weather.failover) return;
    this.cache.on("invalidated", ({ position, origin }) => {
      if (origin === "other") this.heard.add(`${parts.epoch()}:${position}`);
    });
  }

  /** Invalidations that the server has yet to acknowledge. */
  get unsent(): number {
    return this.cache.stats().shared?.unsent ?? 0;
  }

  /** When it last knew that it had heard everything. */
  get heardAt(): number {
    return this.clock.now() - (this.cache.stats().shared?.heardAgo ?? 0);
  }

  /** When its feed was last known to have told everything. */
  get fedAt(): number {
    return this.clock.now() - (this.cache.stats().feed?.completeAgo ?? 0);
  }

  /** Loads that somebody still waits for. */
  get loads(): number {
    let loads = 0;
    for (const { signal } of this.loading) if (!signal().aborted) loads += 1;
    return loads;
  }

  /** It is gone, with everything it was about to do; nobody is told. */
  die(): void {
    this.isAlive = false;
    this.clock.stop();
  }
}

/** The clock of a process: its wall clock is wrong by `skew`, and its timers end with it. */
class ProcessClock implements Clock {
  readonly #clock: FakeClock;
  readonly #skew: number;
  readonly #timers = new Set<Timer>();
  #stopped = false;

  constructor(clock: FakeClock, skew: number) {
    this.#clock = clock;
    this.#skew = skew;
  }

  now(): number {
    return this.#clock.now();
  }

  recent(): number {
    return this.#clock.now();
  }

  wall(): number {
    return this.#clock.wall() + this.#skew;
  }

  after(ms: number, fn: () => void): Timer {
    if (this.#stopped) return { cancel: () => undefined };
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(own);
      fn();
    });
    const own: Timer = {
      cancel: () => {
        this.#timers.delete(own);
        timer.cancel();
      },
    };
    this.#timers.add(own);
    return own;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of [...this.#timers]) timer.cancel();
  }
}
