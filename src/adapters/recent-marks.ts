import type { Cache } from "../api.js";
import type { Clock } from "../clock.js";
import { tagPaths } from "../dependency-tag.js";
import { markMatcher } from "../inspect/mark-matcher.js";
import type { Mark } from "../invalidation/record.js";
import { encodeKey, inNamespace, type KeyInput } from "../keys.js";

interface Heard {
  readonly at: number;
  readonly marks: readonly Mark[];
}

/** Marks kept: a framework's render takes seconds, in which a busy system hears so many. */
const MOST_MARKS = 10_000;

/**
 * What was invalidated lately, as far as this process has heard. It fences values that a framework makes itself and hands over when they
 * are done: the cache sees no load of them, and cannot know how old what they were made from is.
 */
export class RecentMarks {
  readonly #cache: Cache;
  readonly #clock: Clock;
  #heard: Heard[] = [];
  #marks = 0;
  /** What began before is not known any more, or was never heard. */
  #floor: number;
  #namespace: Promise<string> | undefined;

  constructor(cache: Cache, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
    this.#floor = clock.now();
    cache.on("invalidated", ({ names }) => this.#hear(names));
    // Of what was invalidated while the log was lost, nothing is heard.
    cache.on("log-gap", () => {
      this.#floor = clock.now();
    });
  }

  /**
   * Whether the entry, or one of its tags, was invalidated at `since` (of the monotonic clock) or later, or nobody knows.
   *
   * @param key left out after the entry was stored, which names it as well.
   */
  async hit(key: KeyInput | undefined, tags: readonly KeyInput[], since: number): Promise<boolean> {
    // Of no namespace, the path of a key is the key.
    this.#namespace ??= this.#cache.explain("x").then((told) => told.key.slice(0, -"x".length));
    const namespace = (await this.#namespace).slice(0, -1);
    if (since < this.#floor) return true;
    const path = inNamespace(namespace, encodeKey(key ?? "x"));
    const paths = tags.flatMap((tag) => tagPaths(tag, undefined, namespace));
    return this.#heard.some(
      ({ at, marks }) =>
        at >= since &&
        markMatcher(key === undefined ? marks.filter((mark) => mark.kind !== "key") : marks)(path, paths),
    );
  }

  #hear(marks: readonly Mark[]): void {
    this.#heard.push({ at: this.#clock.now(), marks });
    this.#marks += marks.length;
    while (this.#marks > MOST_MARKS) {
      const oldest = this.#heard.shift();
      if (oldest === undefined) break;
      this.#marks -= oldest.marks.length;
      this.#floor = Math.max(this.#floor, oldest.at + 1);
    }
  }
}
