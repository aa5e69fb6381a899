import type { Balancer } from "./balance.js";
import type { SimulatedCache } from "./simulated-cache.js";
import type { KeyCounts } from "./sample-correction.js";
import { newTally, type Tally } from "./tally.js";
import { DELETE, GET, type RequestBatch } from "./trace/request-batch.js";

/** A cache with what it did, and whether its capacity counts bytes. */
export interface TierRun {
  readonly cache: SimulatedCache;
  readonly isBytes: boolean;
  readonly tally: Tally;
  /** Told of every hit. */
  readonly hitsByKey: KeyCounts | undefined;
}

/** @param hitsByKey may be shared by several, whose hits are then counted together. */
export function newTierRun(cache: SimulatedCache, isBytes: boolean, hitsByKey?: KeyCounts): TierRun {
  return { cache, isBytes, tally: newTally(), hitsByKey };
}

/**
 * Processes with a memory each, in front of one or more shared tiers, each of which sees every miss: what a read
 * finds in none is loaded, and what was loaded or found is stored in the memory that asked. A write goes to the
 * writer's memory and the shared tiers and removes other processes' copies; a removal removes all.
 *
 * Shared tiers do not see one another: several are as many simulations at once.
 */
export class Hierarchy {
  /** How often each key was read. */
  readonly reads: KeyCounts | undefined;
  readonly #memories: readonly TierRun[];
  readonly #shared: readonly TierRun[];
  readonly #balancer: Balancer;

  /** @param reads counts the reads of each key, when it is given. */
  constructor(memories: readonly TierRun[], shared: readonly TierRun[], balancer: Balancer, reads?: KeyCounts) {
    this.reads = reads;
    this.#memories = memories;
    this.#shared = shared;
    this.#balancer = balancer;
  }

  feed(batch: RequestBatch): void {
    for (let i = 0; i < batch.length; i += 1) {
      const id = batch.ids[i] as number;
      const chosen = this.#memories[this.#balancer(id, batch.clients[i] as number)] as TierRun;
      const operation = batch.operations[i];
      if (operation === GET) {
        this.reads?.add(id);
        if (read(chosen, batch, i)) continue;
        for (const tier of this.#shared) read(tier, batch, i);
      } else {
        const now = batch.times[i] as number;
        for (const memory of this.#memories)
          if (operation === DELETE || memory !== chosen) memory.cache.delete(id, now);
        for (const tier of this.#shared) if (operation === DELETE) tier.cache.delete(id, now);
        count(chosen.tally, operation === DELETE);
        if (operation !== DELETE) for (const tier of [chosen, ...this.#shared]) write(tier, batch, i);
      }
    }
  }
}

function read({ cache, isBytes, tally, hitsByKey }: TierRun, batch: RequestBatch, i: number): boolean {
  const size = batch.sizes[i] as number;
  const now = batch.times[i] as number;
  const isHit = cache.get(batch.ids[i] as number, isBytes ? size : 1, now, now + (batch.ttls[i] as number));
  tally.gets += 1;
  tally.bytes += size;
  if (isHit) {
    tally.hits += 1;
    tally.hitBytes += size;
    hitsByKey?.add(batch.ids[i] as number);
  }
  return isHit;
}

function write({ cache, isBytes }: TierRun, batch: RequestBatch, i: number): void {
  const now = batch.times[i] as number;
  const weight = isBytes ? (batch.sizes[i] as number) : 1;
  cache.set(batch.ids[i] as number, weight, now, now + (batch.ttls[i] as number));
}

function count(tally: Tally, isDelete: boolean): void {
  if (isDelete) tally.deletes += 1;
  else tally.sets += 1;
}
