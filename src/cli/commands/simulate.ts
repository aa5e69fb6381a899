import { writeFile } from "node:fs/promises";
import { Option, type Command } from "commander";
import { CacheError } from "../../errors.js";
import { BALANCES, type Balance } from "../../simulate/balance.js";
import { simulateFleet } from "../../simulate/fleet.js";
import type { OnlinePolicy, PolicyName } from "../../simulate/policies/catalogue.js";
import { passesOf, simulate } from "../../simulate/simulate.js";
import { toCacheSize, type CacheSize } from "../../simulate/sizes.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { count, ONLINE_POLICIES, oneSize, policyList, showDefaults, sizeList } from "../option-values.js";
import type { Terminal } from "../terminal.js";
import { addTraceOptions, openTrace, warnOfBadLines, type TraceFlags } from "../trace-options.js";
import { fleetJson, fleetText } from "./fleet-report.js";
import { simulationJson, simulationSvg, simulationText } from "./simulation-report.js";

interface SimulateFlags extends TraceFlags {
  readonly size: readonly CacheSize[];
  readonly policy: readonly PolicyName[];
  readonly curve?: true;
  readonly svg?: string;
  readonly processes?: number;
  readonly balance: Balance;
  readonly l2?: CacheSize;
  readonly l2Policy: OnlinePolicy;
}

const SIZE_TEXTS = ["0.1%", "1%", "5%", "10%", "25%"];
const SIZES = SIZE_TEXTS.map((text) => toCacheSize(text, "size"));
const POLICIES: readonly PolicyName[] = ["lru", "s3fifo", "tiercache", "opt"];

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
    .option("--size <sizes>", "sizes of the cache", sizeList, SIZES)
    .option("--policy <names>", "policies", policyList, POLICIES)
    .option("--curve", "add LRU's whole curve to the JSON")
    .option("--svg <file>", "draw the curves into a file")
    .option("--processes <number>", "simulate so many processes, each with a cache of the size", count)
    .addOption(new Option("--balance <how>", "how requests come to processes").choices(BALANCES).default("random"))
    .option("--l2 <size>", "size of the tier that the processes share", oneSize)
    .addOption(new Option("--l2-policy <name>", "policy of that tier").choices(ONLINE_POLICIES).default("lru"))
    .addHelpText("after", EXAMPLES);
  showDefaults(command, { "--size": SIZE_TEXTS.join(","), "--policy": POLICIES.join(",") });
  addTraceOptions(command).action(async (path: string, flags: SimulateFlags) => {
    await (flags.processes === undefined
      ? runOne(path, flags, terminal)
      : runFleet(path, flags, flags.processes, terminal));
    end(EXIT.ok);
  });
}

async function runOne(path: string, flags: SimulateFlags, terminal: Terminal): Promise<void> {
  if (flags.l2 !== undefined) throw forFleetsOnly("l2");
  const { trace, progress } = await openTrace(path, flags, terminal, passesOf(flags.size));
  const curve = flags.curve === true || (flags.svg !== undefined && flags.policy.includes("lru"));
  const simulation = await simulate({ ...flags, trace, sizes: flags.size, policies: flags.policy, curve });
  progress.end();
  warnOfBadLines(simulation.trace, flags, terminal);
  if (flags.svg !== undefined) await writeFile(flags.svg, simulationSvg(path, simulation));
  terminal.out(
    flags.json === true
      ? simulationJson(path, simulation, flags.curve === true)
      : simulationText(path, simulation, terminal.colors),
  );
}

async function runFleet(path: string, flags: SimulateFlags, processes: number, terminal: Terminal): Promise<void> {
  if (flags.curve === true) throw notForFleets("curve");
  if (flags.svg !== undefined) throw notForFleets("svg");
  const policies = flags.policy.filter((name): name is OnlinePolicy => name !== "opt");
  const hasOpt = policies.length < flags.policy.length && flags.policy !== POLICIES;
  if (hasOpt && flags.quiet !== true) terminal.note("warning: opt knows the future of one cache only and is left out");
  const sizes = [...flags.size, ...(flags.l2 === undefined ? [] : [flags.l2])];
  const { trace, progress } = await openTrace(path, flags, terminal, passesOf(sizes));
  const { balance, l2: sharedSize, l2Policy: sharedPolicy } = flags;
  const options = { ...flags, trace, processes, balance, sizes: flags.size, policies, sharedSize, sharedPolicy };
  const simulation = await simulateFleet(options);
  progress.end();
  warnOfBadLines(simulation.trace, flags, terminal);
  terminal.out(
    flags.json === true ? fleetJson(path, simulation, options) : fleetText(path, simulation, options, terminal.colors),
  );
}

function forFleetsOnly(option: string): CacheError {
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to come with --processes`);
}

function notForFleets(option: string): CacheError {
  return new CacheError("ERR_CACHE_OPTION", `Expected \`${option}\` to come without --processes`);
}
