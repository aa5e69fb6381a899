import type { Clock } from "../clock.js";
import type { Mark } from "./record.js";

/** Marks remembered at most, and for how many milliseconds: longer than a replica lags behind. */
const LIMIT = 5_000;
const SPAN = 60_000;

interface Invalidation {
  readonly position: number;
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

  add(position: number, marks: readonly Mark[], soft: boolean): void {
    this.#kept.push({ position, marks, soft, at: this.#clock.now() });
    this.#marks += marks.length;
    // Cut by halves, so that each is moved once at the most.
    if (this.#marks > LIMIT || this.#kept.length > LIMIT) this.#drop(Math.ceil(this.#kept.length / 2));
  }

  /** The positions of what was applied of late, oldest first. */
  positions(): readonly number[] {
    const since = this.#clock.now() - SPAN;
    const young = this.#kept.findIndex((one) => one.at >= since);
    this.#drop(young === -1 ? this.#kept.length : young);
    return this.#kept.map((one) => one.position).toSorted((a, b) => a - b);
  }

  /** What was applied of late under other positions than these: each mark once, hard ones apart from soft. */
  except(positions: ReadonlySet<number>): { readonly hard: readonly Mark[]; readonly soft: readonly Mark[] } {
    const others = this.#kept.filter((one) => !positions.has(one.position));
    return { hard: distinct(others, false), soft: distinct(others, true) };
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
