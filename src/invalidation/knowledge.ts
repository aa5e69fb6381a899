import type { Marks } from "./marks.js";

/**
 * What this process knows of one log. Every entry in memory points at the one it is judged by, so that a hit need not
 * find out again which shard its key belongs to.
 */
export interface LogKnowledge {
  readonly marks: Marks;
  /** Whether trust ever runs out: else nobody need ask. */
  readonly isBounded: boolean;
  /**
   * Whether memory may answer at `now`, on the monotonic clock: the log was heard not too long ago.
   *
   * @param since when the answer was taken from its source, if that is known: a young one may be given unheard.
   */
  trusted(now: number, since?: number): boolean;
  /** Whether the log was heard not too long ago, whatever else an entry is believed by: else not even a failed load makes it the answer. */
  heard(now: number): boolean;
  /**
   * Whether the feed of changes vouches at `now` for what lies in the shared tier, of which nobody here knows when it was loaded;
   * true for entries that are not fed. The tier's own answer says what the log says, so nothing need have been heard.
   */
  vouched(now: number): boolean;
}
