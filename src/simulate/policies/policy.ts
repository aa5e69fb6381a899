/**
 * An eviction policy with all it remembers: which ids are held, in a capacity of so much weight.
 *
 * An id heavier than the capacity is never held. With every weight 1 the capacity is a number of entries.
 */
export interface SimulatedPolicy {
  /** A request for an id: whether it was held, which is a use. One that was not is offered, and may be held afterwards. */
  request(id: number, weight: number): boolean;
  /** What the id weighs, 1 or more; 0 when it is not held. */
  weightOf(id: number): number;
  /** Takes the id out if it is held, for another reason than room; its history is not told. */
  remove(id: number): void;
}
