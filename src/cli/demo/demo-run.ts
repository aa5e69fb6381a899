import { createCache, memory, type Cache, type Entity } from "../../index.js";
import { SharedMemory } from "../../testing/shared-memory.js";
import { TimeHistogram, type TimeCounts } from "../../time-histogram.js";
import { DemoSource, type DemoRow } from "./demo-source.js";

export interface DemoOptions {
  /** Milliseconds. */
  readonly duration: number;
  readonly processes: number;
}

/** What came of it so far. */
export interface DemoFigures {
  readonly elapsed: number;
  readonly processes: number;
  readonly phase: "running" | "source away" | "over";
  readonly reads: number;
  readonly hitRatio: number;
  readonly fromMemory: number;
  readonly fromShared: number;
  readonly stale: number;
  /** Queries that the source answered or refused. */
  readonly queries: number;
  /** Reads that waited for another's load. */
  readonly coalesced: number;
  readonly writes: number;
  /** Answers older than an invalidation that was acknowledged 50 ms before the read began. */
  readonly outdated: number;
  /** Reads that failed. */
  readonly errors: number;
  readonly took: TimeCounts;
}

const ROWS = 1_000;
/** Milliseconds a query takes, on average. */
export const QUERY_TIME = 20;
const READERS = 8;
/** Reads between two turns of the event loop. */
const BURST = 20;
const WRITE_EVERY = 25;
/** How long an acknowledged invalidation may take to reach another process; milliseconds. */
const TOLD_AFTER = 50;
/** The part of the time in which the source is away. */
const [AWAY_FROM, AWAY_TO] = [0.6, 0.8];

/**
 * Services that share a cache, in this one process: each has its memory, all have one shared tier and one source. They read
 * rows, a few of them most of the time; rows change and are invalidated; for a while the source is away.
 */
export class DemoRun {
  readonly #options: DemoOptions;
  readonly #source = new DemoSource(ROWS, QUERY_TIME);
  readonly #caches: readonly Cache[];
  readonly #rows: readonly Entity<number, DemoRow>[];
  /** By row: the version that every process has been told is outdated below. */
  readonly #told = new Uint32Array(ROWS);
  readonly #took = new TimeHistogram();
  readonly #stop = new AbortController();
  #begun = 0;
  #writes = 0;
  #outdated = 0;
  #errors = 0;
  #ended: number | undefined;

  constructor(options: DemoOptions) {
    this.#options = options;
    const shared = new SharedMemory();
    this.#caches = Array.from({ length: options.processes }, () =>
      createCache({ name: "demo", tiers: [memory({ maxEntries: 600 }), shared.factory()] }),
    );
    this.#rows = this.#caches.map((cache) =>
      cache.entity<number, DemoRow>({
        name: "row",
        ttl: "2s",
        staleWhileRevalidate: "1s",
        staleIfError: "1m",
        load: (id) => this.#source.read(id),
      }),
    );
  }

  /** Until its time is over, or `stop` is called. */
  async run(): Promise<void> {
    this.#begun = performance.now();
    const timers = [
      setTimeout(() => (this.#source.isDown = true), this.#options.duration * AWAY_FROM),
      setTimeout(() => (this.#source.isDown = false), this.#options.duration * AWAY_TO),
      setTimeout(() => this.stop(), this.#options.duration),
    ];
    try {
      await Promise.all([
        ...this.#rows.flatMap((rows) => Array.from({ length: READERS }, () => this.#read(rows))),
        this.#write(),
      ]);
    } finally {
      for (const timer of timers) clearTimeout(timer);
      this.#ended = performance.now();
      for (const cache of this.#caches) await cache.close();
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  figures(): DemoFigures {
    const all = this.#caches.map((cache) => cache.stats().total);
    const sum = (of: (stats: (typeof all)[number]) => number): number => all.reduce((total, one) => total + of(one), 0);
    const reads = sum(({ gets }) => gets);
    const away = this.#source.isDown ? "source away" : "running";
    return {
      elapsed: (this.#ended ?? performance.now()) - this.#begun,
      processes: this.#options.processes,
      phase: this.#ended === undefined ? away : "over",
      reads,
      hitRatio: reads === 0 ? 0 : (reads - sum(({ misses }) => misses)) / reads,
      fromMemory: sum(({ hits, staleFrom }) => hits.memory + staleFrom.memory),
      fromShared: sum(({ hits, staleFrom }) => hits.shared + staleFrom.shared),
      stale: sum(({ staleHits }) => staleHits),
      queries: this.#source.queries,
      coalesced: sum(({ loadsShared, coalesced }) => loadsShared + coalesced.cluster),
      writes: this.#writes,
      outdated: this.#outdated,
      errors: this.#errors,
      took: this.#took.counts(),
    };
  }

  async #read(rows: Entity<number, DemoRow>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (let i = 0; i < BURST; i += 1) await this.#readOne(rows);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #readOne(rows: Entity<number, DemoRow>): Promise<void> {
    // The lower the row, the likelier: one in a hundred takes about a third of the reads.
    const id = Math.floor(ROWS * Math.random() ** 4);
    const least = this.#told[id] ?? 0;
    const begun = performance.now();
    try {
      const row = await rows.get(id);
      this.#took.add(performance.now() - begun);
      // Also while the source is away: what was invalidated is gone, and not served stale.
      if (row.version < least) this.#outdated += 1;
    } catch {
      this.#errors += 1;
    }
  }

  async #write(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, WRITE_EVERY));
      if (this.#source.isDown) continue;
      const id = Math.floor(ROWS * Math.random() ** 4);
      try {
        await this.#source.write(id);
      } catch {
        // It went away meanwhile: nothing was written.
        continue;
      }
      const version = this.#source.versionOf(id);
      const writer = this.#rows[id % this.#rows.length] as Entity<number, DemoRow>;
      await writer.invalidate(id);
      this.#writes += 1;
      // The other processes hear of it by a message: none is blamed before it can have come.
      setTimeout(() => (this.#told[id] = version), TOLD_AFTER).unref();
    }
  }
}
