import { CacheError } from "../errors.js";
import { createCacheOf, type Capacity } from "./policies/catalogue.js";
import type { PolicyName } from "./policies/names.js";
import { nextReads, simulateOpt } from "./policies/opt.js";
import { Recording } from "./recording.js";
import type { SimulatedCache } from "./simulated-cache.js";
import { capacityOf, type CacheSize } from "./sizes.js";
import { correctedRatio, KeyCounts } from "./sample-correction.js";
import { StackDistances, type CurvePoint } from "./stack-distances.js";
import { newTally, ratio, type Tally } from "./tally.js";
import { Completion } from "./trace/complete-batch.js";
import { TraceReader, type TraceOptions, type TraceSummary } from "./trace/read-trace.js";
import { DELETE, GET, type RequestBatch } from "./trace/request-batch.js";
import { TraceError } from "./trace/trace-error.js";

export interface SimulateOptions {
  readonly trace: TraceOptions;
  readonly sizes: readonly CacheSize[];
  readonly policies: readonly PolicyName[];
  /** Milliseconds to live, of requests that name none; `undefined` for ever. */
  readonly ttl?: number | undefined;
  /** Bytes of an entry, for a trace that tells no sizes. */
  readonly entrySize?: number | undefined;
  /** Requests a second, for a trace that tells no times. */
  readonly rate?: number | undefined;
  /** Seed of the policies that use chance. @default 1 */
  readonly seed?: number | undefined;
  /** Whether LRU's whole curve is wanted. @default false */
  readonly curve?: boolean | undefined;
}

/** One policy at one size. */
export interface SimulatedPoint {
  readonly policy: PolicyName;
  readonly size: CacheSize;
  /** Of the cache it stands for, where it was simulated on a sample: entries or bytes. */
  readonly capacity: Capacity;
  readonly tally: Tally;
  /** Hits of all reads; with a sample, corrected for how much of the traffic the sample has. */
  readonly hitRatio: number;
  /** As `hitRatio`, by bytes; `undefined` when no sizes are known. */
  readonly byteHitRatio: number | undefined;
  readonly isApproximate: boolean;
}

export interface Simulation {
  readonly trace: TraceSummary;
  /** The part of all keys that was simulated. */
  readonly sample: number;
  /** Distinct keys of the whole trace, estimated from the sample. */
  readonly keys: number;
  /** By policy, and for each by size, in the order given. */
  readonly points: readonly SimulatedPoint[];
  /** LRU's, when it was asked for; `undefined` when it was not, or entries expire or are deleted. */
  readonly lruCurve: readonly CurvePoint[] | undefined;
}

const CURVE_POINTS = 96;

/** Every policy at every size, side by side in one pass of the trace; one pass before it when a size is a share of all keys. */
export async function simulate(options: SimulateOptions): Promise<Simulation> {
  const sample = checkedSample(options.trace.sample ?? 1);
  const known = options.sizes.some(({ kind }) => kind === "share") ? await countKeys(options.trace) : 0;
  const run = new Run(options, known, sample);
  const reader = new TraceReader(options.trace);
  for await (const batch of reader.batches()) run.feed(batch);
  if (reader.summary.requests === 0) throw noRequests(options.trace.path);
  return run.finish(reader.summary);
}

/** @throws CacheError `ERR_CACHE_OPTION` */
export function checkedSample(sample: number): number {
  if (sample > 0 && sample <= 1) return sample;
  throw new CacheError("ERR_CACHE_OPTION", `Expected \`sample\` to be above 0 and at most 1, got \`${sample}\``);
}

/** How many passes of the trace a simulation takes: for those who show progress. */
export function passesOf(sizes: readonly CacheSize[]): number {
  return sizes.some(({ kind }) => kind === "share") ? 2 : 1;
}

/** The distinct keys of a trace, or of the sample of it. */
export async function countKeys(trace: TraceOptions): Promise<number> {
  const reader = new TraceReader(trace);
  for await (const _ of reader.batches());
  if (reader.summary.requests === 0) throw noRequests(trace.path);
  return reader.summary.keys;
}

export function noRequests(path: string): TraceError {
  return new TraceError("ERR_TRACE_FORMAT", `${path} has no requests`);
}

interface Runner {
  readonly policy: PolicyName;
  readonly size: CacheSize;
  readonly capacity: Capacity;
  /** `undefined` for the optimum, which is simulated at the end. */
  readonly cache: SimulatedCache | undefined;
  /** Of a sample, which is corrected by it. */
  readonly hitsByKey: KeyCounts | undefined;
  tally: Tally;
}

class Run {
  readonly #sample: number;
  readonly #completion: Completion;
  readonly #runners: readonly Runner[];
  readonly #recording: Recording | undefined;
  readonly #distances: StackDistances | undefined;
  /** By key, of a sample. */
  readonly #reads: KeyCounts | undefined;
  #expires = false;
  #deletes = false;
  #hasSizes: boolean;

  constructor(options: SimulateOptions, keys: number, sample: number) {
    this.#sample = sample;
    const needsSizes = options.sizes.some(({ kind }) => kind === "bytes");
    this.#completion = new Completion({ ...options, rate: scaled(options.rate, sample), needsSizes });
    this.#hasSizes = options.entrySize !== undefined;
    this.#runners = options.policies.flatMap((policy) =>
      options.sizes.map((size) => newRunner(policy, size, { keys, sample, seed: options.seed ?? 1 })),
    );
    this.#recording = options.policies.includes("opt") ? new Recording() : undefined;
    this.#reads = sample < 1 ? new KeyCounts() : undefined;
    this.#distances = options.curve === true ? new StackDistances() : undefined;
  }

  feed(batch: RequestBatch): void {
    this.#hasSizes ||= !Number.isNaN(batch.sizes[0]);
    this.#completion.complete(batch);
    for (const runner of this.#runners) if (runner.cache !== undefined) play(batch, runner.cache, runner);
    this.#recording?.add(batch);
    for (let i = 0; i < batch.length; i += 1) {
      this.#deletes ||= batch.operations[i] === DELETE;
      this.#expires ||= batch.ttls[i] !== Number.POSITIVE_INFINITY;
      if (batch.operations[i] === GET) this.#reads?.add(batch.ids[i] as number);
      this.#distances?.request(batch.ids[i] as number, batch.operations[i] === GET);
    }
  }

  finish(trace: TraceSummary): Simulation {
    if (this.#recording !== undefined) this.#runOpt(this.#recording, trace.keys);
    const sample = this.#sample;
    return {
      trace,
      sample,
      keys: Math.round(trace.keys / sample),
      points: this.#runners.map((runner) => this.#pointOf(runner, trace)),
      lruCurve:
        !this.#expires && !this.#deletes && this.#distances !== undefined ? this.#curve(this.#distances) : undefined,
    };
  }

  #curve(distances: StackDistances): readonly CurvePoint[] {
    return distances
      .curve(CURVE_POINTS)
      .map((point) => ({ ...point, entries: Math.round(point.entries / this.#sample) }));
  }

  #ratioOf(tally: Tally, hitsByKey: KeyCounts | undefined, requests: number): number {
    const reads = this.#reads;
    if (reads === undefined || hitsByKey === undefined) return ratio(tally.hits, tally.gets);
    return correctedRatio(tally.hits, hitsByKey, { reads, tally, requests, sample: this.#sample });
  }

  #runOpt(recording: Recording, keys: number): void {
    const next = nextReads(recording, keys);
    for (const runner of this.#runners) {
      if (runner.policy === "opt") runner.tally = simulateOpt(recording, keys, runner, next);
    }
  }

  #pointOf({ policy, size, capacity, tally, hitsByKey }: Runner, trace: TraceSummary): SimulatedPoint {
    const amount = Math.round(capacity.amount / this.#sample);
    return {
      policy,
      size,
      capacity: { ...capacity, amount: size.kind === "share" ? amount : size.amount },
      tally,
      hitRatio: this.#ratioOf(tally, hitsByKey, trace.requests),
      byteHitRatio: this.#hasSizes ? ratio(tally.hitBytes, tally.bytes) : undefined,
      isApproximate: this.#sample < 1 || (policy === "opt" && (capacity.isBytes || this.#expires)),
    };
  }
}

/** Puts a batch through one cache. */
function play(batch: RequestBatch, cache: SimulatedCache, { capacity, tally, hitsByKey }: Runner): void {
  const { ids, operations, sizes, times, ttls, length } = batch;
  for (let i = 0; i < length; i += 1) {
    const id = ids[i] as number;
    const now = times[i] as number;
    const size = sizes[i] as number;
    const weight = capacity.isBytes ? size : 1;
    const operation = operations[i];
    if (operation === GET) {
      tally.gets += 1;
      tally.bytes += size;
      if (cache.get(id, weight, now, now + (ttls[i] as number))) {
        tally.hits += 1;
        tally.hitBytes += size;
        hitsByKey?.add(id);
      }
    } else if (operation === DELETE) {
      tally.deletes += 1;
      cache.delete(id, now);
    } else {
      tally.sets += 1;
      cache.set(id, weight, now, now + (ttls[i] as number));
    }
  }
}

function newRunner(
  policy: PolicyName,
  size: CacheSize,
  { keys, sample, seed }: { readonly keys: number; readonly sample: number; readonly seed: number },
): Runner {
  const capacity = capacityOf(size, keys, sample);
  const cache = policy === "opt" ? undefined : createCacheOf(policy, capacity, seed);
  return { policy, size, capacity, cache, hitsByKey: sample < 1 ? new KeyCounts() : undefined, tally: newTally() };
}

/** Of the requests that come in a second, a sample has its part. */
function scaled(rate: number | undefined, sample: number): number | undefined {
  return rate === undefined ? undefined : rate * sample;
}
