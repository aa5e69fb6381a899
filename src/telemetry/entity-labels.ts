/** What stands for the entities past the bound. */
const OTHERS = "other";

/**
 * Label values for entities, at most so many of each cache: the first that are met keep their names, the others share one. A name
 * once given stays, or a counter would go back.
 */
export class EntityLabels {
  readonly #most: number;
  readonly #known = new Map<string, Set<string>>();

  constructor(most: number) {
    this.#most = most;
  }

  of(cache: string, entity: string): string {
    let known = this.#known.get(cache);
    if (known === undefined) {
      known = new Set();
      this.#known.set(cache, known);
    }
    // Keys of no entity are always told apart.
    if (entity === "" || known.has(entity)) return entity;
    if (known.size >= this.#most) return OTHERS;
    known.add(entity);
    return entity;
  }
}
