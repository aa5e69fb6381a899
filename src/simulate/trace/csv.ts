import type { LineParser } from "./formats.js";
import { DELETE, GET, SET, type Operation, type TraceRequest } from "./request-batch.js";

/** What a column of a CSV trace may hold; `_` is skipped. */
export type CsvColumn = "key" | "size" | "keySize" | "ttl" | "time" | "op" | "client" | "_";

/** Units of a time column, in milliseconds. */
export const TIME_UNITS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000 } as const;
export type TimeUnit = keyof typeof TIME_UNITS;

/** How the lines of a CSV trace are to be read. */
export interface CsvLayout {
  readonly columns: readonly CsvColumn[];
  readonly delimiter: string;
  /** The unit of the time column. Times to live are seconds, as in every public trace that has them. */
  readonly timeUnit: TimeUnit;
}

/** The traces of Twitter's clusters (Yang, Yue, Rashmi, OSDI 2020). */
export const TWITTER: Pick<CsvLayout, "columns" | "delimiter"> = {
  columns: ["time", "key", "keySize", "size", "client", "op", "ttl"],
  delimiter: ",",
};

/** As libCacheSim prints traces. */
export const TIME_ID_SIZE: Pick<CsvLayout, "columns"> = { columns: ["time", "key", "size"] };

const NAMES: Readonly<Record<Exclude<CsvColumn, "_">, readonly string[]>> = {
  key: ["key", "id", "obj_id", "object", "object_id", "anonymized key", "lbn", "block", "url", "path"],
  size: ["size", "value_size", "value size", "bytes", "obj_size", "length"],
  keySize: ["key_size", "key size"],
  ttl: ["ttl", "ttl_seconds"],
  time: ["time", "timestamp", "ts", "clock_time"],
  op: ["op", "operation", "method", "type"],
  client: ["client", "client_id", "client id", "user", "user_id", "session"],
};

const OPERATIONS: readonly (readonly [operation: Operation, names: string])[] = [
  [GET, "get gets read r head options lookup"],
  [SET, "set add replace cas append prepend write w put post patch update incr decr insert"],
  [DELETE, "delete del remove invalidate evict"],
];

const OPERATION_OF: ReadonlyMap<string, Operation> = new Map(
  OPERATIONS.flatMap(([operation, names]) => names.split(" ").map((name): [string, Operation] => [name, operation])),
);

const MS_PER_SECOND = 1000;

/** Whether the text names an operation. */
export function isOperation(text: string): boolean {
  return OPERATION_OF.has(text.toLowerCase());
}

/** The column a header's field names; `_` when it says nothing to us. */
export function columnNamed(name: string): CsvColumn {
  const wanted = name.trim().toLowerCase();
  for (const [column, names] of Object.entries(NAMES)) if (names.includes(wanted)) return column as CsvColumn;
  return "_";
}

/** The fields of a line. A field may be quoted, its quotes doubled; a quoted field does not span lines. */
export function fieldsOf(line: string, delimiter: string): readonly string[] {
  if (!line.includes('"')) return line.split(delimiter);
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] === '"') {
      let end = at + 1;
      while (end < line.length && (line[end] !== '"' || line[end + 1] === '"')) end += line[end] === '"' ? 2 : 1;
      fields.push(line.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1 + delimiter.length;
    } else {
      const next = line.indexOf(delimiter, at);
      const end = next === -1 ? line.length : next;
      fields.push(line.slice(at, end));
      at = end + delimiter.length;
    }
  }
  return fields;
}

export function csvParser({ columns, delimiter, timeUnit }: CsvLayout): LineParser {
  const at = (column: CsvColumn): number => columns.indexOf(column);
  const places = {
    key: at("key"),
    size: at("size"),
    keySize: at("keySize"),
    ttl: at("ttl"),
    time: at("time"),
    op: at("op"),
    client: at("client"),
  };
  const needed = columns.findLastIndex((column) => column !== "_") + 1;
  const milliseconds = TIME_UNITS[timeUnit];
  return (line, emit) => {
    const fields = fieldsOf(line, delimiter);
    if (fields.length < needed) return `expected ${needed} fields, found ${fields.length}`;
    const key = field(fields, places.key);
    if (key === undefined) return "expected a key";
    const operation = OPERATION_OF.get((field(fields, places.op) ?? "get").toLowerCase());
    if (operation === undefined)
      return `expected an operation such as get, set or delete, found ${show(fields[places.op])}`;
    const numbers: Record<"size" | "keySize" | "time" | "ttl", number | undefined> = {
      size: amount(fields, places.size),
      keySize: amount(fields, places.keySize),
      time: amount(fields, places.time),
      ttl: amount(fields, places.ttl),
    };
    for (const name of ["size", "keySize", "time", "ttl"] as const) {
      const value = numbers[name];
      if (value !== undefined && !(value >= 0))
        return `expected a ${name} of 0 or more, found ${show(fields[places[name]])}`;
    }
    const { size, keySize, time, ttl } = numbers;
    const request: TraceRequest = {
      key,
      operation,
      size: size === undefined ? undefined : size + (keySize ?? 0),
      time: time === undefined ? undefined : time * milliseconds,
      // In the public traces 0 is none.
      ttl: ttl === undefined || ttl === 0 ? undefined : ttl * MS_PER_SECOND,
      client: field(fields, places.client),
    };
    emit(request);
    return undefined;
  };
}

/** `undefined` when the trace has no such column or the line leaves it empty. */
function field(fields: readonly string[], at: number): string | undefined {
  const text = fields[at]?.trim();
  return text === undefined || text === "" ? undefined : text;
}

function amount(fields: readonly string[], at: number): number | undefined {
  const text = field(fields, at);
  if (text === undefined) return undefined;
  return Number.isFinite(Number(text)) ? Number(text) : Number.NaN;
}

function show(text: string | undefined): string {
  return JSON.stringify((text ?? "").slice(0, 40));
}
