import { IdLists } from "../id-lists.js";
import type { SimulatedPolicy } from "./policy.js";

/** Held, seen once and more than once; and remembered only, likewise. */
const T1 = 0;
const T2 = 1;
const B1 = 2;
const B2 = 3;

/**
 * The adaptive replacement cache (Megiddo, Modha, FAST 2003), whose steps are whole numbers as in the authors' figures.
 *
 * With weights, an id counts for what it weighs: in the lists, in the target, and in the step of the target. With
 * weights of 1 that is the paper's algorithm.
 */
export function createArc(capacity: number): SimulatedPolicy {
  const lists = new IdLists(4);
  let target = 0;
  const weightOf = (list: number): number => lists.weightOf(list);

  const replace = (isGhostOfB2: boolean): void => {
    const fromT1 =
      weightOf(T1) > 0 && (weightOf(T1) > target || (isGhostOfB2 && weightOf(T1) === target) || weightOf(T2) === 0);
    const from = fromT1 ? T1 : T2;
    lists.move(fromT1 ? B1 : B2, lists.oldest(from));
  };
  const makeRoom = (weight: number, isGhostOfB2: boolean): void => {
    while (weightOf(T1) + weightOf(T2) + weight > capacity) replace(isGhostOfB2);
  };
  const adapt = (list: number, weight: number): void => {
    const [own, other] = list === B1 ? [weightOf(B1), weightOf(B2)] : [weightOf(B2), weightOf(B1)];
    const step = weight * Math.max(1, Math.floor(other / own));
    target = list === B1 ? Math.min(capacity, target + step) : Math.max(0, target - step);
  };
  const forget = (weight: number): void => {
    while (weightOf(T1) + weightOf(B1) + weight > capacity) {
      lists.remove(weightOf(B1) > 0 ? lists.oldest(B1) : lists.oldest(T1));
    }
    const total = (): number => weightOf(T1) + weightOf(T2) + weightOf(B1) + weightOf(B2);
    while (total() + weight > 2 * capacity && weightOf(B2) > 0) lists.remove(lists.oldest(B2));
  };

  return {
    request(id, weight) {
      const list = lists.listOf(id);
      if (list === T1 || list === T2) {
        lists.move(T2, id);
        return true;
      }
      if (weight > capacity) return false;
      if (list === B1 || list === B2) {
        adapt(list, weight);
        lists.remove(id);
        makeRoom(weight, list === B2);
        lists.add(T2, id, weight);
        return false;
      }
      forget(weight);
      makeRoom(weight, false);
      lists.add(T1, id, weight);
      return false;
    },
    weightOf: (id) => (isHeld(lists.listOf(id)) ? lists.weight(id) : 0),
    remove(id) {
      if (isHeld(lists.listOf(id))) lists.remove(id);
    },
  };
}

function isHeld(list: number): boolean {
  return list === T1 || list === T2;
}
