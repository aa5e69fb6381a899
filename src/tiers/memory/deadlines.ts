/** Milliseconds from one look to the next at the most often: how long after its deadline a slot may wait. */
const TICK = 128;
/** Slots of a page, as a power of two. */
const PAGE_BITS = 7;
/** Pages looked through in one go. */
const MOST_PAGES = 1024;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * Slots by deadline, found when they are due without being looked for.
 *
 * Deadlines stand in one array by slot. Of each page of 128 slots the earliest deadline is known, or an earlier time: when
 * that has come, the page is looked through, what is due leaves, and the earliest of the rest is known again. So giving,
 * moving and taking away a deadline touch nothing but the slot and its page.
 *
 * A hierarchical timing wheel (Varghese & Lauck, SOSP 1987) would take 8 bytes more per slot for its links, and three random
 * accesses for each deadline given and taken away, where most entries of a full cache are evicted before their time.
 * Looking through a page costs some 0.1 µs, at most once for each deadline that was given; a million entries that live five
 * minutes cost 0.1 ms every 128 ms.
 *
 * Nothing is allocated before the first deadline; then 8 bytes per slot.
 */
export class Deadlines {
  #deadlines: Float64Array = new Float64Array(0);
  /** By page: no deadline in it is earlier. */
  #pages: Float64Array = new Float64Array(0);
  #slots = 0;
  #size = 0;
  /** No deadline is earlier; Infinity when there is none. */
  #earliest = NEVER;
  /** When to look next: the end of the tick of the earliest. */
  #next = NEVER;

  /** Slots that have a deadline. */
  get size(): number {
    return this.#size;
  }

  /** When `advance` next has something to do, in milliseconds; Infinity when no slot has a deadline. */
  get nextTime(): number {
    return this.#next;
  }

  /** Infinity when the slot has none. */
  of(slot: number): number {
    return this.#size === 0 ? NEVER : (this.#deadlines[slot] as number);
  }

  /** Whether a slot's deadline is `now` or earlier. (To hand out the deadline would allocate a number on the heap.) */
  isDue(slot: number, now: number): boolean {
    return this.#size !== 0 && (this.#deadlines[slot] as number) <= now;
  }

  /** Makes room for slots 0 to `slots` - 1; never fewer than before. */
  resize(slots: number): void {
    this.#slots = slots;
    if (this.#deadlines.length > 0) this.#allocate();
  }

  /** Gives a slot a deadline, in place of the one it may have; Infinity takes it away. */
  set(slot: number, deadline: number): void {
    if (deadline === NEVER) {
      this.remove(slot);
      return;
    }
    if (this.#deadlines.length === 0) this.#allocate();
    if (this.#deadlines[slot] === NEVER) this.#size += 1;
    this.#deadlines[slot] = deadline;
    const page = slot >>> PAGE_BITS;
    if (deadline < (this.#pages[page] as number)) this.#pages[page] = deadline;
    if (deadline < this.#earliest) this.#expect(deadline);
  }

  remove(slot: number): void {
    if (this.#size === 0 || this.#deadlines[slot] === NEVER) return;
    this.#deadlines[slot] = NEVER;
    this.#size -= 1;
    if (this.#size === 0) this.#expect(NEVER);
  }

  clear(): void {
    this.#deadlines = new Float64Array(0);
    this.#pages = new Float64Array(0);
    this.#slots = 0;
    this.#size = 0;
    this.#expect(NEVER);
  }

  /**
   * Takes away the deadlines that are `now` or earlier, in no promised order, and tells `expire` of each slot; one due
   * within the running tick may be left for the next.
   *
   * @param most slots to take; when there are more, `nextTime` is not after `now`.
   */
  advance(now: number, most: number, expire: (slot: number) => void): void {
    if (now < this.#next) return;
    const pages = this.#pages;
    let earliest = NEVER;
    let left = most;
    let visits = MOST_PAGES;
    for (let page = 0; page < pages.length; page += 1) {
      if ((pages[page] as number) <= now) {
        // The earliest stays what it is: there is more to do at once.
        if (visits === 0) return;
        visits -= 1;
        left = this.#visit(page, now, left, expire);
        if (left < 0) return;
      }
      if ((pages[page] as number) < earliest) earliest = pages[page] as number;
    }
    this.#expect(this.#size === 0 ? NEVER : earliest);
  }

  /** @returns how many more may be taken; -1 when there was one more than that. */
  #visit(page: number, now: number, most: number, expire: (slot: number) => void): number {
    const deadlines = this.#deadlines;
    const end = Math.min((page + 1) << PAGE_BITS, deadlines.length);
    let earliest = NEVER;
    let left = most;
    for (let slot = page << PAGE_BITS; slot < end; slot += 1) {
      const deadline = deadlines[slot] as number;
      if (deadline > now) {
        if (deadline < earliest) earliest = deadline;
        continue;
      }
      if (left === 0) return -1;
      left -= 1;
      this.remove(slot);
      expire(slot);
    }
    this.#pages[page] = earliest;
    return left;
  }

  #expect(earliest: number): void {
    this.#earliest = earliest;
    this.#next = Math.ceil(earliest / TICK) * TICK;
  }

  #allocate(): void {
    this.#deadlines = grown(this.#deadlines, this.#slots);
    this.#pages = grown(this.#pages, Math.ceil(this.#slots / 2 ** PAGE_BITS));
  }
}

function grown(times: Float64Array, length: number): Float64Array {
  const longer = new Float64Array(length).fill(NEVER, times.length);
  longer.set(times);
  return longer;
}
