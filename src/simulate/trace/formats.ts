import { csvParser, TIME_ID_SIZE, TWITTER, type CsvLayout } from "./csv.js";
import { GET, type TraceRequest } from "./request-batch.js";

/** How the lines of a trace are written; `"auto"` finds out. */
export type TraceFormat = "plain" | "lis" | "csv" | "twitter" | "time-id-size";

export const TRACE_FORMATS: readonly TraceFormat[] = ["plain", "lis", "csv", "twitter", "time-id-size"];

/**
 * Hands the requests of one line on, in order.
 *
 * @returns what is wrong with the line, in which case nothing was handed on; `undefined` when it is well.
 */
export type LineParser = (line: string, emit: (request: TraceRequest) => void) => string | undefined;

/** More blocks than this in one line of a `.lis` trace are taken for a mistake. */
const LONGEST_RUN = 1 << 20;

/** The parser of a format. `layout` names the columns of `"csv"`. */
export function parserOf(format: TraceFormat, layout: CsvLayout): LineParser {
  switch (format) {
    case "plain":
      return parsePlain;
    case "lis":
      return parseLis;
    case "csv":
      return csvParser(layout);
    case "twitter":
      return csvParser({ ...layout, ...TWITTER });
    case "time-id-size":
      return csvParser({ ...layout, ...TIME_ID_SIZE });
  }
}

function parsePlain(line: string, emit: (request: TraceRequest) => void): string | undefined {
  emit({ key: line.trim(), operation: GET });
  return undefined;
}

/** `start count ignored sequence`: the blocks from `start` to `start + count - 1`, as in the traces of the ARC paper. */
function parseLis(line: string, emit: (request: TraceRequest) => void): string | undefined {
  const match = /^\s*(\d{1,15})\s+(\d{1,15})(?:\s+\d+){0,2}\s*$/.exec(line);
  if (match === null) return "expected four integers: start, count, ignored, sequence";
  const start = Number(match[1]);
  const count = Number(match[2]);
  if (count < 1 || count > LONGEST_RUN) return `expected a count from 1 to ${LONGEST_RUN}`;
  for (let block = start; block < start + count; block += 1) emit({ key: block, operation: GET });
  return undefined;
}
