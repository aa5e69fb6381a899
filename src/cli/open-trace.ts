import { basename } from "node:path";
import { integer, percent } from "../figures.js";
import type { TraceOptions, TraceSummary } from "../simulate/trace/read-trace.js";
import { fileSize } from "../simulate/trace/text-lines.js";
import { Progress } from "./progress.js";
import type { Terminal } from "./terminal.js";
import type { TraceFlags } from "./trace-options.js";

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
