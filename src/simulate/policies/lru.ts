import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

/** Least recently used. */
export function createLru(capacity: number): SimulatedPolicy {
  const lists = new IdLists(1);
  return {
    request(id, weight) {
      if (lists.listOf(id) === 0) {
        lists.move(0, id);
        return true;
      }
      if (weight > capacity) return false;
      while (lists.weightOf(0) + weight > capacity) lists.remove(lists.oldest(0));
      lists.add(0, id, weight);
      return false;
    },
    weightOf: (id) => (lists.listOf(id) === 0 ? lists.weight(id) : 0),
    remove(id) {
      if (lists.listOf(id) === 0) lists.remove(id);
    },
  };
}
