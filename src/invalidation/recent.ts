import type { Clock } from "../clock.js";
import type { Mark } from "./record.js";

/** Marks remembered at most, and for how many milliseconds: longer than a replica lags behind. */
const LIMIT = 5_000;
const SPAN = 60_000;

interface Invalidation {
  readonly marks: readonly Mark[];
  readonly soft: boolean;
  readonly at: number;
}

/**
 * The invalidations a process has applied lately, its own and others'. A server that fails over to a lagging replica forgets
 * what it has acknowledged; those who know it tell it again.
 */
export class RecentInvalidations {
  readonly #clock: Clock;
  #kept: Invalidation[] = [];
  #marks = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(marks: readonly Mark[], soft: boolean): void {
    this.#kept.push({ marks, soft, at: this.#clock.now() });
    this.#marks += marks.length;
    // Cut by halves, so that each is moved once at the most.
    if (this.#marks > LIMIT || this.#kept.length > LIMIT) this.#drop(Math.ceil(this.#kept.length / 2));
  }

  /** What was applied of late, each mark once, hard ones apart from soft. */
  all(): { readonly hard: readonly Mark[]; readonly soft: readonly Mark[] } {
    const since = this.#clock.now() - SPAN;
    const young = this.#kept.findIndex((one) => one.at >= since);
    this.#drop(young === -1 ? this.#kept.length : young);
    return { hard: distinct(this.#kept, false), soft: distinct(this.#kept, true) };
  }

  #drop(count: number): void {
    for (const { marks } of this.#kept.splice(0, count)) this.#marks -= marks.length;
  }
}

function distinct(kept: readonly Invalidation[], soft: boolean): readonly Mark[] {
  const marks = new Map<string, Mark>();
  for (const one of kept) if (one.soft === soft) for (const mark of one.marks) marks.set(JSON.stringify(mark), mark);
  return [...marks.values()];
}
