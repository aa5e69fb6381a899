import type { LogKnowledge } from "../invalidation/knowledge.js";
import type { Counters } from "../stats.js";
import type { EntryFields } from "./entry.js";

/**
 * An entry as memory holds it. Times are on the process's monotonic clock.
 *
 * `position` rises: it is the log's position up to which this entry is known not to be invalidated, at least the
 * one its load began at. `checked` is the version of the marks it was last judged against, so that an untouched
 * log costs a hit one comparison.
 */
export class Held {
  readonly value: unknown;
  /** Holds something that freezing does not protect: readers get a copy. */
  readonly mutable: boolean;
  readonly bytes: number;
  readonly fields: EntryFields;
  readonly createdAt: number;
  readonly counters: Counters;
  /** The log that judges it. */
  readonly knowledge: LogKnowledge;
  /** Fresh before this moment. */
  freshUntil: number;
  /** Before this moment a hit is just a hit; from it on, early refresh or freshness has a say. At most `freshUntil`. */
  refreshAt: number;
  /** After a failed load, stale is served without another try until then. */
  retryAt: number = Number.NEGATIVE_INFINITY;
  position: number;
  checked: number;
  /** Of the shared tier's doubts when it was read: an older one must be compared with the tier again. */
  epoch: number;
  /** Its path has been met as the encoding of itself: text equal to it names this entry and no other. */
  plain = false;
  /** When freshness ends by time alone: the stale windows begin here, whatever softened the entry. */
  staleFrom: number;
  /** How long a slide makes it fresh again. */
  readonly #span: number;

  constructor(init: {
    value: unknown;
    mutable: boolean;
    bytes: number;
    fields: EntryFields;
    createdAt: number;
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
}

/** How long an entry is kept, fresh and stale together; milliseconds from its creation. */
export function lifetime(fields: Pick<EntryFields, "ttl" | "staleWhileRevalidate" | "staleIfError">): number {
  return fields.ttl + Math.max(fields.staleWhileRevalidate, fields.staleIfError);
}
