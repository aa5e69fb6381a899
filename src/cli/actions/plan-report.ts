import { basename } from "node:path";
import type { Plan, PlanCosts, PlannedCell, PlanTarget } from "../../simulate/plan.js";
import type { CacheSize } from "../../simulate/sizes.js";
import { bytes, integer, milliseconds, percent, significant } from "../../figures.js";
import type { Terminal } from "../terminal.js";
import { textTable, type TableCell } from "../text-table.js";
import { rounded } from "./simulation-report.js";
import { jsonText } from "../json-text.js";

type Colors = Terminal["colors"];

/** The answer first in bold, what it rests on above it, and what it beats below. */
export function planText(path: string, plan: Plan, costs: PlanCosts, target: PlanTarget, colors: Colors): string {
  const { best, alternatives, rejected } = plan;
  return [
    `${described(path, plan)}\n\n`,
    `Reads answered by L1 and L2 together, and cost a month (${integer(costs.processes)} × L1 + L2${costs.sourcePrice > 0 ? " + loads" : ""}):\n`,
    gridTable(plan, colors),
    "\n",
    best === undefined
      ? `${colors.red(`Nothing in the grid meets ${targetText(target)}.`)} Try larger sizes, or a faster source.\n`
      : answer(best, costs, target, colors),
    alternatives.length === 0 ? "" : `\nThe next that meet it:\n${choices(alternatives, colors)}`,
    rejected.length === 0
      ? ""
      : `\n${best === undefined ? "Closest" : "Not dearer, but too little"}:\n${choices(rejected, colors)}`,
  ].join("");
}

export function planJson(path: string, plan: Plan, costs: PlanCosts, target: PlanTarget): string {
  const { figures, sample, slices } = plan.grid;
  const document = {
    command: "plan",
    trace: { file: basename(path), ...figures },
    sample: rounded(sample),
    samples: slices,
    costs,
    target,
    best: plan.best === undefined ? null : cellJson(plan.best),
    cells: plan.cells.map(cellJson),
  };
  return jsonText(document);
}

function cellJson(cell: PlannedCell): object {
  return {
    l1: cell.memory?.text ?? null,
    l2: cell.shared?.text ?? null,
    l1Bytes: cell.memoryBytes,
    l2Bytes: cell.sharedBytes,
    l1Share: rounded(cell.memoryShare),
    l2Share: rounded(cell.sharedShare),
    sourceShare: rounded(cell.sourceShare),
    hitRatio: rounded(cell.hitRatio),
    error: rounded(cell.error),
    p99: rounded(cell.p99),
    mean: rounded(cell.mean),
    cost: rounded(cell.cost),
    l1Cost: rounded(cell.memoryCost),
    l2Cost: rounded(cell.sharedCost),
    sourceCost: rounded(cell.sourceCost),
    misses: cell.misses,
  };
}

function described(path: string, { grid }: Plan): string {
  const { figures, sample, slices, cells } = grid;
  const error = Math.max(...cells.map((cell) => cell.error));
  const total = bytes(figures.keys * figures.entrySize);
  const how =
    slices === 1
      ? "Every key was simulated: no sampling error."
      : `Simulated on ${slices} samples of ${percent(sample / slices, 1)} of the keys each; standard error up to ${(100 * error).toFixed(2)} points.`;
  return `${basename(path)}: ${integer(figures.requests)} requests, ${integer(figures.keys)} keys of ${bytes(figures.entrySize)}, ${total} in all\n${how}`;
}

function gridTable({ grid, cells, best }: Plan, colors: Colors): string {
  const memories = [...new Set(grid.cells.map(({ memory }) => memory))];
  const shared = [...new Set(grid.cells.map((cell) => cell.shared))];
  const bytesOf = (size: CacheSize | undefined, name: "memory" | "shared"): number =>
    grid.cells.find((cell) => cell[name] === size)?.[name === "memory" ? "memoryBytes" : "sharedBytes"] ?? 0;
  const header = ["L1 \\ L2", ...shared.map((size) => sizeText(size, bytesOf(size, "shared")))];
  const rows = memories.map((memory): readonly (TableCell | string)[] => [
    sizeText(memory, bytesOf(memory, "memory")),
    ...shared.map((other): TableCell => {
      const cell = cells.find((one) => one.memory === memory && one.shared === other) as PlannedCell;
      const mark = cell === best ? "*" : "";
      return { text: `${mark}${percent(cell.hitRatio, 1)} ${money(cell.cost)}`, paint: paintOf(cell, best, colors) };
    }),
  ]);
  return textTable([header.map((text) => ({ text, paint: colors.bold })), ...rows]);
}

function paintOf(
  cell: PlannedCell,
  best: PlannedCell | undefined,
  colors: Colors,
): ((text: string) => string) | undefined {
  if (cell === best) return (text) => colors.bold(colors.green(text));
  return cell.misses.length === 0 ? colors.green : undefined;
}

function answer(best: PlannedCell, costs: PlanCosts, target: PlanTarget, colors: Colors): string {
  const each = costs.processes > 1 ? ` in each of ${integer(costs.processes)} processes` : "";
  const l1 = best.memory === undefined ? "no L1" : `L1 ${sizeText(best.memory, best.memoryBytes)}${each}`;
  const l2 = best.shared === undefined ? "no L2" : `L2 ${sizeText(best.shared, best.sharedBytes)}`;
  const aim = Object.values(target).every((value) => value === undefined)
    ? "Cheapest"
    : `Cheapest for ${targetText(target)}`;
  const give = best.error > 0 ? ` ± ${(100 * best.error).toFixed(2)} points` : "";
  const rows = [
    [
      "  reads",
      `${percent(best.memoryShare, 1)} L1, ${percent(best.sharedShare, 1)} L2, ${percent(best.sourceShare, 1)} source${give}`,
    ],
    ["  latency", `mean ${milliseconds(best.mean)}, p99 ${milliseconds(best.p99)}`],
    [
      "  cost",
      `${money(best.cost)} = L1 ${money(best.memoryCost)} + L2 ${money(best.sharedCost)} + loads ${money(best.sourceCost)}`,
    ],
  ];
  const lines = rows.map(([name = "", text = ""]) => `${name.padEnd(10)} ${text}\n`).join("");
  return `${colors.bold(`${aim}: ${l1}, ${l2}`)}\n${lines}`;
}

function choices(cells: readonly PlannedCell[], colors: Colors): string {
  const header = ["  L1", "L2", "hits", "mean", "p99", "cost", "misses"].map((text) => ({ text, paint: colors.bold }));
  const rows = cells.map((cell) => [
    `  ${sizeText(cell.memory, cell.memoryBytes)}`,
    sizeText(cell.shared, cell.sharedBytes),
    percent(cell.hitRatio, 1),
    milliseconds(cell.mean),
    milliseconds(cell.p99),
    money(cell.cost),
    cell.misses.length === 0 ? "-" : cell.misses.map((name) => NAMES[name]).join(", "),
  ]);
  return textTable([header, ...rows]);
}

const NAMES: Readonly<Record<keyof PlanTarget, string>> = { p99: "p99", mean: "mean", hitRatio: "hit ratio" };

function targetText({ p99, mean, hitRatio }: PlanTarget): string {
  const parts: string[] = [];
  if (p99 !== undefined) parts.push(`p99 ≤ ${milliseconds(p99)}`);
  if (mean !== undefined) parts.push(`mean ≤ ${milliseconds(mean)}`);
  if (hitRatio !== undefined) parts.push(`hit ratio ≥ ${percent(hitRatio, 1)}`);
  return parts.join(" and ");
}

function sizeText(size: CacheSize | undefined, amount: number): string {
  if (size === undefined) return "none";
  return size.kind === "share" ? `${bytes(amount)} (${size.text})` : bytes(amount);
}

function money(value: number): string {
  return value !== 0 && value < 0.001 ? "<0.001" : significant(value);
}
