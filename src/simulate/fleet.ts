import { CacheError } from "../errors.js";
import { createBalancer, type Balance } from "./balance.js";
import { Hierarchy, newTierRun, type TierRun } from "./hierarchy.js";
import { createCacheOf, type Capacity } from "./policies/catalogue.js";
import type { OnlinePolicy } from "./policies/names.js";
import { checkedSample, countKeys, noRequests } from "./simulate.js";
import { correctedRatio, KeyCounts } from "./sample-correction.js";
import { capacityOf, type CacheSize } from "./sizes.js";
import { ratio, sumOf } from "./tally.js";
import { Completion } from "./trace/complete-batch.js";
import { TraceReader, type TraceOptions, type TraceSummary } from "./trace/read-trace.js";

export interface FleetOptions {
  readonly trace: TraceOptions;
  readonly processes: number;
  readonly balance: Balance;
  /** Of each process's memory. Every one is a fleet of its own. */
  readonly sizes: readonly CacheSize[];
  readonly policies: readonly OnlinePolicy[];
  /** Of the tier that all share; `undefined` for none. */
  readonly sharedSize?: CacheSize | undefined;
  /** @default "lru" */
  readonly sharedPolicy?: OnlinePolicy | undefined;
  readonly ttl?: number | undefined;
  readonly entrySize?: number | undefined;
  readonly rate?: number | undefined;
  /** @default 1 */
  readonly seed?: number | undefined;
}

/** One process of a fleet. */
export interface ProcessResult {
  readonly gets: number;
  readonly hits: number;
  readonly hitRatio: number;
}

/** A fleet with one policy and size of memory. */
export interface FleetResult {
  readonly policy: OnlinePolicy;
  readonly size: CacheSize;
  readonly capacity: Capacity;
  readonly processes: readonly ProcessResult[];
  /** Reads answered by the memories. */
  readonly memoryHitRatio: number;
  /** Of the reads that reached it, those the shared tier answered; `undefined` without one. */
  readonly sharedHitRatio: number | undefined;
  /** Reads answered by any tier. */
  readonly hitRatio: number;
  /** Reads that the source was asked for: gets − hits of memories − hits of the shared tier. */
  readonly sourceLoads: number;
  readonly gets: number;
}

export interface FleetSimulation {
  readonly trace: TraceSummary;
  readonly sample: number;
  readonly keys: number;
  readonly fleets: readonly FleetResult[];
}

const MOST_PROCESSES = 1024;

/** As many processes as wanted behind a load balancer, with a memory each and a tier they share. */
export async function simulateFleet(options: FleetOptions): Promise<FleetSimulation> {
  const sample = checkedSample(options.trace.sample ?? 1);
  checkProcesses(options.processes);
  const shared = options.sharedSize === undefined ? [] : [options.sharedSize];
  const needsKeys = [...options.sizes, ...shared].some(({ kind }) => kind === "share");
  const keys = needsKeys ? await countKeys(options.trace) : 0;
  const fleets = options.policies.flatMap((policy) =>
    options.sizes.map((size) => newFleet(options, policy, size, keys)),
  );
  const needsSizes = [...options.sizes, ...shared].some(({ kind }) => kind === "bytes");
  const rate = options.rate === undefined ? undefined : options.rate * sample;
  const completion = new Completion({ ...options, rate, needsSizes });
  const reader = new TraceReader(options.trace);
  for await (const batch of reader.batches()) {
    completion.complete(batch);
    for (const { hierarchy } of fleets) hierarchy.feed(batch);
  }
  const { summary } = reader;
  if (summary.requests === 0) throw noRequests(options.trace.path);
  return {
    trace: summary,
    sample,
    keys: Math.round(summary.keys / sample),
    fleets: fleets.map((fleet) => resultOf(fleet, summary, sample)),
  };
}

/** @throws CacheError `ERR_CACHE_OPTION` */
export function checkProcesses(processes: number): void {
  if (Number.isInteger(processes) && processes >= 1 && processes <= MOST_PROCESSES) return;
  throw new CacheError(
    "ERR_CACHE_OPTION",
    `Expected \`processes\` to be an integer from 1 to ${MOST_PROCESSES}, got \`${processes}\``,
  );
}

interface Fleet {
  readonly policy: OnlinePolicy;
  readonly size: CacheSize;
  readonly capacity: Capacity;
  readonly memories: readonly TierRun[];
  readonly shared: TierRun | undefined;
  readonly hierarchy: Hierarchy;
}

function newFleet(options: FleetOptions, policy: OnlinePolicy, size: CacheSize, keys: number): Fleet {
  const { processes, sharedSize, sharedPolicy = "lru", seed = 1 } = options;
  const sample = options.trace.sample ?? 1;
  const scaled = capacityOf(size, keys, sample);
  const counts = (): KeyCounts | undefined => (sample < 1 ? new KeyCounts() : undefined);
  const hitsByKey = counts();
  const memories = Array.from({ length: processes }, (_, at) =>
    newTierRun(createCacheOf(policy, scaled, seed + at), scaled.isBytes, hitsByKey),
  );
  const sharedCapacity = sharedSize === undefined ? undefined : capacityOf(sharedSize, keys, sample);
  const shared =
    sharedCapacity === undefined
      ? undefined
      : newTierRun(createCacheOf(sharedPolicy, sharedCapacity, seed), sharedCapacity.isBytes, counts());
  const balancer = createBalancer(options.balance, processes, seed);
  return {
    policy,
    size,
    capacity: { ...scaled, amount: size.kind === "share" ? Math.round(scaled.amount / sample) : size.amount },
    memories,
    shared,
    hierarchy: new Hierarchy(memories, shared === undefined ? [] : [shared], balancer, counts()),
  };
}

function resultOf(fleet: Fleet, trace: TraceSummary, sample: number): FleetResult {
  const { policy, size, capacity, memories, shared } = fleet;
  const processes = memories.map(({ tally }) => ({
    gets: tally.gets,
    hits: tally.hits,
    hitRatio: ratio(tally.hits, tally.gets),
  }));
  const sums = sumOf(memories.map(({ tally }) => tally));
  const { reads } = fleet.hierarchy;
  const shareOf = (hits: number, hitsByKey: KeyCounts | undefined): number =>
    reads === undefined || hitsByKey === undefined
      ? ratio(hits, sums.gets)
      : correctedRatio(hits, hitsByKey, { reads, tally: sums, requests: trace.requests, sample });
  const memoryShare = shareOf(sums.hits, memories[0]?.hitsByKey);
  const sharedShare = Math.min(1 - memoryShare, shareOf(shared?.tally.hits ?? 0, shared?.hitsByKey));
  const gets = Math.round(trace.requests * ratio(sums.gets, sums.gets + sums.sets + sums.deletes));
  return {
    policy,
    size,
    capacity,
    processes,
    memoryHitRatio: memoryShare,
    sharedHitRatio: shared === undefined ? undefined : ratio(sharedShare, 1 - memoryShare),
    hitRatio: memoryShare + sharedShare,
    sourceLoads: Math.round(gets * (1 - memoryShare - sharedShare)),
    gets,
  };
}
