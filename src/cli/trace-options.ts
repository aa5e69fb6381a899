import { Option, type Command } from "commander";
import { TIME_UNITS, type CsvColumn, type TimeUnit } from "../simulate/trace/csv.js";
import { TRACE_FORMATS, type TraceFormat } from "../simulate/trace/formats.js";
import { byteSize, columnList, count, duration, fraction, positive } from "./option-values.js";

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
