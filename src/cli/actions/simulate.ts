import { writeFile } from "node:fs/promises";
import { CacheError } from "../../errors.js";
import { simulateFleet } from "../../simulate/fleet.js";
import type { OnlinePolicy } from "../../simulate/policies/names.js";
import { passesOf, simulate } from "../../simulate/simulate.js";
import type { SimulateFlags } from "../commands/simulate.js";
import { openTrace, warnOfBadLines } from "../open-trace.js";
import type { Terminal } from "../terminal.js";
import { fleetJson, fleetText } from "./fleet-report.js";
import { simulationJson, simulationSvg, simulationText } from "./simulation-report.js";

/** The hit ratios that policies and sizes would have on a trace. */
export async function runOne(path: string, flags: SimulateFlags, terminal: Terminal): Promise<void> {
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

/** The hit ratios of several processes that share the requests of a trace, and a tier. */
export async function runFleet(
  path: string,
  flags: SimulateFlags & { readonly processes: number },
  isPolicyAsked: boolean,
  terminal: Terminal,
): Promise<void> {
  if (flags.curve === true) throw notForFleets("curve");
  if (flags.svg !== undefined) throw notForFleets("svg");
  const policies = flags.policy.filter((name): name is OnlinePolicy => name !== "opt");
  const hasOpt = policies.length < flags.policy.length && isPolicyAsked;
  if (hasOpt && flags.quiet !== true) terminal.note("warning: opt knows the future of one cache only and is left out");
  const sizes = [...flags.size, ...(flags.l2 === undefined ? [] : [flags.l2])];
  const { trace, progress } = await openTrace(path, flags, terminal, passesOf(sizes));
  const { processes, balance, l2: sharedSize, l2Policy: sharedPolicy } = flags;
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
