import { basename } from "node:path";
import type { FleetOptions, FleetResult, FleetSimulation } from "../../simulate/fleet.js";
import { integer, percent } from "../../figures.js";
import type { Terminal } from "../terminal.js";
import { textTable } from "../text-table.js";
import { describeTrace } from "../open-trace.js";
import { rounded, sizeLabel } from "./simulation-report.js";
import { jsonText } from "../json-text.js";

const MOST_SHOWN = 16;

/** A row for each fleet; and where there is only one, a row for each of its processes. */
export function fleetText(
  path: string,
  simulation: FleetSimulation,
  options: FleetOptions,
  colors: Terminal["colors"],
): string {
  const { trace, keys, sample, fleets } = simulation;
  const shared =
    options.sharedSize === undefined ? "" : `, sharing ${options.sharedSize.text} (${options.sharedPolicy})`;
  const hasShared = options.sharedSize !== undefined;
  const names = [
    "policy",
    "L1 each",
    "L1 hits",
    ...(hasShared ? ["L2 hits", "both"] : []),
    "source loads",
    "L1 of processes",
  ];
  const rows = fleets.map((fleet) => [
    fleet.policy,
    sizeLabel(fleet),
    percent(fleet.memoryHitRatio),
    ...(hasShared ? [percent(fleet.sharedHitRatio ?? 0), percent(fleet.hitRatio)] : []),
    integer(fleet.sourceLoads),
    range(fleet),
  ]);
  const [only, ...others] = fleets;
  return [
    `${describeTrace(path, trace, keys, sample)}\n`,
    `${integer(options.processes)} processes, ${options.balance} balance${shared}\n\n`,
    textTable([names.map((text) => ({ text, paint: colors.bold })), ...rows]),
    others.length === 0 && only !== undefined ? `\n${processTable(only, colors)}` : "",
  ].join("");
}

export function fleetJson(path: string, simulation: FleetSimulation, options: FleetOptions): string {
  const { trace, keys, sample, fleets } = simulation;
  const document = {
    command: "simulate",
    trace: { file: basename(path), ...trace, keys },
    sample,
    processes: options.processes,
    balance: options.balance,
    l2: options.sharedSize === undefined ? null : { size: options.sharedSize.text, policy: options.sharedPolicy },
    fleets: fleets.map((fleet) => ({
      policy: fleet.policy,
      size: fleet.size.text,
      [fleet.capacity.isBytes ? "bytes" : "entries"]: fleet.capacity.amount,
      gets: fleet.gets,
      sourceLoads: fleet.sourceLoads,
      l1HitRatio: rounded(fleet.memoryHitRatio),
      l2HitRatio: fleet.sharedHitRatio === undefined ? null : rounded(fleet.sharedHitRatio),
      hitRatio: rounded(fleet.hitRatio),
      processes: fleet.processes.map((process) => ({ ...process, hitRatio: rounded(process.hitRatio) })),
    })),
  };
  return jsonText(document);
}

function range({ processes }: FleetResult): string {
  const ratios = processes.map(({ hitRatio }) => hitRatio);
  return `${percent(Math.min(...ratios))} to ${percent(Math.max(...ratios))}`;
}

function processTable({ processes }: FleetResult, colors: Terminal["colors"]): string {
  const header = ["process", "reads", "hits", "hit ratio"].map((text) => ({ text, paint: colors.bold }));
  const rows = processes
    .slice(0, MOST_SHOWN)
    .map(({ gets, hits, hitRatio }, at) => [String(at + 1), integer(gets), integer(hits), percent(hitRatio)]);
  const rest = processes.length > MOST_SHOWN ? `… and ${processes.length - MOST_SHOWN} more\n` : "";
  return textTable([header, ...rows]) + rest;
}
