import type { LoadOptions } from "../api.js";
import type { Clock } from "../clock.js";
import type { EntryFields } from "../entries/entry.js";
import type { TagInput } from "../dependency-tag.js";
import type { Held } from "../entries/held.js";
import { CacheError } from "../errors.js";
import type { MissReason } from "../events.js";
import type { HotReads } from "../hot/hot-reads.js";
import type { PendingOperations } from "../invalidation/pending.js";
import type { Recorder } from "../stats.js";
import { doubt, type LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";
import { operationOn, type Operation } from "../watchers.js";
import type { Backoff } from "./backoff.js";
import type { BatchItem } from "./batch.js";
import { boundedLoad } from "./bounded-load.js";
import { FailSignal, LoadContext } from "./context.js";
import { Flight, type Flights, type Outcome } from "./flight.js";
import type { EntryMaker, MadeEntry, SharedForm } from "./entry-maker.js";
import type { LoadGate } from "./gate.js";
import type { Lease } from "./lease.js";
import { answerOf, describe, sameStamp, staleOutcome, tellAge } from "./outcomes.js";
import { answerFor } from "./patience.js";
import { rowAge } from "./row-ages.js";
import type { ReadSpec } from "./shared-entries.js";

/** All that one load needs to know besides its key. */
export interface LoadSpec extends ReadSpec {
  readonly load: (context: LoadContext) => unknown;
  /** Whether the load takes a place at the gate; false when its caller has taken one for a whole batch. */
  readonly gated: boolean;
  /** Canonical tags every entry of this spec carries. */
  readonly tags: readonly string[];
  readonly tagsOf: ((value: unknown) => readonly string[]) | undefined;
  readonly tagPaths: (tag: TagInput) => readonly string[];
  readonly etag: string | undefined;
  /** The batch it is an item of. */
  readonly batch: BatchItem | undefined;
}

export interface LoadsParts {
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly maker: EntryMaker;
  readonly local: LocalEntries;
  readonly pending: PendingOperations;
  readonly flights: Flights;
  readonly gate: LoadGate;
  readonly backoff: Backoff;
  readonly sides: Sides;
  readonly hot: HotReads;
  readonly invalidations: { positionFor(path: string): number };
}

/**
 * How a miss becomes a value: flight → shared tier → lease → gate → loader → fill.
 *
 * What holds between two awaits, for implementers:
 * 1. The flight is in the registry, and the key's fence stands, before anything is awaited.
 * 2. An invalidation that is applied meanwhile takes the flight out of the registry (later readers start anew)
 *    and raises the fence (nothing older is stored in memory).
 * 3. The position an entry carries is read with the lease, before the loader starts: what is invalidated after
 *    that hits the entry, whenever and wherever it is stored.
 * 4. The shared tier stores it only while the lease is held; every invalidation and write of the key ends it.
 */
export class Loads {
  readonly #parts: LoadsParts;

  constructor(parts: LoadsParts) {
    this.#parts = parts;
  }

  /** The value by whatever way: see the class. Never called when memory may answer with a fresh one. */
  get(path: string, spec: LoadSpec, options: LoadOptions): Promise<unknown> {
    const side = spec.policy.strict ? this.#parts.sides.of(path) : undefined;
    return side === undefined ? this.#get(path, spec, options) : this.#confirmed(side, path, spec, options);
  }

  /** A strict read: memory is asked after the log. With no answer it has no say, and neither has the shared tier. */
  async #confirmed(side: SharedSide, path: string, spec: LoadSpec, options: LoadOptions): Promise<unknown> {
    const { begun } = this.#parts.flights;
    if (await side.follower.confirm()) return this.#get(path, spec, options);
    return this.#wait(path, spec, options, () => this.#flight(path, spec, "suspect", undefined, begun));
  }

  #get(path: string, spec: LoadSpec, options: LoadOptions): Promise<unknown> {
    const look = this.#parts.local.look(path);
    const { held } = look;
    const now = this.#parts.clock.now();
    if (held !== undefined && look.state !== "suspect") {
      if (look.state === "fresh" || look.state === "early") {
        if (look.state === "early") this.refreshBehind(path, spec, held);
        return this.#serve(path, held, false);
      }
      if (now < held.retryAt && servable(held, now)) return this.#serve(path, held, true);
      if (now < held.revalidateUntil) {
        this.refreshBehind(path, spec, held);
        return this.#serve(path, held, true);
      }
    }
    // With the log unheard for longer than memory may be believed, not even a failed load makes it the answer.
    const believed = look.state === "suspect" && held?.knowledge.heard(now) === false ? undefined : held;
    return this.#wait(path, spec, options, () => this.#flight(path, spec, look.reason, believed));
  }

  /** Loads whatever is stored. The caller has made the stored entries stale everywhere. */
  fresh(path: string, spec: LoadSpec, options: LoadOptions): Promise<unknown> {
    const look = this.#parts.local.look(path);
    return this.#wait(path, spec, options, () => this.#start(path, spec, "bypass", look.held, false));
  }

  /** Starts a load for nobody in particular, unless one is under way. */
  refreshBehind(path: string, spec: LoadSpec, held: Held): void {
    // Not again for this entry before it expires: whoever holds the lease, or this load, brings the next one.
    held.refreshAt = held.freshUntil;
    if (this.#parts.flights.get(path) !== undefined || this.#parts.backoff.refusal(path) !== undefined) return;
    this.#start(path, spec, "expired", held, true);
  }

  #serve(path: string, held: Held, stale: boolean): Promise<unknown> {
    this.#parts.recorder.hit(held.counters, path, "memory", stale);
    return Promise.resolve(this.#parts.local.give(held.value, held.mutable));
  }

  /** The flight to join: one that began after the newest invalidation, else a new one. */
  #flight(path: string, spec: LoadSpec, reason: MissReason, held: Held | undefined, after = 0): Flight {
    const { flights, sides, clock } = this.#parts;
    const flight = flights.get(path);
    // One that has answered with a stale value was an answer to those who waited: what may be served is judged anew. And one
    // that began longer ago than the log was heard may have been invalidated without a word of it.
    const mayJoin =
      flight !== undefined &&
      !flight.answered &&
      flight.number > after &&
      sides.knowledgeOf(path, spec.policy.fed).trusted(clock.now(), flight.startedAt);
    return mayJoin ? flight : this.#start(path, spec, reason, held, false);
  }

  #start(path: string, spec: LoadSpec, reason: MissReason, held: Held | undefined, background: boolean): Flight {
    const { pending, flights } = this.#parts;
    const flight = new Flight({
      key: path,
      pending: pending.begin(path),
      background,
      stale: held,
      reason,
      version: this.#parts.sides.knowledgeOf(path, spec.policy.fed).marks.version,
      startedAt: this.#parts.clock.now(),
      whenAbandoned: (abandoned) => {
        flights.leave(abandoned);
        abandoned.abort(new CacheError("ERR_CACHE_TIMEOUT", `Nobody waits for ${path} any more`));
      },
    });
    const { batch } = spec;
    if (batch !== undefined) {
      batch.begin();
      flight.answer.then(batch.decide, batch.decide);
    }
    flights.start(flight, () => this.#run(flight, spec));
    return flight;
  }

  /** A read that memory does not answer: an operation to those who watch, unless it is one of a batch, which is one. */
  #wait(path: string, spec: LoadSpec, options: LoadOptions, flight: () => Flight): Promise<unknown> {
    const { watchers } = this.#parts.recorder;
    if (!watchers.watching || spec.batch !== undefined) return this.#join(flight(), spec, options);
    const operation = operationOn("get", path, spec);
    return watchers.run(operation, () => this.#join(flight(), spec, options, operation));
  }

  async #join(flight: Flight, spec: LoadSpec, options: LoadOptions, operation?: Operation): Promise<unknown> {
    const { clock, gate, sides, recorder, local } = this.#parts;
    const joined = flight.joined;
    this.#parts.hot.read(flight.key);
    if (joined) gate.want(flight.demand);
    const { version } = sides.knowledgeOf(flight.key, spec.policy.fed).marks;
    let outcome: Outcome;
    try {
      const { softTimeout } = spec.policy;
      outcome = await answerFor(flight, options, { clock, softTimeout, stale: () => this.#late(flight) });
    } catch (error) {
      if (spec.countMiss) recorder.miss(spec.counters, flight.key, flight.reason);
      throw error;
    }
    // A tag, prefix or pattern invalidated between the flight's start and this caller's: the old answer is for those
    // who came before it. (A key's invalidation has detached the flight already.)
    if (joined && version !== flight.version && this.#isOutdated(flight.key, outcome)) {
      this.#parts.flights.leave(flight);
      return this.#join(this.#flight(flight.key, spec, flight.reason, undefined), spec, options, operation);
    }
    if (operation !== undefined) operation.answer = answerOf(outcome);
    if (joined) recorder.coalesced(spec.counters, flight.key, "process", outcome.from === "load");
    if (outcome.from !== "load") recorder.hit(spec.counters, flight.key, outcome.from, outcome.stale);
    else if (spec.countMiss) recorder.miss(spec.counters, flight.key, flight.reason);
    if (outcome.from === "shared" && recorder.hearsAges) tellAge(recorder, flight.key, outcome.entry, clock);
    return outcome.raw ? outcome.value : local.give(outcome.value, outcome.mutable);
  }

  /** Whether an answer has been invalidated; a stale one only by a hard invalidation, as it may be served after a soft one. */
  #isOutdated(key: string, { entry, stale }: Outcome): boolean {
    const { state } = this.#parts.sides.knowledgeOf(key, false).marks.judge(key, entry);
    return state === "hard" || (state === "soft" && !stale);
  }

  /** A stale value that a caller who has waited too long may have. */
  #late(flight: Flight): Outcome | undefined {
    const { stale } = flight;
    const now = this.#parts.clock.now();
    // A load that is slow has not failed: what nobody vouches for any more is no answer yet.
    if (stale === undefined || !servable(stale, now) || !stale.knowledge.trusted(now, stale.loadedAt)) return undefined;
    if (!this.#stands(flight, stale)) return undefined;
    return staleOutcome(stale);
  }

  async #run(flight: Flight, spec: LoadSpec): Promise<void> {
    let lease: Lease | undefined;
    try {
      const shared = this.#parts.sides.of(flight.key);
      if (shared !== undefined) {
        const way = await this.#askShared(flight, spec, shared);
        if (way === "answered") return;
        lease = way;
      }
      await this.#load(flight, spec, lease);
    } catch (error) {
      lease?.release();
      this.#fail(flight, spec, error);
    }
  }

  /** Reads the shared tier and takes the lease; `undefined` when the tier is down and the load goes on without. */
  async #askShared(flight: Flight, spec: LoadSpec, shared: SharedSide): Promise<Lease | "answered" | undefined> {
    let seen: Uint8Array | undefined;
    if (flight.reason !== "bypass") {
      const found = await this.#parts.hot.find(shared, flight.key, spec);
      if (found.state === "down") return undefined;
      if (found.state === "fresh" && !this.#isToReplace(flight, found.held)) {
        this.#promote(flight, found.held, false);
        if (spec.batch !== undefined || !this.#parts.hot.isDue(flight.key, found.held)) return "answered";
        // As a refresh it goes on.
        flight.stale = found.held;
        flight.adopt();
      }
      if (found.state === "fresh") {
        seen = found.held.fields.stamp;
      } else if (found.state === "stale") {
        this.#considerStale(flight, found.held);
        seen = found.held.fields.stamp;
      } else {
        seen = found.stamp;
        if (flight.reason === "cold") flight.reason = found.reason;
        // What memory kept as suspect is disproved by a tier that has no such entry. (What it kept as stale is not:
        // a tier may have lost it, and its invalidation would have been heard.)
        // And one that only its feed does not vouch for is disproved by nothing.
        if (found.reason !== "suspect" && (found.reason !== "cold" || flight.reason === "suspect"))
          flight.stale = undefined;
      }
    }
    const refused = this.#parts.backoff.refusal(flight.key);
    if (refused !== undefined) throw refused.error;
    return shared.leases.obtain(flight, seen, spec, {
      stale: (held) => this.#considerStale(flight, held),
      fresh: (held) => this.#promote(flight, held, true),
      waiting: () => spec.batch?.decide(),
    });
  }

  /**
   * An early refresh finds the entry it is to replace, still fresh. One that only memory keeps for a shorter time
   * is not replaced but read anew.
   */
  #isToReplace({ background, stale }: Flight, found: Held): boolean {
    if (!background || stale === undefined || this.#parts.clock.now() >= stale.freshUntil) return false;
    return stale.freshUntil >= stale.staleFrom && sameStamp(stale.fields.stamp, found.fields.stamp);
  }

  #promote(flight: Flight, held: Held, waited: boolean): void {
    if (waited) this.#parts.recorder.coalesced(held.counters, flight.key, "cluster", false);
    this.#keep(flight, held);
    flight.resolve({ value: held.value, mutable: held.mutable, from: "shared", stale: false, raw: false, entry: held });
  }

  /** A stale value was found: it may answer at once, and the flight goes on as a refresh. */
  #considerStale(flight: Flight, held: Held): void {
    flight.stale = held;
    const now = this.#parts.clock.now();
    if (flight.answered || now >= held.revalidateUntil || flight.reason === "bypass") return;
    this.#keep(flight, held);
    flight.adopt();
    flight.resolve(staleOutcome(held));
  }

  #keep(flight: Flight, held: Held): boolean {
    if (held.position < flight.pending.fencedAt) {
      this.#parts.recorder.refused(held.counters, flight.key, "memory", "fenced");
      return false;
    }
    // A copy of what may have changed meanwhile is compared with the tier at its next use.
    if (flight.pending.touched) doubt(held);
    return this.#parts.local.keep(flight.key, held);
  }

  async #load(flight: Flight, spec: LoadSpec, lease: Lease | undefined): Promise<void> {
    const { gate, backoff, recorder, clock, local } = this.#parts;
    const refused = backoff.refusal(flight.key);
    if (refused !== undefined) throw refused.error;
    const place = spec.gated ? await gate.enter(() => flight.signal, [flight.demand]) : undefined;
    if (flight.aborted) {
      place?.leave();
      flight.throwIfAborted();
    }
    const position = lease?.position ?? this.#parts.invalidations.positionFor(flight.key);
    const context = new LoadContext({
      key: flight.key,
      previous: flight.stale && {
        value: local.give(flight.stale.value, flight.stale.mutable),
        etag: flight.stale.fields.etag,
        age: clock.now() - flight.stale.createdAt,
      },
      signal: () => flight.signal,
      demand: flight.demand,
      tagPaths: spec.tagPaths,
      release: place && (() => place.leave()),
    });
    const started = clock.now();
    let value: unknown;
    try {
      const load = this.#loader(flight.key, spec, context);
      const running = place === undefined ? load() : place.run(load);
      value = await boundedLoad(flight, spec, running, clock);
    } catch (error) {
      const thrown = error instanceof FailSignal ? error.error : error;
      recorder.loadFailed(spec.counters, flight.key, clock.now() - started, thrown, flight.background);
      if (!flight.givenUp) backoff.failed(flight.key, error instanceof FailSignal ? error : describe(error));
      throw error;
    } finally {
      place?.leave();
    }
    const took = clock.now() - started;
    recorder.loaded(spec.counters, flight.key, took, flight.background || flight.answered);
    backoff.succeeded(flight.key);
    await this.#fill(flight, spec, lease, context, value, took, position);
  }

  /** The loader's call, as those who watch see it; a batch's is watched as one. */
  #loader(key: string, spec: LoadSpec, context: LoadContext): () => unknown {
    const { watchers } = this.#parts.recorder;
    if (!watchers.watching || spec.batch !== undefined) return () => spec.load(context);
    return () => watchers.run(operationOn("load", key, spec), async () => spec.load(context));
  }

  async #fill(
    flight: Flight,
    spec: LoadSpec,
    lease: Lease | undefined,
    context: LoadContext,
    value: unknown,
    took: number,
    position: number,
  ): Promise<void> {
    const made = context.skipped ? undefined : this.#make(flight, spec, context, value, took, position);
    if (made === undefined) {
      if (context.skipped) this.#parts.recorder.refused(spec.counters, flight.key, "memory", "skipped");
      lease?.release();
      flight.resolve({
        value,
        mutable: false,
        from: "load",
        stale: false,
        raw: true,
        entry: { position, tags: context.decidedTags },
      });
      return;
    }
    const { kept, fields } = made;
    const createdAt = this.#parts.clock.now();
    const outcome: Outcome = {
      value: kept.value,
      mutable: kept.mutable,
      from: "load",
      stale: false,
      raw: false,
      entry: { position, tags: fields.tags },
      bytes: kept.bytes,
    };
    if ((lease ?? spec.rows) !== undefined && !(await this.#mayKeep(flight, spec, lease, made))) {
      flight.resolve(outcome);
      return;
    }
    const { local, sides } = this.#parts;
    const { policy, counters } = spec;
    const knowledge = sides.knowledgeOf(flight.key, policy.fed);
    const held = local.hold(kept, fields, createdAt, position, policy, counters, knowledge, createdAt - took);
    this.#keep(flight, held);
    flight.resolve(outcome);
  }

  /** Stores it in the shared tier. False: it was refused, and memory must not have it either. */
  async #mayKeep(flight: Flight, spec: LoadSpec, lease: Lease | undefined, made: MadeEntry): Promise<boolean> {
    const { recorder, local, sides } = this.#parts;
    const age = await rowAge(flight.key, made.kept.value, spec, local, lease && sides.of(flight.key));
    if (age === "newest") return lease === undefined || this.#fillShared(flight, spec, lease, made.fields);
    const tier = lease === undefined ? "memory" : "shared";
    recorder.refused(spec.counters, flight.key, tier, age === "unknown" ? "error" : "older");
    lease?.release();
    return false;
  }

  /** False: the fill was refused. A tier that failed leaves memory its copy. */
  async #fillShared(flight: Flight, spec: LoadSpec, lease: Lease, fields: EntryFields): Promise<boolean> {
    const { recorder, maker } = this.#parts;
    let form: SharedForm;
    try {
      form = await maker.encode(flight.key, fields, spec);
    } catch (error) {
      recorder.refused(spec.counters, flight.key, "shared", "unstorable", error);
      lease.release();
      return false;
    }
    const ended = await lease.fill(form.bytes, form.life);
    if (ended === "filled") {
      recorder.stored(spec.counters, flight.key, "shared", form.bytes.length, form.ttl);
      this.#parts.hot.filled(flight.key, form, fields);
    } else recorder.refused(spec.counters, flight.key, "shared", ended === "refused" ? "fenced" : "error");
    return ended !== "refused";
  }

  /** The entry of a loaded value; `undefined`, and told, when it cannot or must not be stored: a loader that answered never fails its callers. */
  #make(
    flight: Flight,
    spec: LoadSpec,
    context: LoadContext,
    value: unknown,
    took: number,
    position: number,
  ): MadeEntry | undefined {
    const { maker, recorder } = this.#parts;
    try {
      const unchanged = context.unchanged ? flight.stale : undefined;
      const made = maker.make(flight.key, value, spec, {
        kept: unchanged,
        ttl: context.decidedTtl,
        tags: [...spec.tags, ...context.decidedTags, ...(spec.tagsOf?.(value) ?? []), ...(unchanged?.tags ?? [])],
        etag: context.decidedEtag ?? spec.etag ?? unchanged?.fields.etag,
        loadCost: took,
        position,
      });
      // Said here, where an error is told of.
      spec.rows?.versionOf(made.kept.value);
      if (made.fields.ttl > 0) return made;
      recorder.refused(spec.counters, flight.key, "memory", "skipped");
    } catch (error) {
      const unstorable = error instanceof CacheError && error.code === "ERR_CACHE_VALUE";
      recorder.refused(spec.counters, flight.key, "memory", unstorable ? "unstorable" : "error", error);
    }
    return undefined;
  }

  #fail(flight: Flight, spec: LoadSpec, thrown: unknown): void {
    const { clock, recorder } = this.#parts;
    const error = thrown instanceof FailSignal ? thrown.error : thrown;
    const { stale } = flight;
    const now = clock.now();
    if (stale !== undefined && !flight.givenUp && servable(stale, now)) stale.retryAt = now + spec.policy.staleThrottle;
    if (flight.answered) return;
    if (stale !== undefined && now < stale.errorUntil && this.#stands(flight, stale) && this.#covers(spec, thrown)) {
      this.#keep(flight, stale);
      flight.resolve(staleOutcome(stale));
      return;
    }
    if (flight.background) recorder.emit({ type: "background-failed", what: `refresh of ${flight.key}`, error });
    flight.reject(describe(error));
  }

  /** Whether the stale value has not been removed (a hard invalidation) since the flight took it. */
  #stands(flight: Flight, stale: Held): boolean {
    return (
      flight.pending.removedAt <= stale.position && stale.knowledge.marks.judge(flight.key, stale).state !== "hard"
    );
  }

  /** Whether the failure is one that stale-if-error is for. Being overloaded, and `context.fail`, always are. */
  #covers(spec: LoadSpec, thrown: unknown): boolean {
    if (thrown instanceof FailSignal || spec.policy.staleWhen === undefined) return true;
    if (thrown instanceof CacheError && thrown.code === "ERR_CACHE_OVERLOADED") return true;
    try {
      return spec.policy.staleWhen(thrown);
    } catch (error) {
      this.#parts.recorder.emit({ type: "background-failed", what: "staleIfError.when", error });
      return false;
    }
  }
}

function servable(held: Held, now: number): boolean {
  return now < Math.max(held.revalidateUntil, held.errorUntil);
}
