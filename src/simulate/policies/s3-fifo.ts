import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

const SMALL = 0;
const MAIN = 1;
const GHOST = 2;

const SMALL_SHARE = 0.1;
const MOST_USES = 3;
/** An id used at least so often while it was in the small queue goes on to main. */
const ENOUGH_USES = 2;

/**
 * Three FIFO queues (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023):
 * a small one for newcomers, a main one, and a ghost that remembers what left the small one unused.
 */
export function createS3Fifo(capacity: number): SimulatedPolicy {
  const lists = new IdLists(3);
  const small = Math.max(1, Math.floor(SMALL_SHARE * capacity));
  const main = Math.max(0, capacity - small);
  let uses = new Uint8Array(1024);
  const setUses = (id: number, count: number): void => {
    if (id >= uses.length) {
      const grown = new Uint8Array(Math.max(2 * uses.length, id + 1));
      grown.set(uses);
      uses = grown;
    }
    uses[id] = count;
  };
  const usesOf = (id: number): number => uses[id] ?? 0;
  const held = (): number => lists.weightOf(SMALL) + lists.weightOf(MAIN);

  const remember = (id: number): void => {
    const weight = lists.weight(id);
    lists.remove(id);
    while (lists.weightOf(GHOST) + weight > main && lists.weightOf(GHOST) > 0) lists.remove(lists.oldest(GHOST));
    if (weight <= main) lists.add(GHOST, id, weight);
  };
  const evictMain = (): void => {
    for (;;) {
      const id = lists.oldest(MAIN);
      if (usesOf(id) === 0) {
        lists.remove(id);
        return;
      }
      setUses(id, usesOf(id) - 1);
      lists.move(MAIN, id);
    }
  };
  const evictSmall = (): void => {
    const id = lists.oldest(SMALL);
    if (usesOf(id) < ENOUGH_USES) {
      remember(id);
      return;
    }
    setUses(id, 0);
    lists.move(MAIN, id);
    while (lists.weightOf(MAIN) > main) evictMain();
  };

  return {
    request(id, weight) {
      const list = lists.listOf(id);
      if (list === SMALL || list === MAIN) {
        setUses(id, Math.min(MOST_USES, usesOf(id) + 1));
        return true;
      }
      if (weight > capacity) return false;
      if (list === GHOST) lists.remove(id);
      while (held() + weight > capacity) {
        if (lists.weightOf(SMALL) >= small || lists.weightOf(MAIN) === 0) evictSmall();
        else evictMain();
      }
      setUses(id, 0);
      lists.add(list === GHOST ? MAIN : SMALL, id, weight);
      return false;
    },
    weightOf: (id) => (isHeld(lists.listOf(id)) ? lists.weight(id) : 0),
    remove(id) {
      if (isHeld(lists.listOf(id))) lists.remove(id);
    },
  };
}

function isHeld(list: number): boolean {
  return list === SMALL || list === MAIN;
}
