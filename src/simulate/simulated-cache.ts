import { IdHeap } from "./id-heap.js";
import type { SimulatedPolicy } from "./policies/policy.js";

/** A cache in a simulation: a policy and what time does to its entries. Times are the trace's, in milliseconds. */
export interface SimulatedCache {
  /** A read: whether the id was held. One that was not is stored, to live until `deadline` (Infinity for ever). */
  get(id: number, weight: number, now: number, deadline: number): boolean;
  /** A write. */
  set(id: number, weight: number, now: number, deadline: number): void;
  delete(id: number, now: number): void;
}

/** The cache that a policy makes: entries leave at their deadline, without being read, as by a timer. */
export function createSimulatedCache(policy: SimulatedPolicy): SimulatedCache {
  return new PolicyCache(policy);
}

class PolicyCache implements SimulatedCache {
  readonly #policy: SimulatedPolicy;
  /** May name ids that were evicted: removing those does nothing. */
  readonly #deadlines = new IdHeap();

  constructor(policy: SimulatedPolicy) {
    this.#policy = policy;
  }

  get(id: number, weight: number, now: number, deadline: number): boolean {
    this.#expire(now);
    if (this.#policy.request(id, weight)) return true;
    this.#schedule(id, deadline);
    return false;
  }

  /** One of another weight is a new entry: no policy here can weigh again what it holds. */
  set(id: number, weight: number, now: number, deadline: number): void {
    this.#expire(now);
    const held = this.#policy.weightOf(id);
    if (held !== 0 && held !== weight) this.#policy.remove(id);
    this.#policy.request(id, weight);
    this.#schedule(id, deadline);
  }

  delete(id: number, now: number): void {
    this.#expire(now);
    this.#policy.remove(id);
  }

  #expire(now: number): void {
    while (this.#deadlines.least <= now) {
      const id = this.#deadlines.first;
      this.#deadlines.remove(id);
      this.#policy.remove(id);
    }
  }

  #schedule(id: number, deadline: number): void {
    if (deadline === Number.POSITIVE_INFINITY || this.#policy.weightOf(id) === 0) this.#deadlines.remove(id);
    else this.#deadlines.set(id, deadline);
  }
}
