/** Positions of records that came by, remembered at most. */
const LIMIT = 1_000;

/**
 * Which of a process's own records were acknowledged, and which came by in the log: each must do both, in whichever order.
 * One that was acknowledged, and is behind the process without having come by, is *doubted*: the log may not have it.
 */
export class OwnRecords {
  /** Yet to come by. */
  readonly #acknowledged = new Set<number>();
  /** Yet to be acknowledged; the oldest are forgotten, which only means that they are doubted. */
  readonly #cameBy = new Set<number>();

  /** The tier has acknowledged a record; the log was applied up to `stood`. @returns whether it is doubted. */
  acknowledge(position: number, stood: number): boolean {
    if (this.#cameBy.delete(position)) return false;
    if (position <= stood) return true;
    this.#acknowledged.add(position);
    return false;
  }

  /** An own record came by. */
  comeBy(position: number): void {
    if (this.#acknowledged.delete(position)) return;
    this.#cameBy.add(position);
    if (this.#cameBy.size <= LIMIT) return;
    for (const oldest of this.#cameBy) {
      this.#cameBy.delete(oldest);
      return;
    }
  }

  /** The log is applied up to `position` now. @returns the records that are doubted, and forgotten here. */
  pass(position: number): readonly number[] {
    if (this.#acknowledged.size === 0) return [];
    const passed = [...this.#acknowledged].filter((one) => one <= position);
    for (const one of passed) this.#acknowledged.delete(one);
    return passed;
  }

  /** What was acknowledged is settled otherwise. */
  forget(): void {
    this.#acknowledged.clear();
  }
}
