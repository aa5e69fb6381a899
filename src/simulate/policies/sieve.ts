import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

/**
 * SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi, NSDI 2024): one queue whose hand goes from the oldest to the newest and
 * removes the first that was not visited since it last came by. Survivors stay where they are.
 */
export function createSieve(capacity: number): SimulatedPolicy {
  const lists = new IdLists(1);
  const visited = new Set<number>();
  let hand = -1;
  /** Before it leaves, so that the hand never stands on what is gone. */
  const drop = (id: number): void => {
    if (hand === id) hand = lists.after(id);
    visited.delete(id);
    lists.remove(id);
  };
  const evict = (): void => {
    let id = hand === -1 ? lists.oldest(0) : hand;
    while (visited.delete(id)) {
      const next = lists.after(id);
      id = next === -1 ? lists.oldest(0) : next;
    }
    hand = id;
    drop(id);
  };
  return {
    request(id, weight) {
      if (lists.listOf(id) === 0) {
        visited.add(id);
        return true;
      }
      if (weight > capacity) return false;
      while (lists.weightOf(0) + weight > capacity) evict();
      lists.add(0, id, weight);
      return false;
    },
    weightOf: (id) => (lists.listOf(id) === 0 ? lists.weight(id) : 0),
    remove(id) {
      if (lists.listOf(id) === 0) drop(id);
    },
  };
}
