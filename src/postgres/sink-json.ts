import { CacheError } from "../errors.js";

/** A row's columns. */
export type Columns = Readonly<Record<string, unknown>>;

/**
 * Rows as one JSON text, for `json_populate_record`: which reads each column's text as its type does. So dates go as ISO
 * 8601, bytes as `\x…`, and numbers that JSON has not as text.
 *
 * @throws CacheError `ERR_CACHE_VALUE` for what would lose something on the way
 */
export function jsonOf(
  rows: readonly {
    readonly columns: Columns;
    readonly n: number;
    readonly base: number | undefined;
    readonly bumps: number;
  }[],
): string {
  return JSON.stringify(
    rows.map(({ columns, n, base, bumps }) => ({
      n,
      base,
      bumps,
      row: Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, columnOf(name, value)])),
    })),
  );
}

function columnOf(name: string, value: unknown): unknown {
  switch (typeof value) {
    case "bigint":
      return String(value);
    case "number":
      // "NaN", "Infinity": as the types of floats read them.
      return Number.isFinite(value) ? value : String(value);
    case "object":
      return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString("hex")}` : plain(name, value);
    default:
      return value;
  }
}

/** What a column of JSON, or of an array, gets: as it is, if JSON can say it. */
function plain(name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) throw unsayable(name, String(value));
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((item) => plain(name, item));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw unsayable(name, value.constructor.name);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(name, item)]));
}

function unsayable(name: string, what: string): CacheError {
  return new CacheError("ERR_CACHE_VALUE", `Expected the column ${name} to hold what JSON can say, got \`${what}\``);
}
