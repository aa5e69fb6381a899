const FEWEST = 1024;
const NEVER = 0;

/** A point of a curve: a cache of so many entries has this hit ratio. */
export interface CurvePoint {
  readonly entries: number;
  readonly hitRatio: number;
}

/**
 * The hit ratio of LRU at every size at once, exactly (Mattson and others, 1970): a request hits in a cache of `n` entries
 * iff fewer than `n` other ids came since the last one for its id. That number is counted in a Fenwick tree over
 * the times of last requests (Bennett, Kruskal 1975), which is renumbered when it is full: O(log n) a request.
 *
 * Entries of one weight only, that neither expire nor are deleted.
 */
export class StackDistances {
  /** Time of the last request for an id, from 1; 0 for never. */
  #last: Int32Array = new Int32Array(FEWEST);
  /** The id whose last request was at a time, + 1; 0 for none. */
  #idAt: Int32Array = new Int32Array(FEWEST);
  #tree: Int32Array = new Int32Array(FEWEST);
  #time = 0;
  #keys = 0;
  #gets = 0;
  /** How many reads had which distance. */
  #distances: Float64Array = new Float64Array(FEWEST);

  /** A write counts as a use, and in no hit ratio. */
  request(id: number, isRead: boolean): void {
    if (id >= this.#last.length) this.#growIds(id);
    if (this.#time + 1 >= this.#tree.length) this.#renumber();
    const last = this.#last[id] as number;
    if (isRead) this.#gets += 1;
    if (last === NEVER) {
      this.#keys += 1;
    } else {
      const distance = this.#keys - this.#sum(last) + 1;
      if (isRead) this.#distances[distance] = (this.#distances[distance] as number) + 1;
      this.#add(last, -1);
      this.#idAt[last] = 0;
    }
    this.#time += 1;
    this.#add(this.#time, 1);
    this.#last[id] = this.#time;
    this.#idAt[this.#time] = id + 1;
    if (this.#keys + 1 >= this.#distances.length) this.#growDistances();
  }

  /** Reads that hit in a cache of so many entries. */
  hits(entries: number): number {
    let hits = 0;
    for (let distance = 1; distance <= Math.min(entries, this.#keys); distance += 1) {
      hits += this.#distances[distance] as number;
    }
    return hits;
  }

  /** The curve at so many sizes, evenly spread on a logarithmic scale, from 1 to all keys. */
  curve(points: number): readonly CurvePoint[] {
    const curve: CurvePoint[] = [];
    let hits = 0;
    let entries = 0;
    for (let i = 0; i < points && this.#keys > 0; i += 1) {
      const size = Math.round(this.#keys ** (i / Math.max(1, points - 1)));
      if (size === entries) continue;
      for (; entries < size; entries += 1) hits += this.#distances[entries + 1] as number;
      curve.push({ entries, hitRatio: this.#gets === 0 ? 0 : hits / this.#gets });
    }
    return curve;
  }

  /** Ids whose last request was at this time or before. */
  #sum(time: number): number {
    let sum = 0;
    for (let at = time; at > 0; at -= at & -at) sum += this.#tree[at] as number;
    return sum;
  }

  #add(time: number, change: number): void {
    const tree = this.#tree;
    for (let at = time; at < tree.length; at += at & -at) tree[at] = (tree[at] as number) + change;
  }

  /** Times become 1, 2, 3… in the same order, with room for as many more. */
  #renumber(): void {
    const ids = this.#idAt.subarray(1, this.#time + 1).filter((id) => id !== 0);
    const room = Math.max(FEWEST, 2 * ids.length + 2);
    this.#idAt = new Int32Array(room);
    this.#tree = new Int32Array(room);
    this.#idAt.set(ids, 1);
    this.#time = ids.length;
    for (let time = 1; time <= ids.length; time += 1) {
      this.#last[(ids[time - 1] as number) - 1] = time;
      this.#tree[time] = (this.#tree[time] as number) + 1;
      const above = time + (time & -time);
      if (above < room) this.#tree[above] = (this.#tree[above] as number) + (this.#tree[time] as number);
    }
    // The counts of the ids end where their times do; those above were added by their parts.
    for (let time = ids.length + 1; time < room; time += 1) {
      const above = time + (time & -time);
      if (above < room) this.#tree[above] = (this.#tree[above] as number) + (this.#tree[time] as number);
    }
  }

  #growIds(id: number): void {
    const last = new Int32Array(Math.max(2 * this.#last.length, id + 1));
    last.set(this.#last);
    this.#last = last;
  }

  #growDistances(): void {
    const distances = new Float64Array(2 * this.#distances.length);
    distances.set(this.#distances);
    this.#distances = distances;
  }
}
