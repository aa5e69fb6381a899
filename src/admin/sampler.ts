import { hostname } from "node:os";
import type { Cache } from "../api.js";
import type { Clock, Timer } from "../clock.js";
import type { CacheEvent } from "../events.js";
import type { CacheInspector } from "../inspect/inspector.js";
import type { MemoryCensus } from "../inspect/memory-census.js";
import { noteOf, RARE } from "./notes.js";
import {
  REPORT_VERSION,
  type MinuteSample,
  type Miss,
  type Note,
  type ProcessFacts,
  type ProcessReport,
} from "./report.js";
import { RingBuffer } from "./ring-buffer.js";
import { Tally } from "./tally.js";

const MINUTE = 60_000;
/** Three hours. */
const MINUTES_KEPT = 180;
const NOTES_KEPT = 200;
const MISSES_KEPT = 100;
/** Entities in a report, by reads: a report goes over a shared tier. */
const MOST_ENTITIES = 100;
/** One hit in so many is counted by key. */
const EVERY_HIT = 8;
const RANKED = 20;
/** How long a census of memory is good for; milliseconds. */
const CENSUS_FOR = 10_000;
/** A million entries are looked through in about a second, half a thousand at a time. */
const CENSUS_MOST = 1_000_000;

interface Watching {
  readonly since: number;
  readonly reads: Tally;
  readonly missed: Tally;
  readonly stop: () => void;
  hits: number;
}

/**
 * What one cache is told about to those who look: always its counters by the minute and what is rare, and by key only while
 * somebody looks, because that makes every hit an event.
 */
export class CacheSampler {
  readonly cache: Cache;
  readonly inspector: CacheInspector;
  readonly #clock: Clock;
  readonly #process: ProcessFacts;
  readonly #minutes = new RingBuffer<MinuteSample>(MINUTES_KEPT);
  readonly #notes = new RingBuffer<Note>(NOTES_KEPT);
  readonly #misses = new RingBuffer<Miss>(MISSES_KEPT);
  readonly #stops: (() => void)[] = [];
  #numbered = 0;
  #timer: Timer | undefined;
  #watching: Watching | undefined;
  #census: { readonly at: number; readonly of: MemoryCensus } | undefined;
  #counting = false;
  #memoryTook: number | undefined;
  #closed = false;

  constructor(cache: Cache, process: ProcessFacts, clock: Clock) {
    this.cache = cache;
    this.inspector = cache.inspect();
    this.#clock = clock;
    this.#process = process;
    for (const type of RARE) this.#stops.push(cache.on(type, (event) => this.#note(event)));
    this.#minute();
  }

  /** Begins to count by key, if that has not begun; ends with `rest`. */
  watch(): void {
    if (this.#watching !== undefined || this.#closed) return;
    const watching: Watching = {
      since: this.#clock.wall(),
      reads: new Tally(),
      missed: new Tally(),
      stop: this.#listen(),
      hits: 0,
    };
    this.#watching = watching;
  }

  /** Nobody looks any more. */
  rest(): void {
    this.#watching?.stop();
    this.#watching = undefined;
    this.#census = undefined;
  }

  report(): ProcessReport {
    const stats = this.cache.stats();
    return {
      version: REPORT_VERSION,
      cache: this.inspector.cacheName,
      process: this.#process,
      at: this.#clock.wall(),
      stats: { ...stats, entities: mostRead(stats.entities) },
      minutes: this.#minutes.items(),
      notes: this.#notes.items(),
      sampled: this.#sampled(),
    };
  }

  close(): void {
    this.#closed = true;
    this.rest();
    this.#timer?.cancel();
    for (const stop of this.#stops) stop();
  }

  #sampled(): ProcessReport["sampled"] {
    const watching = this.#watching;
    if (watching === undefined) return undefined;
    this.#count();
    const census = this.#census?.of;
    return {
      since: watching.since,
      everyHit: EVERY_HIT,
      mostRead: watching.reads.top(RANKED),
      mostMissed: watching.missed.top(RANKED),
      largest: (census?.largest ?? []).map(({ key, entity, bytes }) => ({ key, entity, count: bytes })),
      misses: this.#misses.items(),
      memory: census && { entities: census.entities, examined: census.examined, complete: census.complete },
      memoryTook: this.#memoryTook,
    };
  }

  #listen(): () => void {
    const stops = [
      this.cache.on("hit", ({ key, entity }) => {
        const watching = this.#watching;
        if (watching === undefined) return;
        watching.hits += 1;
        if (watching.hits % EVERY_HIT === 0) watching.reads.add(key, entity, EVERY_HIT);
      }),
      this.cache.on("miss", ({ key, entity, reason }) => {
        this.#watching?.missed.add(key, entity, 1);
        this.#watching?.reads.add(key, entity, 1);
        this.#misses.push({ number: this.#next(), at: this.#clock.wall(), key, entity, reason });
      }),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  #note(event: CacheEvent): void {
    const note = noteOf(event);
    if (note !== undefined) this.#notes.push({ ...note, number: this.#next(), at: this.#clock.wall() });
  }

  #next(): number {
    this.#numbered += 1;
    return this.#numbered;
  }

  /** Takes a census, unless there is a new one or one is being taken. */
  #count(): void {
    const now = this.#clock.now();
    if (this.#counting || (this.#census !== undefined && now - this.#census.at < CENSUS_FOR)) return;
    this.#counting = true;
    this.inspector
      .memory({ marks: [{ kind: "all" }], sample: RANKED, most: CENSUS_MOST })
      .then((of) => {
        if (of !== undefined) this.#census = { at: this.#clock.now(), of };
        return of?.largest[0]?.key;
      })
      .then(async (key) => {
        if (key === undefined) return;
        const { steps } = await this.inspector.entry(key);
        this.#memoryTook = steps.find((step) => step.what === "memory")?.took;
      })
      // A cache that was closed meanwhile has nothing to count.
      .catch(() => undefined)
      .finally(() => {
        this.#counting = false;
      });
  }

  #minute(): void {
    if (this.#closed) return;
    const { gets, hits, staleHits, misses, loads, loadMilliseconds } = this.cache.stats().total;
    const at = this.#clock.wall();
    this.#minutes.push([at, gets, hits.memory, hits.shared, staleHits, misses, loads, Math.round(loadMilliseconds)]);
    this.#timer = this.#clock.after(MINUTE, () => this.#minute());
  }
}

/** This process, as its reports name it. */
export function processFacts(
  id: string,
  name: string | undefined,
  environment: string,
  clock: Pick<Clock, "wall">,
): ProcessFacts {
  const host = hostname();
  const { pid } = process;
  return { id, name: name ?? `${host}:${pid}`, pid, host, startedAt: clock.wall(), environment };
}

function mostRead(entities: ProcessReport["stats"]["entities"]): ProcessReport["stats"]["entities"] {
  const all = Object.entries(entities);
  if (all.length <= MOST_ENTITIES) return entities;
  return Object.fromEntries(all.sort(([, a], [, b]) => b.gets - a.gets).slice(0, MOST_ENTITIES));
}
