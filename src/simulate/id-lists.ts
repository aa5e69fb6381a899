const NONE = -1;
const FEWEST = 1024;

/**
 * A few doubly linked lists of ids, each id in one of them at the most, with its weight: what most policies are made of.
 *
 * Links are in arrays at the id, so all calls are O(1) and cost some 13 bytes for each id ever seen.
 */
export class IdLists {
  #next: Int32Array = new Int32Array(FEWEST);
  #previous: Int32Array = new Int32Array(FEWEST);
  #weight: Float64Array = new Float64Array(FEWEST);
  /** The list an id is in, + 1; 0 for none. */
  #list: Uint8Array = new Uint8Array(FEWEST);
  readonly #oldest: number[];
  readonly #newest: number[];
  readonly #weights: number[];

  constructor(lists: number) {
    this.#oldest = new Array<number>(lists).fill(NONE);
    this.#newest = new Array<number>(lists).fill(NONE);
    this.#weights = new Array<number>(lists).fill(0);
  }

  /** The list the id is in; -1 for none. */
  listOf(id: number): number {
    return (this.#list[id] ?? 0) - 1;
  }

  /** The sum of a list's weights. */
  weightOf(list: number): number {
    return this.#weights[list] as number;
  }

  /** An id's weight, while it is in a list. */
  weight(id: number): number {
    return this.#weight[id] as number;
  }

  /** The one that came first; -1 when the list is empty. */
  oldest(list: number): number {
    return this.#oldest[list] as number;
  }

  /** The one that came last; -1 when the list is empty. */
  newest(list: number): number {
    return this.#newest[list] as number;
  }

  /** The one that came after this one; -1 for the last. */
  after(id: number): number {
    return this.#next[id] as number;
  }

  /** Appends an id that is in no list. */
  add(list: number, id: number, weight: number): void {
    if (id >= this.#list.length) this.#grow(id);
    const last = this.#newest[list] as number;
    this.#previous[id] = last;
    this.#next[id] = NONE;
    if (last === NONE) this.#oldest[list] = id;
    else this.#next[last] = id;
    this.#newest[list] = id;
    this.#list[id] = list + 1;
    this.#weight[id] = weight;
    this.#weights[list] = (this.#weights[list] as number) + weight;
  }

  /** Takes an id out of the list it is in. */
  remove(id: number): void {
    const list = (this.#list[id] as number) - 1;
    const next = this.#next[id] as number;
    const previous = this.#previous[id] as number;
    if (previous === NONE) this.#oldest[list] = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#newest[list] = previous;
    else this.#previous[next] = previous;
    this.#list[id] = 0;
    this.#weights[list] = (this.#weights[list] as number) - (this.#weight[id] as number);
  }

  /** To the end of a list, this one or another. */
  move(list: number, id: number): void {
    const weight = this.#weight[id] as number;
    this.remove(id);
    this.add(list, id, weight);
  }

  #grow(id: number): void {
    const room = Math.max(2 * this.#list.length, id + 1);
    const grown = <T extends { set(from: T): void }>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#next = grown(new Int32Array(room), this.#next);
    this.#previous = grown(new Int32Array(room), this.#previous);
    this.#weight = grown(new Float64Array(room), this.#weight);
    this.#list = grown(new Uint8Array(room), this.#list);
  }
}
