import type { Ranked } from "./report.js";

/** Keys counted; past twice as many the rarest half goes, and what is left counts half. */
const MOST = 1_000;

/** How often keys were met, of late: an estimate that forgets the rare and the past. */
export class Tally {
  #counts = new Map<string, { entity: string; count: number }>();

  add(key: string, entity: string, by: number): void {
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.count += by;
      return;
    }
    this.#counts.set(key, { entity, count: by });
    if (this.#counts.size > 2 * MOST) this.#forget();
  }

  top(most: number): readonly Ranked[] {
    return Array.from(this.#counts, ([key, { entity, count }]) => ({ key, entity, count }))
      .sort((a, b) => b.count - a.count)
      .slice(0, most);
  }

  #forget(): void {
    const kept = [...this.#counts].sort(([, a], [, b]) => b.count - a.count).slice(0, MOST);
    this.#counts = new Map(kept.map(([key, { entity, count }]) => [key, { entity, count: count / 2 }]));
  }
}
