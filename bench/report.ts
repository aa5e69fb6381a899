import { cpus } from "node:os";
import { ratios, spread, type Measured, type Spread } from "./slices.js";

export interface ContenderResult {
  readonly name: string;
  /** CPU microseconds per operation. */
  readonly micros: Spread;
  readonly opsPerCpuSecond: number;
  /** This one's cost as a multiple of the baseline's, paired by round; `undefined` for the baseline itself. */
  readonly ratio: Spread | undefined;
  /** What else was counted. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface CaseResult {
  readonly name: string;
  readonly what: string;
  /** The contender that the ratios compare with. */
  readonly baseline: string;
  readonly contenders: readonly ContenderResult[];
}

export interface Report {
  readonly schemaVersion: 1;
  readonly suite: string;
  readonly quick: boolean;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly platform: string;
    readonly date: string;
  };
  readonly cases: readonly CaseResult[];
}

export function caseResult(
  name: string,
  what: string,
  measured: readonly Measured[],
  counts: (name: string) => Readonly<Record<string, number>> = () => ({}),
): CaseResult {
  const [base] = measured;
  if (base === undefined) throw new RangeError("Expected at least one contender, got none");
  return {
    name,
    what,
    baseline: base.name,
    contenders: measured.map((one) => {
      const micros = spread(one.perRound);
      return {
        name: one.name,
        micros,
        opsPerCpuSecond: Math.round(1e6 / micros.median),
        ratio: one === base ? undefined : spread(ratios(one.perRound, base.perRound)),
        counts: counts(one.name),
      };
    }),
  };
}

export function reportOf(suite: string, quick: boolean, cases: readonly CaseResult[]): Report {
  const all = cpus();
  return {
    schemaVersion: 1,
    suite,
    quick,
    machine: {
      cpu: all[0]?.model.trim() ?? "unknown",
      cores: all.length,
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      date: new Date().toISOString(),
    },
    cases,
  };
}

/** The report as tables with aligned columns. */
export function textOf({ suite, machine, cases }: Report): string {
  const head = `${suite}: ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.platform}, ${machine.date}`;
  return [head, ...cases.map(tableOf)].join("\n\n");
}

function tableOf({ name, what, baseline, contenders }: CaseResult): string {
  const counted = [...new Set(contenders.flatMap(({ counts }) => Object.keys(counts)))];
  const rows = [
    ["", "CPU/op", "min", "max", "op/CPU s", `cost / ${baseline}`, "min", "max", ...counted],
    ...contenders.map(({ name: who, micros, opsPerCpuSecond, ratio, counts }) => [
      who,
      duration(micros.median),
      duration(micros.min),
      duration(micros.max),
      opsPerCpuSecond.toLocaleString("en"),
      ...(ratio === undefined ? ["1", "", ""] : [factor(ratio.median), factor(ratio.min), factor(ratio.max)]),
      ...counted.map((count) => String(counts[count] ?? "")),
    ]),
  ];
  const widths = (rows[0] as string[]).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join("  "),
  );
  return [`${name}: ${what}`, ...lines].join("\n");
}

function duration(micros: number): string {
  return micros < 10 ? `${(micros * 1_000).toFixed(0)} ns` : `${micros.toFixed(1)} µs`;
}

function factor(ratio: number): string {
  return ratio.toFixed(ratio < 10 ? 2 : 1);
}
