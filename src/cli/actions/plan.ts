import { CacheError } from "../../errors.js";
import { planOf } from "../../simulate/plan.js";
import { simulateGrid } from "../../simulate/plan-grid.js";
import type { PlanFlags } from "../commands/plan.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { openTrace } from "../open-trace.js";
import type { Terminal } from "../terminal.js";
import { planJson, planText } from "./plan-report.js";

/** Bytes of an entry where neither the trace nor an option tells. */
const ENTRY_SIZE = 1024;
/** A plan reads its trace twice. */
const PASSES = 2;

/** The cheapest sizes of L1 and L2 that meet a target on a trace. */
export async function plan(path: string, flags: PlanFlags, terminal: Terminal): Promise<ExitCode> {
  const target = { p99: flags.targetP99, mean: flags.targetMean, hitRatio: flags.targetHitRatio };
  if (Object.values(target).every((value) => value === undefined) && flags.sourcePrice === 0) {
    throw new CacheError(
      "ERR_CACHE_OPTION",
      "Expected a target, or `sourcePrice` to be above 0: else no cache is cheapest",
    );
  }
  const { trace, progress } = await openTrace(path, flags, terminal, PASSES);
  const grid = await simulateGrid({
    ...flags,
    trace,
    memories: flags.l1,
    shared: flags.l2,
    sharedPolicy: flags.l2Policy,
    entrySize: flags.entrySize ?? ENTRY_SIZE,
  });
  progress.end();
  const costs = {
    processes: flags.processes,
    memoryPrice: flags.l1Price,
    sharedPrice: flags.l2Price,
    sourcePrice: flags.sourcePrice,
    memoryLatency: flags.l1Latency,
    sharedLatency: flags.l2Latency,
    sourceLatency: flags.sourceLatency,
    rate: flags.rate ?? grid.figures.rate,
  };
  const found = planOf(grid, costs, target);
  terminal.out(
    flags.json === true ? planJson(path, found, costs, target) : planText(path, found, costs, target, terminal.colors),
  );
  return found.best === undefined ? EXIT.checkFailed : EXIT.ok;
}
