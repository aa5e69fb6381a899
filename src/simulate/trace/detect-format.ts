import { columnNamed, fieldsOf, isOperation, type CsvColumn } from "./csv.js";
import type { TraceFormat } from "./formats.js";
import { TraceError } from "./trace-error.js";

/** How a trace is written, as far as its name and first lines tell. */
export interface DetectedFormat {
  readonly format: TraceFormat;
  /** Of `"csv"`: in the order of the header. */
  readonly columns: readonly CsvColumn[];
  readonly delimiter: string;
  /** Whether the first line is a header. */
  readonly hasHeader: boolean;
}

const DELIMITERS = [",", "\t", ";"];
const TWITTER_FIELDS = 7;
const TWITTER_OPERATION = 5;

/**
 * Guesses the format of a file by its name and its first lines (some that are not empty).
 *
 * @throws TraceError `ERR_TRACE_FORMAT` for a file named `.csv` or `.tsv` whose columns are not known.
 */
export function detectFormat(path: string, lines: readonly string[]): DetectedFormat {
  const name = path.replace(/\.(?:gz|zst)$/, "").toLowerCase();
  if (name.endsWith(".lis")) return simple("lis");
  const csv = detectCsv(lines);
  if (csv !== undefined) return csv;
  if (/\.[ct]sv$/.test(name) && lines.length > 0) {
    throw new TraceError(
      "ERR_TRACE_FORMAT",
      `${path} has no header that names a key: name its columns with --columns, such as time,key,size`,
      { line: 1 },
    );
  }
  const areRuns = lines.length > 0 && lines.every((line) => /^\s*\d+\s+\d+\s+\d+\s+\d+\s*$/.test(line));
  return simple(areRuns ? "lis" : "plain");
}

/** The character that divides the fields: the one found most in the first line. */
export function delimiterOf(line: string): string {
  const count = (delimiter: string): number => line.split(delimiter).length;
  return DELIMITERS.reduce((best, next) => (count(next) > count(best) ? next : best));
}

function detectCsv(lines: readonly string[]): DetectedFormat | undefined {
  const first = lines[0];
  if (first === undefined) return undefined;
  const delimiter = delimiterOf(first);
  const columns = fieldsOf(first, delimiter).map(columnNamed);
  if (columns.includes("key") && (columns.length > 1 || first.trim().toLowerCase() === "key")) {
    return { format: "csv", columns, delimiter, hasHeader: true };
  }
  const rows = lines.map((line) => fieldsOf(line, delimiter));
  const isTwitter = (row: readonly string[]): boolean =>
    row.length === TWITTER_FIELDS && isOperation(row[TWITTER_OPERATION] ?? "");
  if (delimiter === "," && rows.every(isTwitter)) return simple("twitter");
  const isNumbers = (row: readonly string[]): boolean =>
    (row.length === 3 || row.length === 4) && row.every((text) => /^\s*-?\d+(?:\.\d+)?\s*$/.test(text));
  return rows.every(isNumbers) ? { ...simple("time-id-size"), delimiter } : undefined;
}

function simple(format: TraceFormat): DetectedFormat {
  return { format, columns: [], delimiter: ",", hasHeader: false };
}
