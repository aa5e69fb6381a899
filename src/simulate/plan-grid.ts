import { createBalancer, type Balance } from "./balance.js";
import { checkProcesses } from "./fleet.js";
import { Hierarchy, newTierRun, type TierRun } from "./hierarchy.js";
import { mix } from "./mix.js";
import { createCacheOf, type Capacity } from "./policies/catalogue.js";
import type { OnlinePolicy } from "./policies/names.js";
import { checkedSample, noRequests } from "./simulate.js";
import { correctedRatio, KeyCounts } from "./sample-correction.js";
import type { SimulatedCache } from "./simulated-cache.js";
import type { CacheSize } from "./sizes.js";
import { sumOf } from "./tally.js";
import { Completion, type Missing } from "./trace/complete-batch.js";
import { TraceReader, type TraceOptions } from "./trace/read-trace.js";
import { RequestBatch } from "./trace/request-batch.js";

export interface GridOptions {
  readonly trace: TraceOptions;
  /** Sizes of each process's memory; `undefined` for none. */
  readonly memories: readonly (CacheSize | undefined)[];
  /** Sizes of the shared tier; `undefined` for none. */
  readonly shared: readonly (CacheSize | undefined)[];
  readonly policy: OnlinePolicy;
  readonly sharedPolicy: OnlinePolicy;
  readonly processes: number;
  readonly balance: Balance;
  readonly ttl?: number | undefined;
  /** Bytes of an entry, where the trace tells no sizes. */
  readonly entrySize: number;
  /** Requests a second, where the trace tells no times. */
  readonly rate?: number | undefined;
  readonly seed: number;
}

/** What a trace is, as far as a plan needs it. */
export interface TraceFigures {
  readonly requests: number;
  /** Distinct keys, estimated if only a sample was read. */
  readonly keys: number;
  /** Bytes of an entry: the mean over the keys. */
  readonly entrySize: number;
  /** Requests a second, by the trace's times; `undefined` without them. */
  readonly rate: number | undefined;
}

/** A memory and a shared tier together. */
export interface GridCell {
  readonly memory: CacheSize | undefined;
  readonly shared: CacheSize | undefined;
  /** Of one process. */
  readonly memoryBytes: number;
  readonly sharedBytes: number;
  /** The parts of all reads that are answered by the memory, the shared tier, and the source. */
  readonly memoryShare: number;
  readonly sharedShare: number;
  readonly sourceShare: number;
  /** The standard error of `sourceShare`, by the spread between the samples; 0 when all keys were simulated. */
  readonly error: number;
}

export interface Grid {
  readonly figures: TraceFigures;
  /** The part of all keys that was simulated, in `slices` samples that have no key in common. */
  readonly sample: number;
  readonly slices: number;
  readonly cells: readonly GridCell[];
}

/** Keys in a sample: the error of a hit ratio is then a point or two; the mean of three comes closer. */
const KEYS_PER_SLICE = 8192;
const SLICES = 3;

/** No cache at all. */
const NOTHING: SimulatedCache = { get: () => false, set: () => undefined, delete: () => undefined };

/** Simulates every memory with every shared tier behind it: two passes of the trace, the second on a sample of keys. */
export async function simulateGrid(options: GridOptions): Promise<Grid> {
  checkProcesses(options.processes);
  const figures = await figuresOf(options);
  const isWhole = options.trace.sample === undefined && figures.keys <= SLICES * KEYS_PER_SLICE;
  const slices = isWhole ? 1 : SLICES;
  const sample = isWhole ? 1 : (options.trace.sample ?? Math.min(1, (SLICES * KEYS_PER_SLICE) / figures.keys));
  const runs = Array.from({ length: slices }, (_, slice) => new SliceRun(options, figures, sample / slices, slice));
  const completion = new Completion(missing(options, sample));
  const reader = new TraceReader({ ...options.trace, sample });
  for await (const batch of reader.batches()) {
    completion.complete(batch);
    for (const run of runs) run.feed(batch, slices);
  }
  const shares = runs.map((run) => run.shares(reader.summary.requests, sample / slices));
  const cells = pairsOf(options).map(([memory, shared], at): GridCell => {
    const parts = shares.map((slice) => slice[at] as Shares);
    return {
      memory,
      shared,
      memoryBytes: bytesOf(memory, figures),
      sharedBytes: bytesOf(shared, figures),
      memoryShare: mean(parts.map((part) => part.memory)),
      sharedShare: mean(parts.map((part) => part.shared)),
      sourceShare: mean(parts.map((part) => part.source)),
      error: standardError(parts.map((part) => part.source)),
    };
  });
  return { figures, sample, slices, cells };
}

function missing(options: GridOptions, sample: number): Missing {
  const rate = options.rate === undefined ? undefined : options.rate * sample;
  return { ttl: options.ttl, entrySize: options.entrySize, rate, needsSizes: true };
}

async function figuresOf(options: GridOptions): Promise<TraceFigures> {
  const sample = checkedSample(options.trace.sample ?? 1);
  const completion = new Completion(missing(options, sample));
  const reader = new TraceReader(options.trace);
  let keys = 0;
  let bytes = 0;
  for await (const batch of reader.batches()) {
    completion.complete(batch);
    for (let i = 0; i < batch.length; i += 1) {
      // Ids are dense: the first request of a key has the next one.
      if (batch.ids[i] !== keys) continue;
      keys += 1;
      bytes += batch.sizes[i] as number;
    }
  }
  const { requests } = reader.summary;
  if (keys === 0) throw noRequests(options.trace.path);
  const hasTimes = options.rate === undefined && completion.span > 0;
  return {
    requests,
    keys: Math.round(keys / sample),
    entrySize: Math.max(1, Math.round(bytes / keys)),
    rate: hasTimes ? (requests / completion.span) * 1000 : undefined,
  };
}

/** In bytes, as everything in a plan. */
function bytesOf(size: CacheSize | undefined, { keys, entrySize }: TraceFigures): number {
  if (size === undefined) return 0;
  if (size.kind === "bytes") return size.amount;
  return Math.round((size.kind === "share" ? size.share * keys : size.amount) * entrySize);
}

function pairsOf({
  memories,
  shared,
}: GridOptions): readonly (readonly [CacheSize | undefined, CacheSize | undefined])[] {
  return memories.flatMap((memory) => shared.map((other) => [memory, other] as const));
}

interface Shares {
  readonly memory: number;
  readonly shared: number;
  readonly source: number;
}

/** One sample of the keys, under every pair of sizes. */
class SliceRun {
  readonly #slice: number;
  readonly #batch = new RequestBatch();
  readonly #rows: readonly {
    hierarchy: Hierarchy;
    memories: readonly TierRun[];
    shared: readonly TierRun[];
  }[];

  constructor(options: GridOptions, figures: TraceFigures, sample: number, slice: number) {
    this.#slice = slice;
    const { processes, policy, sharedPolicy, seed } = options;
    const newTier = (
      size: CacheSize | undefined,
      name: OnlinePolicy,
      salt: number,
      counts = new KeyCounts(),
    ): TierRun => {
      if (size === undefined) return newTierRun(NOTHING, true, counts);
      const capacity: Capacity = { amount: Math.max(1, Math.round(bytesOf(size, figures) * sample)), isBytes: true };
      return newTierRun(createCacheOf(name, capacity, seed + salt), true, counts);
    };
    this.#rows = options.memories.map((size) => {
      const counts = new KeyCounts();
      const memories = Array.from({ length: processes }, (_, at) => newTier(size, policy, at, counts));
      const shared = options.shared.map((other) => newTier(other, sharedPolicy, slice));
      const balancer = createBalancer(options.balance, processes, seed);
      const hierarchy = new Hierarchy(memories, shared, balancer, new KeyCounts());
      return { hierarchy, memories, shared };
    });
  }

  feed(batch: RequestBatch, slices: number): void {
    const own = slices === 1 ? batch : this.#batch;
    if (own !== batch) {
      own.length = 0;
      for (let i = 0; i < batch.length; i += 1) {
        if (mix(batch.ids[i] as number) % slices === this.#slice) own.copy(batch, i);
      }
    }
    for (const { hierarchy } of this.#rows) hierarchy.feed(own);
  }

  /** For each pair, in the order of `pairsOf`. */
  shares(requests: number, sample: number): readonly Shares[] {
    return this.#rows.flatMap(({ hierarchy, memories, shared }) => {
      const tally = sumOf(memories.map((memory) => memory.tally));
      const traffic = { reads: hierarchy.reads as KeyCounts, tally, requests, sample };
      const memory = correctedRatio(tally.hits, memories[0]?.hitsByKey as KeyCounts, traffic);
      return shared.map((tier): Shares => {
        const answered = correctedRatio(tier.tally.hits, tier.hitsByKey as KeyCounts, traffic);
        return { memory, shared: Math.min(answered, 1 - memory), source: Math.max(0, 1 - memory - answered) };
      });
    });
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}
