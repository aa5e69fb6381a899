import { IdHeap } from "../id-heap.js";
import type { Recording } from "../recording.js";
import type { KeyCounts } from "../sample-correction.js";
import { newTally, type Tally } from "../tally.js";
import { DELETE, GET } from "../trace/request-batch.js";
import type { Capacity } from "./catalogue.js";

interface OptRun {
  readonly capacity: Capacity;
  /** Told of every hit. */
  readonly hitsByKey?: KeyCounts | undefined;
}

const NEVER = 2 ** 31 - 1;

/**
 * For each request when its entry is read next, as an index: `NEVER` when it is written or deleted before, or read no
 * more, for then nobody misses it.
 */
export function nextReads(trace: Recording, keys: number): Int32Array {
  const next = new Int32Array(trace.length);
  const upcoming = new Int32Array(keys).fill(NEVER);
  for (let at = trace.length - 1; at >= 0; at -= 1) {
    const id = trace.id(at);
    next[at] = upcoming[id] as number;
    upcoming[id] = trace.operation(at) === GET ? at : NEVER;
  }
  return next;
}

/**
 * The optimum (Belady 1966), which no policy can beat: room is made by what is read again last, the newcomer included.
 *
 * Exact for entries of one weight that do not expire. With bytes the optimum is NP-hard, and this is the usual
 * greedy approximation; with times to live it is one too.
 */
export function simulateOpt(trace: Recording, keys: number, { capacity, hitsByKey }: OptRun, next: Int32Array): Tally {
  const tally = newTally();
  const held = new HeldUntil(keys);
  for (let at = 0; at < trace.length; at += 1) {
    const id = trace.id(at);
    const operation = trace.operation(at);
    const now = trace.time(at);
    if (operation === DELETE) {
      tally.deletes += 1;
      held.remove(id);
      continue;
    }
    if (operation === GET) {
      const isHit = held.has(id, now);
      tally.gets += 1;
      tally.bytes += trace.size(at);
      if (isHit) {
        tally.hits += 1;
        tally.hitBytes += trace.size(at);
        hitsByKey?.add(id);
        held.postpone(id, usefulRead(trace, next[at] as number, held.deadline(id)));
        continue;
      }
    } else {
      tally.sets += 1;
    }
    held.remove(id);
    const deadline = now + trace.ttl(at);
    const weight = capacity.isBytes ? trace.size(at) : 1;
    held.add(id, weight, deadline, usefulRead(trace, next[at] as number, deadline));
    while (held.weight > capacity.amount) held.removeLast();
  }
  return tally;
}

/** A read after the deadline is no use. */
function usefulRead(trace: Recording, at: number, deadline: number): number {
  return at === NEVER || (deadline !== Number.POSITIVE_INFINITY && trace.time(at) >= deadline) ? NEVER : at;
}

class HeldUntil {
  weight = 0;
  /** By the next read, the last one first. */
  readonly #heap = new IdHeap();
  readonly #weights: Float64Array;
  readonly #deadlines: Float64Array;

  constructor(keys: number) {
    this.#weights = new Float64Array(keys);
    this.#deadlines = new Float64Array(keys);
  }

  has(id: number, now: number): boolean {
    return this.#heap.has(id) && !(this.deadline(id) <= now);
  }

  deadline(id: number): number {
    return this.#deadlines[id] as number;
  }

  postpone(id: number, nextRead: number): void {
    this.#heap.set(id, -nextRead);
  }

  add(id: number, weight: number, deadline: number, nextRead: number): void {
    this.weight += weight;
    this.#weights[id] = weight;
    this.#deadlines[id] = deadline;
    this.#heap.set(id, -nextRead);
  }

  remove(id: number): void {
    if (!this.#heap.has(id)) return;
    this.weight -= this.#weights[id] as number;
    this.#heap.remove(id);
  }

  removeLast(): void {
    this.remove(this.#heap.first);
  }
}
