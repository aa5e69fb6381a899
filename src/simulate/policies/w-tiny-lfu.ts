import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

const WINDOW = 0;
const PROBATION = 1;
const PROTECTED = 2;

const WINDOW_SHARE = 0.01;
const PROTECTED_SHARE = 0.8;
/** Counts are halved after so many requests for each entry the cache has ever held at once. */
const SAMPLE_PER_ENTRY = 10;
const MOST_COUNTED = 15;

/**
 * W-TinyLFU with a window of 1 % (Einziger, Friedman, Manes, ACM ToS 2017): newcomers wait in an LRU window, and enter
 * a segmented LRU only if they were asked for more often than what has to leave.
 *
 * Frequencies are counted exactly, where a real cache has a sketch: what is measured is the policy, not its hashing.
 */
export function createWTinyLfu(capacity: number): SimulatedPolicy {
  const lists = new IdLists(3);
  const window = Math.max(1, Math.round(WINDOW_SHARE * capacity));
  const mostProtected = Math.floor(PROTECTED_SHARE * (capacity - window));
  const counts = new AgingCounts();
  let entries = 0;
  const held = (): number => lists.weightOf(WINDOW) + lists.weightOf(PROBATION) + lists.weightOf(PROTECTED);

  const drop = (id: number): void => {
    entries -= 1;
    lists.remove(id);
  };
  const oldestOfMain = (): number => {
    const oldest = lists.oldest(PROBATION);
    return oldest === -1 ? lists.oldest(PROTECTED) : oldest;
  };
  /** The window's oldest contests with main's until the rest fits; the loser leaves. */
  const makeRoom = (): void => {
    while (held() > capacity) {
      const candidate = lists.weightOf(WINDOW) > window ? lists.oldest(WINDOW) : -1;
      const victim = oldestOfMain();
      if (candidate === -1) drop(victim === -1 ? lists.oldest(WINDOW) : victim);
      else if (victim === -1 || counts.of(candidate) <= counts.of(victim)) drop(candidate);
      else drop(victim);
    }
    while (lists.weightOf(WINDOW) > window) lists.move(PROBATION, lists.oldest(WINDOW));
  };

  return {
    request(id, weight) {
      counts.add(id);
      const list = lists.listOf(id);
      if (list === PROBATION || list === PROTECTED) {
        lists.move(PROTECTED, id);
        while (lists.weightOf(PROTECTED) > mostProtected) lists.move(PROBATION, lists.oldest(PROTECTED));
        return true;
      }
      if (list === WINDOW) {
        lists.move(WINDOW, id);
        return true;
      }
      if (weight > capacity) return false;
      lists.add(WINDOW, id, weight);
      entries += 1;
      makeRoom();
      counts.period = Math.max(counts.period, SAMPLE_PER_ENTRY * entries);
      return false;
    },
    weightOf: (id) => (lists.listOf(id) === -1 ? 0 : lists.weight(id)),
    remove(id) {
      if (lists.listOf(id) !== -1) drop(id);
    },
  };
}

/** How often ids were asked for lately: each count is halved once in a period, and ends at 15. */
class AgingCounts {
  /** Requests; 0 for no aging. */
  period = 0;
  #counts: Uint8Array = new Uint8Array(1024);
  /** The number of the period in which the count was true: halving is made up for when it is looked at. */
  #epochs: Int32Array = new Int32Array(1024);
  #epoch = 0;
  #added = 0;

  of(id: number): number {
    const halvings = Math.min(31, this.#epoch - (this.#epochs[id] ?? 0));
    return (this.#counts[id] ?? 0) >> halvings;
  }

  add(id: number): void {
    if (id >= this.#counts.length) this.#grow(id);
    this.#counts[id] = Math.min(MOST_COUNTED, this.of(id) + 1);
    this.#epochs[id] = this.#epoch;
    this.#added += 1;
    if (this.period === 0 || this.#added < this.period) return;
    this.#added = 0;
    this.#epoch += 1;
  }

  #grow(id: number): void {
    const room = Math.max(2 * this.#counts.length, id + 1);
    const counts = new Uint8Array(room);
    counts.set(this.#counts);
    this.#counts = counts;
    const epochs = new Int32Array(room);
    epochs.set(this.#epochs);
    this.#epochs = epochs;
  }
}
