import { CacheError } from "../errors.js";
import { meanOfMixture, quantileOf, type Latency } from "./latency.js";
import type { Grid, GridCell } from "./plan-grid.js";

/** What memory and loads cost, and how long answers take as the caller sees them. Money has no unit here. */
export interface PlanCosts {
  /** For a GB and a month. */
  readonly memoryPrice: number;
  readonly sharedPrice: number;
  /** For a million loads from the source. */
  readonly sourcePrice: number;
  readonly memoryLatency: Latency;
  readonly sharedLatency: Latency;
  readonly sourceLatency: Latency;
  readonly processes: number;
  /** Requests a second of the whole fleet; `undefined` when there is no saying. */
  readonly rate: number | undefined;
}

/** What is to be reached; milliseconds, and 0 to 1. Fields that are `undefined` demand nothing. */
export interface PlanTarget {
  readonly p99?: number | undefined;
  readonly mean?: number | undefined;
  readonly hitRatio?: number | undefined;
}

/** A pair of sizes with what it costs and gives. */
export interface PlannedCell extends GridCell {
  readonly hitRatio: number;
  readonly p99: number;
  readonly mean: number;
  /** A month: memory of all processes, the shared tier, and loads. */
  readonly memoryCost: number;
  readonly sharedCost: number;
  readonly sourceCost: number;
  readonly cost: number;
  /** The targets it misses, with the hit ratio lowered by its error. Empty when it meets them all. */
  readonly misses: readonly (keyof PlanTarget)[];
}

export interface Plan {
  readonly grid: Grid;
  readonly cells: readonly PlannedCell[];
  /** The cheapest that meets every target; `undefined` when none does. */
  readonly best: PlannedCell | undefined;
  /** What to do next after the best: others that meet every target, the cheapest first. */
  readonly alternatives: readonly PlannedCell[];
  /** Cheaper than the best but for a target: the dearest of them first, which miss it by least. */
  readonly rejected: readonly PlannedCell[];
}

const GB = 1024 ** 3;
const SECONDS_PER_MONTH = 30 * 86_400;
const SHOWN = 4;

/**
 * The cheapest sizes that meet the targets, from a simulated grid.
 *
 * @throws CacheError `ERR_CACHE_OPTION` when loads cost something and their rate is not known.
 */
export function planOf(grid: Grid, costs: PlanCosts, target: PlanTarget): Plan {
  if (costs.sourcePrice > 0 && costs.rate === undefined) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      "Expected `rate` to be given, because loads cost something and the trace tells no times",
    );
  }
  const cells = grid.cells.map((cell) => costed(cell, costs, target)).toSorted(byCost);
  const meeting = cells.filter(({ misses }) => misses.length === 0);
  const [best, ...others] = meeting;
  const cheaper = cells.filter((cell) => cell.misses.length > 0 && (best === undefined || cell.cost <= best.cost));
  const closest = (cell: PlannedCell): number => -cell.hitRatio;
  return {
    grid,
    cells,
    best,
    alternatives: others.slice(0, SHOWN),
    rejected: cheaper.toSorted((a, b) => closest(a) - closest(b)).slice(0, SHOWN),
  };
}

/** The cheapest first; among equals the smaller. */
function byCost(a: PlannedCell, b: PlannedCell): number {
  return a.cost - b.cost || a.sharedBytes - b.sharedBytes || a.memoryBytes - b.memoryBytes;
}

function costed(cell: GridCell, costs: PlanCosts, target: PlanTarget): PlannedCell {
  const loads = (costs.rate ?? 0) * SECONDS_PER_MONTH * cell.sourceShare;
  const memoryCost = (costs.processes * cell.memoryBytes * costs.memoryPrice) / GB;
  const sharedCost = (cell.sharedBytes * costs.sharedPrice) / GB;
  const sourceCost = (loads * costs.sourcePrice) / 1e6;
  return {
    ...cell,
    ...latencyOf(cell, costs, 0),
    memoryCost,
    sharedCost,
    sourceCost,
    cost: memoryCost + sharedCost + sourceCost,
    misses: missed(latencyOf(cell, costs, cell.error), target),
  };
}

interface Outcome {
  readonly hitRatio: number;
  readonly p99: number;
  readonly mean: number;
}

/** With this much more of the reads taken to the source. */
function latencyOf(cell: GridCell, costs: PlanCosts, error: number): Outcome {
  const extra = Math.min(error, 1 - cell.sourceShare);
  const scale = cell.sourceShare === 1 ? 0 : 1 - extra / (1 - cell.sourceShare);
  const source = cell.sourceShare + extra;
  const parts = [
    { share: cell.memoryShare * scale, latency: costs.memoryLatency },
    { share: cell.sharedShare * scale, latency: costs.sharedLatency },
    { share: source, latency: costs.sourceLatency },
  ];
  return { hitRatio: 1 - source, p99: quantileOf(parts, 0.99), mean: meanOfMixture(parts) };
}

function missed(outcome: Outcome, target: PlanTarget): readonly (keyof PlanTarget)[] {
  const misses: (keyof PlanTarget)[] = [];
  if (target.p99 !== undefined && outcome.p99 > target.p99) misses.push("p99");
  if (target.mean !== undefined && outcome.mean > target.mean) misses.push("mean");
  if (target.hitRatio !== undefined && outcome.hitRatio < target.hitRatio) misses.push("hitRatio");
  return misses;
}
