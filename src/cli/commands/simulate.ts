import { Option, type Command } from "commander";
import { BALANCES, type Balance } from "../../simulate/balance.js";
import type { OnlinePolicy, PolicyName } from "../../simulate/policies/names.js";
import type { CacheSize } from "../../simulate/sizes.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { count, ONLINE_POLICIES, oneSize, policyList, sizeList, withDefault } from "../option-values.js";
import type { Terminal } from "../terminal.js";
import { addTraceOptions, type TraceFlags } from "../trace-options.js";

export interface SimulateFlags extends TraceFlags {
  readonly size: readonly CacheSize[];
  readonly policy: readonly PolicyName[];
  readonly curve?: true;
  readonly svg?: string;
  readonly processes?: number;
  readonly balance: Balance;
  readonly l2?: CacheSize;
  readonly l2Policy: OnlinePolicy;
}

const EXAMPLES = `
Examples:
  $ tiercache simulate requests.txt
  $ tiercache simulate cluster.csv.gz --size 16mb,64mb,256mb --policy lru,tiercache --ttl 5m
  $ tiercache simulate requests.txt --size 1%,5%,10% --svg curves.svg
  $ tiercache simulate huge.csv.gz --sample 1/64 --json
  $ tiercache simulate requests.txt --size 1000 --processes 8 --balance sticky --l2 10000

Policies: fifo lru lfu 2q arc sieve s3fifo wtinylfu, tiercache (the one this package runs), opt (the optimum).
Sizes: entries (1000), bytes (64mb), or a share of all distinct keys (1%).`;

/** `tiercache simulate`: the hit ratios that policies and sizes would have on a trace. */
export function addSimulate(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  const command = program
    .command("simulate <trace>")
    .description("hit ratios of cache sizes and policies on a trace of requests")
    .addOption(withDefault("--size <sizes>", "sizes of the cache", sizeList, "0.1%,1%,5%,10%,25%"))
    .addOption(withDefault("--policy <names>", "policies", policyList, "lru,s3fifo,tiercache,opt"))
    .option("--curve", "add LRU's whole curve to the JSON")
    .option("--svg <file>", "draw the curves into a file")
    .option("--processes <number>", "simulate so many processes, each with a cache of the size", count)
    .addOption(new Option("--balance <how>", "how requests come to processes").choices(BALANCES).default("random"))
    .option("--l2 <size>", "size of the tier that the processes share", oneSize)
    .addOption(new Option("--l2-policy <name>", "policy of that tier").choices(ONLINE_POLICIES).default("lru"))
    .addHelpText("after", EXAMPLES);
  addTraceOptions(command).action(async (path: string, flags: SimulateFlags) => {
    const { runFleet, runOne } = await import("../actions/simulate.js");
    const { processes } = flags;
    const isPolicyAsked = command.getOptionValueSource("policy") === "cli";
    if (processes === undefined) await runOne(path, flags, terminal);
    else await runFleet(path, { ...flags, processes }, isPolicyAsked, terminal);
    end(EXIT.ok);
  });
}
