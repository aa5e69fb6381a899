import { SlotLists } from "./slot-lists.js";

/** Milliseconds of the finest bucket: how long after its deadline an entry may keep its memory. */
const TICK = 128;
const BUCKETS = 64;
const LEVELS = 5;
/** Ticks per bucket of each level: 128 ms, 8 s, 9 min, 9 h, 25 days. */
const SPANS: readonly number[] = Array.from({ length: LEVELS }, (_, level) => BUCKETS ** level);
/** 4.4 years; what is due later waits in the last level and is sorted again when its bucket comes. */
const HORIZON: number = BUCKETS ** LEVELS;

/**
 * Slots by deadline, found when they are due without being looked for: a hierarchical timing wheel
 * (Varghese & Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987).
 *
 * A deadline belongs to tick ⌈deadline / 128 ms⌉. Level n holds 64 buckets of 64ⁿ ticks; a slot sits in the lowest
 * level that reaches its tick. When time enters a bucket it is visited: each of its slots is expired if due, else
 * placed again, which lands it in a lower level.
 *
 * Invariants: a slot's bucket is visited no later than its tick; visiting early is harmless. So a deadline moved
 * back costs no relinking: the visit finds the slot not due and places it again.
 *
 * Adding and removing are O(1); a slot is placed at most once per level, more often only when its deadline moves.
 * Nothing is allocated before the first deadline; then 16 bytes per slot.
 */
export class TimerWheel {
  #lists: SlotLists | undefined;
  #deadlines: Float64Array = new Float64Array(0);
  #slots = 0;
  #size = 0;
  /** All ticks up to this one have been visited. */
  #current: number;
  /** No bucket with slots in it is visited before this tick. */
  #next = Number.POSITIVE_INFINITY;

  constructor(now: number) {
    this.#current = Math.floor(now / TICK);
  }

  /** Slots that have a deadline. */
  get size(): number {
    return this.#size;
  }

  /** When `advance` next has something to do, in milliseconds; Infinity when no slot has a deadline. */
  get nextTime(): number {
    return this.#next * TICK;
  }

  /** Infinity when the slot has none. */
  deadlineOf(slot: number): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#deadlines[slot] as number);
  }

  resize(slots: number): void {
    this.#slots = slots;
    if (this.#lists === undefined) return;
    this.#lists.resize(slots);
    const deadlines = new Float64Array(slots).fill(Number.POSITIVE_INFINITY);
    deadlines.set(this.#deadlines);
    this.#deadlines = deadlines;
  }

  /** Gives a slot a deadline, in place of the one it may have; Infinity takes it away; one that is over is due at the next tick. */
  schedule(slot: number, deadline: number): void {
    if (deadline === Number.POSITIVE_INFINITY) {
      this.remove(slot);
      return;
    }
    const previous = this.deadlineOf(slot);
    const isNew = previous === Number.POSITIVE_INFINITY;
    const lists = this.#buckets();
    this.#deadlines[slot] = deadline;
    // Later than before: the visit at the old time will place it again.
    if (deadline >= previous) return;
    if (isNew) this.#size += 1;
    else lists.remove(slot);
    this.#place(slot, deadline);
  }

  remove(slot: number): void {
    if (this.deadlineOf(slot) === Number.POSITIVE_INFINITY) return;
    this.#lists?.remove(slot);
    this.#forget(slot);
  }

  clear(): void {
    this.#lists = undefined;
    this.#deadlines = new Float64Array(0);
    this.#slots = 0;
    this.#size = 0;
    this.#next = Number.POSITIVE_INFINITY;
  }

  /**
   * Takes out the slots whose deadlines are `now` or earlier, in no promised order, and tells `expire` of each; a slot
   * due within the running tick may be left for the next.
   *
   * @param most slots to look at; when there are more, `nextTime` is not after `now`.
   */
  advance(now: number, most: number, expire: (slot: number) => void): void {
    const target = Math.floor(now / TICK);
    let left = most;
    while (this.#next <= target) {
      const tick = this.#next;
      this.#current = tick;
      left = this.#visit(tick, now, left, expire);
      // Some of this tick's slots are still there: it stays the next to visit.
      if (left < 0) return;
      this.#next = this.#findNext();
    }
    // Also when the clock went back: buckets then come round early, which is harmless.
    this.#current = target;
  }

  #visit(tick: number, now: number, most: number, expire: (slot: number) => void): number {
    const lists = this.#buckets();
    let left = most;
    for (let level = 0; level < LEVELS && tick % (SPANS[level] as number) === 0; level += 1) {
      const bucket = bucketOf(level, tick);
      for (let slot = lists.first(bucket); slot !== -1; slot = lists.first(bucket)) {
        left -= 1;
        if (left < 0) return left;
        lists.remove(slot);
        const deadline = this.#deadlines[slot] as number;
        if (deadline > now) {
          this.#place(slot, deadline);
        } else {
          this.#forget(slot);
          expire(slot);
        }
      }
    }
    return left;
  }

  #place(slot: number, deadline: number): void {
    const lists = this.#buckets();
    const earliest = this.#current + 1;
    const due = Math.min(Math.max(Math.ceil(deadline / TICK), earliest), this.#current + HORIZON - 1);
    let level = 0;
    while (due - this.#current >= (SPANS[level] as number) * BUCKETS) level += 1;
    lists.append(bucketOf(level, due), slot);
    const span = SPANS[level] as number;
    const visit = Math.floor(due / span) * span;
    if (visit < this.#next) this.#next = visit;
  }

  #forget(slot: number): void {
    this.#deadlines[slot] = Number.POSITIVE_INFINITY;
    this.#size -= 1;
    if (this.#size === 0) this.#next = Number.POSITIVE_INFINITY;
  }

  /** The first tick after the current one that enters a bucket with slots in it. */
  #findNext(): number {
    let next = Number.POSITIVE_INFINITY;
    if (this.#size === 0) return next;
    const lists = this.#buckets();
    for (let level = 0; level < LEVELS; level += 1) {
      const span = SPANS[level] as number;
      const here = Math.floor(this.#current / span);
      for (let step = 1; step <= BUCKETS && (here + step) * span < next; step += 1) {
        if (!lists.isEmpty(bucketOf(level, (here + step) * span))) next = (here + step) * span;
      }
    }
    return next;
  }

  #buckets(): SlotLists {
    if (this.#lists === undefined) {
      this.#lists = new SlotLists(LEVELS * BUCKETS);
      this.resize(this.#slots);
    }
    return this.#lists;
  }
}

function bucketOf(level: number, tick: number): number {
  return level * BUCKETS + (Math.floor(tick / (SPANS[level] as number)) & (BUCKETS - 1));
}
