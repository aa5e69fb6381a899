import type { Clock } from "../clock.js";
import { entryBytes } from "../entries/heap-size.js";
import { Held, QUICK_TICK } from "../entries/held.js";
import type { EntryFields } from "../entries/entry.js";
import { adopt, copy, measure, seal, unseal } from "../entries/seal.js";
import type { MissReason } from "../events.js";
import { leadOf } from "../hot/lead.js";
import type { LogKnowledge } from "../invalidation/knowledge.js";
import type { Isolation } from "../options.js";
import type { ResolvedPolicy } from "../policy.js";
import type { Counters, Recorder } from "../stats.js";
import type { KeyFamily } from "./memory/key-family.js";
import type { MemoryTier } from "./memory/memory-tier.js";
import type { RemovalMemory } from "./memory/removal-memory.js";

/** A value made safe to keep: what callers mutate cannot reach it. */
export interface Kept {
  readonly value: unknown;
  readonly mutable: boolean;
  readonly bytes: number;
}

/** What memory knows of a key. */
export interface Look {
  /**
   * `fresh`: serve it. `early`: serve it and refresh. `stale`: past its freshness. `suspect`: to be checked against the
   * shared tier first. `none`: nothing of use.
   */
  readonly state: "fresh" | "early" | "stale" | "suspect" | "none";
  readonly held: Held | undefined;
  readonly reason: MissReason;
}

/** The entries of this process, judged against what is known to be invalidated. */
export class LocalEntries {
  readonly #memory: MemoryTier<Held> | undefined;
  readonly #clock: Clock;
  /** The time of a hit: exact where a bound on staleness is promised. */
  readonly #time: () => number;
  readonly #recorder: Recorder;
  readonly #removals: RemovalMemory;
  readonly #isolation: Isolation;
  readonly #random: () => number;
  /** Without a shared tier to ask, an entry older than the marks remember is gone. */
  readonly #revalidates: boolean;
  readonly #sizeOf: ((value: unknown) => number) | undefined;
  readonly #isHot: (path: string) => boolean;
  /** The one log whose entries are vouched for: a hit that asks nobody cannot ask which log it is judged by. */
  #vouchedBy: LogKnowledge | undefined;
  /** Rises whenever every entry must be compared with the shared tier again. */
  #epoch = 0;

  constructor(init: {
    memory: MemoryTier<Held> | undefined;
    clock: Clock;
    recorder: Recorder;
    removals: RemovalMemory;
    isolation: Isolation;
    random: () => number;
    /** Whether hits are judged by the exact time. */
    exact: boolean;
    revalidates: boolean;
    sizeOf: ((value: unknown) => number) | undefined;
    isHot: (path: string) => boolean;
  }) {
    this.#memory = init.memory;
    this.#clock = init.clock;
    const { clock } = init;
    this.#time = init.exact ? () => clock.now() : clock.recent.bind(clock);
    this.#recorder = init.recorder;
    this.#removals = init.removals;
    this.#isolation = init.isolation;
    this.#random = init.random;
    this.#revalidates = init.revalidates;
    this.#sizeOf = init.sizeOf;
    this.#isHot = init.isHot;
  }

  /** The hot path: the entry if nothing at all is to be said about it. */
  fresh(path: string): Held | undefined {
    const held = this.#memory?.find(path);
    return held !== undefined && this.#isFresh(held) ? held : undefined;
  }

  /** Keys with this beginning and end; `undefined` when there is no memory to look in. */
  family(head: string, tail: string): KeyFamily | undefined {
    return this.#memory?.family(head, tail);
  }

  /** As `fresh`, of the key whose middle has been written into the family's `units`, up to `end`. */
  freshIn(family: KeyFamily, end: number): Held | undefined {
    const held = this.#memory?.findIn(family, end);
    return held !== undefined && this.#isFresh(held) ? held : undefined;
  }

  /**
   * As `fresh`, for a caller's text that has not been encoded yet: a path that was met as its own encoding is known to
   * be that, so the text is the key and need not be looked through again.
   */
  freshPlain(text: string): Held | undefined {
    const held = this.fresh(text);
    return held?.plain === true ? held : undefined;
  }

  /**
   * The value that memory vouches for under a caller's text, counted as a read of no entity; `undefined` says nothing. As
   * `freshPlain` and `give` at their quickest, without a look at the entry.
   */
  answer(text: string): unknown {
    const knowledge = this.#vouchedBy;
    if (knowledge === undefined) return undefined;
    return this.#memory?.findVouched(text, knowledge.marks.version, this.#time() / QUICK_TICK);
  }

  /**
   * An entry that was just found fresh and plain may be one that `answer` knows from now on, unless it has more to say: to
   * be copied, counted elsewhere, judged by the time of the last word from its log, or slid.
   */
  vouch(path: string, held: Held, counters: Counters): void {
    const { knowledge } = held;
    if (knowledge.isBounded || held.quickUntil < 0 || held.mutable) return;
    if (held.counters !== counters || this.#isolation === "clone") return;
    this.#vouchedBy ??= knowledge;
    if (knowledge !== this.#vouchedBy) return;
    const memory = this.#memory;
    if (memory !== undefined)
      held.vouched(memory, memory.vouch(path, held.value, knowledge.marks.version, held.quickUntil));
  }

  /** Everything memory can say of a key. */
  look(path: string): Look {
    const held = this.#memory?.get(path);
    if (held === undefined) return { state: "none", held, reason: this.#absence(path) };
    const now = this.#clock.now();
    if (!held.knowledge.trusted(now, held.loadedAt)) return { state: "suspect", held, reason: "suspect" };
    const reason = held.checked === held.knowledge.marks.version ? undefined : this.#judge(path, held, now);
    if (reason === "suspect") return { state: "suspect", held, reason };
    if (reason !== undefined) return { state: "none", held: undefined, reason };
    if (now >= held.freshUntil) return { state: "stale", held, reason: "expired" };
    if (held.fields.sliding) this.#slide(path, held, now);
    return { state: now >= held.refreshAt ? "early" : "fresh", held, reason: "cold" };
  }

  /** As `look`, changing nothing and unseen by the policy. */
  inspect(path: string): Look {
    const held = this.#memory?.peek(path);
    if (held === undefined) return { state: "none", held, reason: this.#absence(path) };
    const now = this.#clock.now();
    const { marks } = held.knowledge;
    const isKnown = marks.knows(held);
    if (!isKnown && !this.#revalidates) return { state: "none", held, reason: "forgotten" };
    if (!isKnown || held.epoch !== this.#epoch || !held.knowledge.trusted(now, held.loadedAt))
      return { state: "suspect", held, reason: "suspect" };
    const verdict = marks.judge(path, held);
    if (verdict.state === "hard") return { state: "none", held, reason: verdict.reason };
    if (verdict.state === "soft") return { state: "stale", held, reason: verdict.reason };
    return {
      state: now >= held.freshUntil ? "stale" : "fresh",
      held,
      reason: now >= held.freshUntil ? "expired" : "cold",
    };
  }

  /**
   * Makes a value safe to keep.
   *
   * @throws CacheError `ERR_CACHE_VALUE` for a value that cannot be stored; with isolation "none" everything can.
   */
  secure(value: unknown): Kept {
    if (this.#isolation === "none")
      return {
        value,
        mutable: false,
        bytes: this.#sizeOf === undefined ? measure(value) : sizeBy(this.#sizeOf, value),
      };
    const sealed = seal(value);
    return this.#sizeOf === undefined ? sealed : { ...sealed, bytes: sizeBy(this.#sizeOf, sealed.value) };
  }

  /** As `secure`, in place, for a value that nobody else holds: one just decoded. */
  adopt(value: unknown): Kept {
    if (this.#isolation === "none") return this.secure(value);
    const sealed = adopt(value);
    return this.#sizeOf === undefined ? sealed : { ...sealed, bytes: sizeBy(this.#sizeOf, sealed.value) };
  }

  /** What a caller is handed. */
  give(value: unknown, mutable: boolean): unknown {
    if (this.#isolation === "clone") return copy(value);
    return mutable ? unseal(value) : value;
  }

  /**
   * An entry for memory, stored or not.
   *
   * @param createdAt on the monotonic clock.
   * @param loadedAt when a load of this process began that brought it.
   */
  hold(
    kept: Kept,
    fields: EntryFields,
    createdAt: number,
    position: number,
    policy: ResolvedPolicy,
    counters: Counters,
    knowledge: LogKnowledge,
    loadedAt: number = Number.NEGATIVE_INFINITY,
  ): Held {
    const now = this.#clock.now();
    const freshUntil = Math.min(createdAt + fields.ttl, now + policy.memoryTtl);
    // XFetch (Vattani et al., VLDB 2015) with the chance drawn once per entry and process: Δ·β·(−ln u) before the end.
    const early = policy.earlyRefresh === 0 ? 0 : fields.loadCost * policy.earlyRefresh * -Math.log(1 - this.#random());
    return new Held({
      value: kept.value,
      mutable: kept.mutable,
      bytes: kept.bytes,
      fields,
      createdAt,
      loadedAt,
      freshUntil,
      refreshAt: Math.max(now, freshUntil - early),
      position,
      checked: -1,
      epoch: this.#epoch,
      knowledge,
      counters,
    });
  }

  /** Stores it; false when there is no memory tier, or it was refused. The caller has asked the fence. */
  keep(path: string, held: Held): boolean {
    if (this.#memory === undefined) return false;
    if (this.#isHot(path)) this.anticipateHeld(held);
    const weight = held.bytes + entryBytes(path, held.tags);
    const stored = this.#memory.set(path, held, weight, held.expiresAt);
    if (stored) this.#recorder.stored(held.counters, path, "memory", weight, held.freshUntil - this.#clock.now());
    // One that is of no use to anybody any more, softened without a stale window, has expired on its way and is not refused.
    else if (this.#clock.now() < held.expiresAt) this.#recorder.refused(held.counters, path, "memory", "too-large");
    return stored;
  }

  /** The key has become hot: what memory holds of it is refreshed before it expires. */
  anticipate(path: string): void {
    const held = this.#memory?.peek(path);
    if (held !== undefined) this.anticipateHeld(held);
  }

  /** Has an entry of a hot key refreshed before it expires, whatever its policy says of early refresh. */
  anticipateHeld(held: Held): void {
    const now = this.#clock.now();
    // One that slides does not expire while it is read. And where stale is served meanwhile nobody waits for a refresh: to
    // begin it early would only be more loads.
    if (held.fields.sliding || held.fields.staleWhileRevalidate > 0 || now >= held.freshUntil) return;
    const refreshAt = Math.max(now, held.freshUntil - leadOf(held, now, this.#random));
    held.refreshAt = Math.min(held.refreshAt, refreshAt);
  }

  /** The key was invalidated at `position`; an entry known good later than that stays. @returns whether one went, or became stale. */
  invalidate(path: string, soft: boolean, position: number): boolean {
    const held = this.#memory?.peek(path);
    if (held === undefined || held.position >= position) return false;
    if (soft) held.soften(this.#clock.now());
    else this.#drop(path, "invalidated-key");
    return true;
  }

  /** The entry of the key in the shared tier changed: what memory has of it is compared with the tier at its next use. */
  suspect(path: string): void {
    const held = this.#memory?.peek(path);
    if (held !== undefined) doubt(held);
  }

  /** Any entry of the shared tier may have changed. The caller has the marks say so, by a version of theirs. */
  suspectAll(): void {
    this.#epoch += 1;
  }

  /** Drops every entry that these marks judge. */
  dropAll(marks: LogKnowledge["marks"]): void {
    const paths = [...(this.#memory?.entries() ?? [])].filter(([, held]) => held.knowledge.marks === marks);
    for (const [path] of paths) this.#drop(path, "forgotten");
  }

  /** Whether something is stored, of use or not. */
  holds(path: string): boolean {
    return this.#memory?.peek(path) !== undefined;
  }

  /** Whether nothing is to be said about an entry; one whose time is over in the tier is over here before. */
  #isFresh(held: Held): boolean {
    const { knowledge } = held;
    if (held.checked !== knowledge.marks.version) return false;
    const now = this.#time();
    return now < held.quickUntil * QUICK_TICK && (!knowledge.isBounded || knowledge.trusted(now, held.loadedAt));
  }

  #absence(path: string): MissReason {
    return this.#removals.reason(path) ?? "cold";
  }

  #drop(path: string, reason: MissReason): void {
    this.#memory?.delete(path);
    this.#removals.note(path, reason);
  }

  /** Why it cannot be used, after the log has moved on; softened and dropped entries are so here. */
  #judge(path: string, held: Held, now: number): MissReason | undefined {
    const { marks } = held.knowledge;
    if (held.epoch !== this.#epoch) return "suspect";
    if (!marks.knows(held)) {
      if (this.#revalidates) return "suspect";
      this.#drop(path, "forgotten");
      return "forgotten";
    }
    const verdict = marks.judge(path, held);
    if (verdict.state === "hard") {
      this.#drop(path, verdict.reason);
      return verdict.reason;
    }
    if (verdict.state === "soft") held.soften(now);
    held.checked = marks.version;
    return undefined;
  }

  #slide(path: string, held: Held, now: number): void {
    held.slide(now);
    this.#memory?.touch(path, held.expiresAt);
  }
}

/** NaN, which memory refuses, for a size that is none: added to what else an entry takes, it could pass for one. */
function sizeBy(sizeOf: (value: unknown) => number, value: unknown): number {
  const size: unknown = sizeOf(value);
  return typeof size === "number" && size >= 0 ? size : Number.NaN;
}

/** Has an entry compared with the shared tier before it answers again. */
export function doubt(held: Held): void {
  held.doubt();
}
