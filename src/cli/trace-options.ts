import { basename } from "node:path";
import { Option, type Command } from "commander";
import { TIME_UNITS, type CsvColumn, type TimeUnit } from "../simulate/trace/csv.js";
import { TRACE_FORMATS, type TraceFormat } from "../simulate/trace/formats.js";
import type { TraceOptions, TraceSummary } from "../simulate/trace/read-trace.js";
import { fileSize } from "../simulate/trace/text-lines.js";
import { integer, percent } from "./figures.js";
import { byteSize, columnList, count, duration, fraction, positive } from "./option-values.js";
import { Progress } from "./progress.js";
import type { Terminal } from "./terminal.js";

/** The options of every command that reads a trace, as commander hands them over. */
export interface TraceFlags {
  readonly format: TraceFormat | "auto";
  readonly columns?: readonly CsvColumn[];
  readonly timeUnit: TimeUnit;
  readonly sample?: number;
  readonly strict?: true;
  readonly ttl?: number;
  readonly entrySize?: number;
  readonly rate?: number;
  readonly seed: number;
  readonly json?: true;
  readonly quiet?: true;
}

/** Declares the options of `TraceFlags`. */
export function addTraceOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--format <name>", "how the trace is written").choices(["auto", ...TRACE_FORMATS]).default("auto"),
    )
    .option(
      "--columns <names>",
      "columns of a CSV trace, in order: key, size, ttl, time, op, client, _ to skip",
      columnList,
    )
    .addOption(new Option("--time-unit <unit>", "of the time column").choices(Object.keys(TIME_UNITS)).default("s"))
    .option("--ttl <duration>", "time to live of entries that name none", duration)
    .option("--entry-size <bytes>", "of every entry, if the trace tells no sizes", byteSize)
    .option("--rate <number>", "requests a second, if the trace tells no times", positive)
    .option("--sample <part>", "simulate this part of all keys only: 1/8", fraction)
    .option("--seed <number>", "of everything that is left to chance", count, 1)
    .option("--strict", "stop at the first line that cannot be read")
    .option("--json", "print JSON")
    .option("--quiet", "no progress and no warnings");
}

/** The trace that the options name, and the bar that shows how far it was read. */
export async function openTrace(
  path: string,
  flags: TraceFlags,
  terminal: Terminal,
  passes: number,
): Promise<{ readonly trace: TraceOptions; readonly progress: Progress }> {
  const progress = new Progress(terminal, { bytes: await fileSize(path), passes, quiet: flags.quiet === true });
  const { format, columns, timeUnit, sample, strict } = flags;
  return { trace: { path, format, columns, timeUnit, sample, strict, onProgress: progress.update }, progress };
}

/** Says which lines were passed over. */
export function warnOfBadLines(summary: TraceSummary, flags: TraceFlags, terminal: Terminal): void {
  if (summary.badLines === 0 || flags.quiet === true) return;
  terminal.note(
    `warning: ${integer(summary.badLines)} of ${integer(summary.lines)} lines cannot be read and were skipped`,
  );
  for (const { line, reason } of summary.firstBadLines) terminal.note(`  line ${line}: ${reason}`);
}

/** The trace in a line. */
export function describeTrace(path: string, summary: TraceSummary, keys: number, sample: number): string {
  const about = sample < 1 ? "about " : "";
  const part = sample < 1 ? `; ${percent(sample, 1)} of the keys simulated` : "";
  return `${basename(path)}: ${integer(summary.requests)} requests, ${about}${integer(keys)} keys (${summary.format}${part})`;
}
