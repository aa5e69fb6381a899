import { basename } from "node:path";
import type { PolicyName } from "../../simulate/policies/names.js";
import type { SimulatedPoint, Simulation } from "../../simulate/simulate.js";
import { binaryTicks, chartSvg, decimalTicks, type ChartLine } from "../chart-svg.js";
import { bytes, integer, percent } from "../../figures.js";
import type { Terminal } from "../terminal.js";
import { textTable, type TableCell } from "../text-table.js";
import { describeTrace } from "../open-trace.js";
import { jsonText } from "../json-text.js";

/** Policies down, sizes across; the best that can be had of each size stands out. */
export function simulationText(path: string, simulation: Simulation, colors: Terminal["colors"]): string {
  const { points, trace, keys, sample } = simulation;
  const sizes = sizesOf(points);
  const rows = policiesOf(points).map((policy): readonly (TableCell | string)[] => [
    policy,
    ...pointsOf(points, policy).map((point, at) => {
      const text = `${point.isApproximate && sample === 1 ? "~" : ""}${percent(point.hitRatio)}`;
      return { text, paint: point.hitRatio >= bestOf(points, at) && policy !== "opt" ? colors.green : undefined };
    }),
  ]);
  const header = ["policy", ...sizes.map(sizeLabel)].map((text) => ({ text, paint: colors.bold }));
  const notes: string[] = [];
  if (sample < 1) notes.push("Simulated on a sample of the keys: give or take a point or two.");
  if (points.some(({ policy, isApproximate }) => policy === "opt" && isApproximate) && sample === 1) {
    notes.push("~ With bytes or times to live, opt is an approximation of the optimum from below.");
  }
  return [
    `${describeTrace(path, trace, keys, sample)}\n\n`,
    textTable([header, ...rows]),
    ...(notes.length === 0 ? [] : [`\n${notes.join("\n")}\n`]),
  ].join("");
}

export function simulationJson(path: string, simulation: Simulation, withCurve: boolean): string {
  const { trace, keys, sample, points, lruCurve } = simulation;
  const document = {
    command: "simulate",
    trace: { file: basename(path), ...trace, keys },
    sample,
    results: points.map(({ policy, size, capacity, tally, hitRatio, byteHitRatio, isApproximate }) => ({
      policy,
      size: size.text,
      [capacity.isBytes ? "bytes" : "entries"]: capacity.amount,
      gets: tally.gets,
      hits: tally.hits,
      sets: tally.sets,
      deletes: tally.deletes,
      hitRatio: rounded(hitRatio),
      byteHitRatio: byteHitRatio === undefined ? undefined : rounded(byteHitRatio),
      isApproximate,
    })),
    lruCurve: withCurve
      ? (lruCurve?.map((point) => ({ ...point, hitRatio: rounded(point.hitRatio) })) ?? null)
      : undefined,
  };
  return jsonText(document);
}

/** One line a policy, that of LRU with all its bends where they are known. Sizes in bytes and in entries do not fit one axis. */
export function simulationSvg(path: string, simulation: Simulation): string {
  const { points, lruCurve, trace } = simulation;
  const isBytes = points[0]?.capacity.isBytes === true;
  const shown = points.filter(({ capacity }) => capacity.isBytes === isBytes);
  const smallest = Math.min(...shown.map(({ capacity }) => capacity.amount));
  const largest = Math.max(...shown.map(({ capacity }) => capacity.amount));
  // Of a sample the curve is not corrected as the points are.
  const exact = isBytes || simulation.sample < 1 ? [] : (lruCurve ?? []);
  const lines = policiesOf(shown).map((policy): ChartLine => {
    const marks = pointsOf(shown, policy)
      .map(({ capacity, hitRatio }) => ({ x: capacity.amount, y: hitRatio }))
      .toSorted((a, b) => a.x - b.x);
    const between = exact
      .filter(({ entries }) => policy === "lru" && entries > smallest && entries < largest)
      .map(({ entries, hitRatio }) => ({ x: entries, y: hitRatio }));
    const points = [...marks, ...between].toSorted((a, b) => a.x - b.x);
    return { name: policy, points, marks, isDashed: policy === "opt" };
  });
  return chartSvg({
    title: `${basename(path)}: ${integer(trace.requests)} requests, ${integer(simulation.keys)} keys`,
    xTitle: isBytes ? "size of the cache" : "entries in the cache",
    yTitle: "hit ratio",
    lines,
    xTicks: isBytes ? binaryTicks : decimalTicks,
    xLabel: isBytes ? bytes : integer,
  });
}

/** To what a 64-bit number and a reader can tell apart. */
export function rounded(value: number): number {
  return Number(value.toFixed(6));
}

/** `138 (1%)` */
export function sizeLabel({ size, capacity }: Pick<SimulatedPoint, "size" | "capacity">): string {
  if (size.kind === "share") return `${integer(capacity.amount)} (${size.text})`;
  return capacity.isBytes ? bytes(capacity.amount) : integer(capacity.amount);
}

function policiesOf(points: readonly SimulatedPoint[]): readonly PolicyName[] {
  return [...new Set(points.map(({ policy }) => policy))];
}

function pointsOf(points: readonly SimulatedPoint[], policy: PolicyName): readonly SimulatedPoint[] {
  return points.filter((point) => point.policy === policy);
}

function sizesOf(points: readonly SimulatedPoint[]): readonly SimulatedPoint[] {
  return points.filter(({ policy }) => policy === points[0]?.policy);
}

/** Of what can be had: the optimum cannot. */
function bestOf(points: readonly SimulatedPoint[], at: number): number {
  const policies = policiesOf(points).filter((policy) => policy !== "opt");
  return Math.max(...policies.map((policy) => pointsOf(points, policy)[at]?.hitRatio ?? 0));
}
