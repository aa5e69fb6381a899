import type { LogKnowledge } from "../invalidation/knowledge.js";
import type { Counters } from "../stats.js";
import type { EntryFields } from "./entry.js";

/** Milliseconds. */
export const QUICK_TICK = 64;
/** The largest small integer. */
const MOST_TICKS = 2 ** 30 - 1;

/** Who hands out an entry's value without asking it, as long as it has nothing to say. */
export interface Vouching {
  withdraw(slot: number): void;
}

/**
 * An entry as memory holds it. Times are on the process's monotonic clock.
 *
 * `position` rises: it is the log's position up to which this entry is known not to be invalidated, at least the
 * one its load began at. `checked` is the version of the marks it was last judged against, so that an untouched
 * log costs a hit one comparison.
 */
export class Held {
  readonly value: unknown;
  /** Before that a hit is just a hit, in `QUICK_TICK`s: a small integer, which costs a hit no look elsewhere. -1 for one that slides. */
  quickUntil = -1;
  checked: number;
  readonly knowledge: LogKnowledge;
  readonly counters: Counters;
  /** Holds something that freezing does not protect: readers get a copy. */
  readonly mutable: boolean;
  /** Its path has been met as the encoding of itself: text equal to it names this entry and no other. */
  plain = false;
  readonly bytes: number;
  readonly fields: EntryFields;
  readonly createdAt: number;
  /** When the load of this process that brought it began; -Infinity for one that came from elsewhere. */
  readonly loadedAt: number;
  /** Fresh before this moment. */
  freshUntil: number;
  /** Before this moment a hit is just a hit; from it on, early refresh or freshness has a say. At most `freshUntil`. */
  #refreshAt = 0;
  /** After a failed load, stale is served without another try until then. */
  retryAt: number = Number.NEGATIVE_INFINITY;
  position: number;
  /** Of the shared tier's doubts when it was read: an older one must be compared with the tier again. */
  epoch: number;
  /** When freshness ends by time alone: the stale windows begin here, whatever softened the entry. */
  staleFrom: number;
  /** How long a slide makes it fresh again. */
  readonly #span: number;
  #vouching: Vouching | undefined;
  #slot = -1;

  constructor(init: {
    value: unknown;
    mutable: boolean;
    bytes: number;
    fields: EntryFields;
    createdAt: number;
    loadedAt: number;
    freshUntil: number;
    refreshAt: number;
    position: number;
    checked: number;
    epoch: number;
    knowledge: LogKnowledge;
    counters: Counters;
  }) {
    this.value = init.value;
    this.mutable = init.mutable;
    this.bytes = init.bytes;
    this.fields = init.fields;
    this.createdAt = init.createdAt;
    this.loadedAt = init.loadedAt;
    this.counters = init.counters;
    this.knowledge = init.knowledge;
    this.epoch = init.epoch;
    this.freshUntil = init.freshUntil;
    this.refreshAt = Math.min(init.refreshAt, init.freshUntil);
    this.position = init.position;
    this.checked = init.checked;
    this.staleFrom = init.createdAt + init.fields.ttl;
    this.#span = Math.max(0, init.freshUntil - init.createdAt);
  }

  get refreshAt(): number {
    return this.#refreshAt;
  }

  set refreshAt(time: number) {
    this.#withdraw();
    this.#refreshAt = time;
    this.quickUntil = this.fields.sliding ? -1 : Math.max(-1, Math.min(MOST_TICKS, Math.floor(time / QUICK_TICK)));
  }

  /** The marks compare this and the tags. */
  get tags(): readonly string[] {
    return this.fields.tags;
  }

  /** Until when stale may be served while a refresh runs. */
  get revalidateUntil(): number {
    const { staleWhileRevalidate } = this.fields;
    return staleWhileRevalidate === 0 ? Number.NEGATIVE_INFINITY : this.staleFrom + staleWhileRevalidate;
  }

  /** Until when stale may be served after a failed load. */
  get errorUntil(): number {
    const { staleIfError } = this.fields;
    return staleIfError === 0 ? Number.NEGATIVE_INFINITY : this.staleFrom + staleIfError;
  }

  /** From when it is of no use to anybody. */
  get expiresAt(): number {
    return Math.max(this.freshUntil, this.revalidateUntil, this.errorUntil);
  }

  /** Its value is handed out unasked, from this slot: whatever changes what it would say takes that back. */
  vouched(vouching: Vouching, slot: number): void {
    this.#vouching = vouching;
    this.#slot = slot;
  }

  /** Has it compared with the shared tier before it answers again. */
  doubt(): void {
    this.#withdraw();
    this.epoch = -1;
    this.checked = -1;
  }

  /** A read starts its freshness again. */
  slide(now: number): void {
    this.freshUntil = now + this.#span;
    this.refreshAt = this.freshUntil;
    this.staleFrom = this.freshUntil;
  }

  /** Makes it stale now; how long it may be served as stale does not change. */
  soften(now: number): void {
    this.freshUntil = Math.min(this.freshUntil, now);
    this.refreshAt = this.freshUntil;
  }

  #withdraw(): void {
    this.#vouching?.withdraw(this.#slot);
    this.#vouching = undefined;
  }
}

/** How long an entry is kept, fresh and stale together; milliseconds from its creation. */
export function lifetime(fields: Pick<EntryFields, "ttl" | "staleWhileRevalidate" | "staleIfError">): number {
  return fields.ttl + Math.max(fields.staleWhileRevalidate, fields.staleIfError);
}
