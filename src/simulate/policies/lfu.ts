import { IdHeap } from "../id-heap.js";
import type { SimulatedPolicy } from "./policy.js";

/** Uses and time in one number: a use outweighs any time. Exact for 2^20 uses of an id and 2^32 requests. */
const USE = 2 ** 32;
const MOST_USES = 2 ** 20;

/** Least frequently used, counted while an id is held; among equals the least recently used leaves. */
export function createLfu(capacity: number): SimulatedPolicy {
  const heap = new IdHeap();
  const uses = new Map<number, number>();
  const weights = new Map<number, number>();
  let total = 0;
  let time = 0;
  const use = (id: number): void => {
    const count = Math.min(MOST_USES, (uses.get(id) ?? 0) + 1);
    uses.set(id, count);
    heap.set(id, count * USE + time);
  };
  const drop = (id: number): void => {
    total -= weights.get(id) ?? 0;
    heap.remove(id);
    uses.delete(id);
    weights.delete(id);
  };
  const isOver = (): boolean => total > capacity;
  return {
    request(id, weight) {
      time += 1;
      if (heap.has(id)) {
        use(id);
        return true;
      }
      if (weight > capacity) return false;
      total += weight;
      while (isOver()) drop(heap.first);
      weights.set(id, weight);
      use(id);
      return false;
    },
    weightOf: (id) => weights.get(id) ?? 0,
    remove(id) {
      if (heap.has(id)) drop(id);
    },
  };
}
