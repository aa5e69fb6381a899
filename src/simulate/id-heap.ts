const FEWEST = 1024;

/** A binary heap of ids by priority, the least first; an id is in it once, and its priority may change. O(log n). */
export class IdHeap {
  #heap: number[] = [];
  #priority: Float64Array = new Float64Array(FEWEST);
  /** Where an id is in the heap, + 1; 0 for nowhere. */
  #place: Int32Array = new Int32Array(FEWEST);

  get size(): number {
    return this.#heap.length;
  }

  has(id: number): boolean {
    return (this.#place[id] ?? 0) !== 0;
  }

  /** The id with the least priority; -1 when there is none. */
  get first(): number {
    return this.#heap[0] ?? -1;
  }

  /** The least priority; Infinity when there is none. */
  get least(): number {
    const first = this.#heap[0];
    return first === undefined ? Number.POSITIVE_INFINITY : (this.#priority[first] as number);
  }

  /** Adds the id, or changes its priority. */
  set(id: number, priority: number): void {
    if (id >= this.#place.length) this.#grow(id);
    this.#priority[id] = priority;
    if (this.#place[id] === 0) {
      this.#heap.push(id);
      this.#place[id] = this.#heap.length;
    }
    this.#up((this.#place[id] as number) - 1);
    this.#down((this.#place[id] as number) - 1);
  }

  remove(id: number): void {
    if (!this.has(id)) return;
    const at = (this.#place[id] as number) - 1;
    this.#place[id] = 0;
    const last = this.#heap.pop() as number;
    if (last === id) return;
    this.#put(last, at);
    this.#up(at);
    this.#down((this.#place[last] as number) - 1);
  }

  #up(from: number): void {
    const id = this.#heap[from] as number;
    const priority = this.#priority[id] as number;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#heap[above] as number;
      if ((this.#priority[parent] as number) <= priority) break;
      this.#put(parent, at);
      at = above;
    }
    this.#put(id, at);
  }

  #down(from: number): void {
    const heap = this.#heap;
    const id = heap[from] as number;
    const priority = this.#priority[id] as number;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const isRightLess =
        child + 1 < heap.length &&
        (this.#priority[heap[child + 1] as number] as number) < (this.#priority[heap[child] as number] as number);
      if (isRightLess) child += 1;
      if ((this.#priority[heap[child] as number] as number) >= priority) break;
      this.#put(heap[child] as number, at);
      at = child;
    }
    this.#put(id, at);
  }

  #put(id: number, at: number): void {
    this.#heap[at] = id;
    this.#place[id] = at + 1;
  }

  #grow(id: number): void {
    const room = Math.max(2 * this.#place.length, id + 1);
    const priority = new Float64Array(room);
    priority.set(this.#priority);
    this.#priority = priority;
    const place = new Int32Array(room);
    place.set(this.#place);
    this.#place = place;
  }
}
