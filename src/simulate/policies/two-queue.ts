import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

const IN = 0;
const MAIN = 1;
const OUT = 2;
const IN_SHARE = 0.25;
const OUT_SHARE = 0.5;

/**
 * 2Q, full version (Johnson, Shasha, VLDB 1994), with the shares the paper recommends: a FIFO queue for newcomers, an
 * LRU list for what is asked for again after it left that queue, and a memory of what left it.
 */
export function createTwoQueue(capacity: number): SimulatedPolicy {
  const lists = new IdLists(3);
  const mostIn = Math.max(1, Math.floor(IN_SHARE * capacity));
  const mostOut = Math.max(1, Math.floor(OUT_SHARE * capacity));
  const evict = (): void => {
    if (lists.weightOf(IN) > mostIn || lists.weightOf(MAIN) === 0) {
      lists.move(OUT, lists.oldest(IN));
      while (lists.weightOf(OUT) > mostOut) lists.remove(lists.oldest(OUT));
    } else {
      lists.remove(lists.oldest(MAIN));
    }
  };
  return {
    request(id, weight) {
      const list = lists.listOf(id);
      if (list === MAIN) lists.move(MAIN, id);
      if (list === MAIN || list === IN) return true;
      if (weight > capacity) return false;
      if (list === OUT) lists.remove(id);
      while (lists.weightOf(IN) + lists.weightOf(MAIN) + weight > capacity) evict();
      lists.add(list === OUT ? MAIN : IN, id, weight);
      return false;
    },
    weightOf: (id) => (isHeld(lists.listOf(id)) ? lists.weight(id) : 0),
    remove(id) {
      if (isHeld(lists.listOf(id))) lists.remove(id);
    },
  };
}

function isHeld(list: number): boolean {
  return list === IN || list === MAIN;
}
