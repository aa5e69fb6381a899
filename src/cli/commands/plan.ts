import { Option, type Command } from "commander";
import { BALANCES, type Balance } from "../../simulate/balance.js";
import type { Latency } from "../../simulate/latency.js";
import type { OnlinePolicy } from "../../simulate/policies/names.js";
import type { CacheSize } from "../../simulate/sizes.js";
import type { ExitCode } from "../exit-codes.js";
import {
  amount,
  count,
  duration,
  fraction,
  latency,
  ONLINE_POLICIES,
  optionalSizeList,
  withDefault,
} from "../option-values.js";
import type { Terminal } from "../terminal.js";
import { addTraceOptions, type TraceFlags } from "../trace-options.js";

export interface PlanFlags extends TraceFlags {
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
    .addOption(
      withDefault(
        "--l1 <sizes>",
        "sizes to try for the memory of each process, and none",
        optionalSizeList,
        "none,0.5%,1%,2%,5%,10%,25%,50%",
      ),
    )
    .addOption(
      withDefault(
        "--l2 <sizes>",
        "sizes to try for the shared tier, and none",
        optionalSizeList,
        "none,5%,10%,25%,50%,100%",
      ),
    )
    .option("--l1-price <money>", "of a GB of a process's memory for a month", amount, 4)
    .option("--l2-price <money>", "of a GB of the shared tier for a month", amount, 12)
    .option("--source-price <money>", "of a million loads", amount, 0)
    .addOption(withDefault("--l1-latency <time>", "of an answer from memory", latency, "5us"))
    .addOption(withDefault("--l2-latency <time>", "of an answer from the shared tier", latency, "1ms"))
    .addOption(withDefault("--source-latency <time>", "of an answer from the source", latency, "20ms"))
    .option("--processes <number>", "each with a memory of its own", count, 1)
    .addOption(new Option("--balance <how>", "how requests come to processes").choices(BALANCES).default("random"))
    .addOption(new Option("--policy <name>", "of the memories").choices(ONLINE_POLICIES).default("tiercache"))
    .addOption(new Option("--l2-policy <name>", "of the shared tier").choices(ONLINE_POLICIES).default("lru"))
    .addHelpText("after", EXAMPLES);
  addTraceOptions(command).action(async (path: string, flags: PlanFlags) => {
    const { plan } = await import("../actions/plan.js");
    end(await plan(path, flags, terminal));
  });
}
