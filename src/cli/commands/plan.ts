import { Option, type Command } from "commander";
import { CacheError } from "../../errors.js";
import { BALANCES, type Balance } from "../../simulate/balance.js";
import type { Latency } from "../../simulate/latency.js";
import { planOf } from "../../simulate/plan.js";
import { simulateGrid } from "../../simulate/plan-grid.js";
import type { OnlinePolicy } from "../../simulate/policies/catalogue.js";
import { toCacheSize, type CacheSize } from "../../simulate/sizes.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import {
  amount,
  count,
  duration,
  fraction,
  latency,
  ONLINE_POLICIES,
  optionalSizeList,
  showDefaults,
} from "../option-values.js";
import type { Terminal } from "../terminal.js";
import { addTraceOptions, openTrace, type TraceFlags } from "../trace-options.js";
import { planJson, planText } from "./plan-report.js";

interface PlanFlags extends TraceFlags {
  readonly l1: readonly (CacheSize | undefined)[];
  readonly l2: readonly (CacheSize | undefined)[];
  readonly policy: OnlinePolicy;
  readonly l2Policy: OnlinePolicy;
  readonly processes: number;
  readonly balance: Balance;
  readonly l1Price: number;
  readonly l2Price: number;
  readonly sourcePrice: number;
  readonly l1Latency: Latency;
  readonly l2Latency: Latency;
  readonly sourceLatency: Latency;
  readonly targetP99?: number;
  readonly targetMean?: number;
  readonly targetHitRatio?: number;
}

const share = (text: string): CacheSize => toCacheSize(text, "size");
const MEMORIES = [undefined, ...["0.5%", "1%", "2%", "5%", "10%", "25%", "50%"].map(share)];
const SHARED = [undefined, ...["5%", "10%", "25%", "50%", "100%"].map(share)];
/** Bytes of an entry where neither the trace nor an option tells. */
const ENTRY_SIZE = 1024;
const L1_LATENCY = "5us";
const L2_LATENCY = "1ms";
const SOURCE_LATENCY = "20ms";
const PASSES = 2;

const EXAMPLES = `
Examples:
  $ tiercache plan requests.txt --processes 4 --entry-size 2kb --target-p99 25ms
  $ tiercache plan cluster.csv.gz --target-hit-ratio 95% --l1-price 5 --l2-price 14
  $ tiercache plan requests.txt --rate 2000 --source-price 0.5 --source-latency 20ms/120ms

A latency is a median, or a median and a 99th percentile (20ms/120ms), of the whole answer as the caller sees it.
Prices are in whatever money you like: for a GB of memory and a month, and for a million loads from the source.
Without a target, what costs least with its loads is taken. Exit code 6: nothing in the grid meets the targets.`;

/** `tiercache plan`: the cheapest sizes of L1 and L2 that meet a target on a trace. */
export function addPlan(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  const command = program
    .command("plan <trace>")
    .description("the cheapest sizes of memory (L1) and shared tier (L2) for a target, by simulation")
    .option("--target-p99 <duration>", "99 of 100 reads take no longer", duration)
    .option("--target-mean <duration>", "reads take no longer on average", duration)
    .option("--target-hit-ratio <part>", "of both tiers together: 95%", fraction)
    .option("--l1 <sizes>", "sizes to try for the memory of each process, and none", optionalSizeList, MEMORIES)
    .option("--l2 <sizes>", "sizes to try for the shared tier, and none", optionalSizeList, SHARED)
    .option("--l1-price <money>", "of a GB of a process's memory for a month", amount, 4)
    .option("--l2-price <money>", "of a GB of the shared tier for a month", amount, 12)
    .option("--source-price <money>", "of a million loads", amount, 0)
    .option("--l1-latency <time>", "of an answer from memory", latency, latency(L1_LATENCY))
    .option("--l2-latency <time>", "of an answer from the shared tier", latency, latency(L2_LATENCY))
    .option("--source-latency <time>", "of an answer from the source", latency, latency(SOURCE_LATENCY))
    .option("--processes <number>", "each with a memory of its own", count, 1)
    .addOption(new Option("--balance <how>", "how requests come to processes").choices(BALANCES).default("random"))
    .addOption(new Option("--policy <name>", "of the memories").choices(ONLINE_POLICIES).default("tiercache"))
    .addOption(new Option("--l2-policy <name>", "of the shared tier").choices(ONLINE_POLICIES).default("lru"))
    .addHelpText("after", EXAMPLES);
  showDefaults(command, {
    "--l1": textsOf(MEMORIES),
    "--l2": textsOf(SHARED),
    "--l1-latency": L1_LATENCY,
    "--l2-latency": L2_LATENCY,
    "--source-latency": SOURCE_LATENCY,
  });
  addTraceOptions(command).action(async (path: string, flags: PlanFlags) => end(await runPlan(path, flags, terminal)));
}

async function runPlan(path: string, flags: PlanFlags, terminal: Terminal): Promise<ExitCode> {
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
  const plan = planOf(grid, costs, target);
  terminal.out(
    flags.json === true ? planJson(path, plan, costs, target) : planText(path, plan, costs, target, terminal.colors),
  );
  return plan.best === undefined ? EXIT.checkFailed : EXIT.ok;
}

function textsOf(sizes: readonly (CacheSize | undefined)[]): string {
  return sizes.map((size) => size?.text ?? "none").join(",");
}
