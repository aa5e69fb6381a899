import { Marks } from "./marks.js";
import type { Mark } from "./record.js";

/** Marks kept for sending again; past that they are merged into one "all". */
const LIMIT = 10_000;

interface Invalidation {
  readonly marks: readonly Mark[];
  readonly soft: boolean;
}

/**
 * Invalidations that the shared tier has not acknowledged. They are sent again, in order, until it does; meanwhile
 * what they hit in the shared tier is not believed, or the old value would come back from there.
 */
export class Unsent {
  #waiting: Invalidation[] = [];
  #count = 0;
  #keys = new Set<string>();
  #marks = new Marks(0);

  get size(): number {
    return this.#waiting.length;
  }

  add(marks: readonly Mark[], soft: boolean): void {
    this.#count += marks.length;
    if (this.#count > LIMIT) {
      this.#waiting = [];
      this.#count = 1;
      this.#note([{ kind: "all" }], false);
      return;
    }
    this.#note(marks, soft);
  }

  /** Whether the stored entry may be one that an unsent invalidation means. */
  hits(key: string, tags: readonly string[]): boolean {
    if (this.#waiting.length === 0) return false;
    return this.#keys.has(key) || this.#marks.judge(key, { position: 0, tags }).state !== "valid";
  }

  /** Sends what waits, oldest first; stops and rejects at the first failure, keeping the rest. */
  async flush(send: (marks: readonly Mark[], soft: boolean) => Promise<void>): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      await send(next.marks, next.soft);
      if (this.#waiting[0] === next) this.#waiting.shift();
    }
    this.#keys = new Set();
    this.#marks = new Marks(0);
    this.#count = 0;
  }

  #note(marks: readonly Mark[], soft: boolean): void {
    this.#waiting.push({ marks, soft });
    for (const mark of marks) {
      if (mark.kind === "key") this.#keys.add(mark.key);
      // Any position above 0: what matters is only that it is named.
      else this.#marks.learn(mark, { hard: 1, soft: 0 });
    }
  }
}
