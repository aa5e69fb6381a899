import type { EvictionPolicy, PolicyContext, PolicyStats } from "./policy.js";
import { SlotLists } from "./slot-lists.js";

const ORDER = 0;

/** Least recently used: no memory of frequency, no window. What a scan touches once pushes out what is used daily. */
export function createLru(_context: PolicyContext): EvictionPolicy {
  return new Lru();
}

class Lru implements EvictionPolicy {
  readonly stats: PolicyStats = { windowShare: 0 };
  readonly #order = new SlotLists(1);

  onAdd(slot: number): void {
    this.#order.append(ORDER, slot);
  }

  onUse(slots: Uint32Array, count: number): void {
    for (let i = 0; i < count; i += 1) this.#order.moveToEnd(ORDER, slots[i] as number);
  }

  onReplace(slot: number): void {
    this.#order.moveToEnd(ORDER, slot);
  }

  onRemove(slot: number): void {
    this.#order.remove(slot);
  }

  nextVictim(): number {
    return this.#order.first(ORDER);
  }

  onSpare(slot: number): void {
    this.#order.moveToEnd(ORDER, slot);
  }

  resize(slots: number): void {
    this.#order.resize(slots);
  }
}
