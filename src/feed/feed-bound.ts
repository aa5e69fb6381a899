import type { LogKnowledge } from "../invalidation/knowledge.js";

/** How long fed entries are believed. */
export class FeedBound {
  readonly #maxStaleness: number;
  #completeAt = Number.NEGATIVE_INFINITY;

  constructor(maxStaleness: number) {
    this.#maxStaleness = maxStaleness;
  }

  /** When the feed was last known to have told everything, on the monotonic clock; -Infinity before the first time. */
  get completeAt(): number {
    return this.#completeAt;
  }

  complete(at: number): void {
    if (at > this.#completeAt) this.#completeAt = at;
  }

  /** Changes may have passed unseen. */
  forget(): void {
    this.#completeAt = Number.NEGATIVE_INFINITY;
  }

  /** @param since when the answer was taken from its source, if that is known: a young one is young whatever the feed says. */
  trusted(now: number, since: number = Number.NEGATIVE_INFINITY): boolean {
    return now - Math.max(this.#completeAt, since) <= this.#maxStaleness;
  }

  /** What is known of a log, for entries that are believed only as long as this bound holds. */
  over(log: LogKnowledge): LogKnowledge {
    return {
      marks: log.marks,
      isBounded: true,
      trusted: (now, since) => this.trusted(now, since) && log.trusted(now, since),
      heard: (now) => log.heard(now),
      vouched: (now) => this.trusted(now),
    };
  }
}
