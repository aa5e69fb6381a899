import { crc32 } from "node:zlib";
import { CacheError } from "../errors.js";
import type { LogRecord, Mark } from "../invalidation/record.js";

/**
 * What the table's values hold. All but entries begin with a checksum of key and value: a flipped bit in a position
 * would let old values pass. Of an entry it covers what is not the caller's: the envelope has a checksum of its own.
 */

export const FORMAT = 1;

/** Of all entries. */
export interface Usage {
  readonly bytes: number;
  readonly entries: number;
}

/** Of one cache. */
export interface State {
  readonly position: number;
  readonly control: number;
  readonly floor: number;
  readonly fence: number;
  /** How many leases have ended. */
  readonly settled: number;
  readonly records: number;
  readonly recordBytes: number;
  readonly marks: number;
  readonly rules: number;
}

export interface Lease {
  readonly token: string;
  readonly since: number;
  readonly until: number;
}

/** An entry's own fields; `value` shares the bytes it was read from. */
export interface StoredEntry {
  readonly since: number;
  readonly until: number;
  readonly value: Uint8Array;
}

const CRC = 4;
const ENTRY_HEAD = CRC + 8 + 8 + 4;
const STATE_FIELDS = [
  "position",
  "control",
  "floor",
  "fence",
  "settled",
  "records",
  "recordBytes",
  "marks",
  "rules",
] as const satisfies readonly (keyof State)[];

export function encodeUsage(key: Uint8Array, usage: Usage): Uint8Array {
  return numbers(key, [FORMAT, usage.bytes, usage.entries]);
}

/** @throws CacheError `ERR_CACHE_CORRUPT` also for another format. */
export function decodeUsage(key: Uint8Array, value: Uint8Array): Usage {
  const body = checked(key, value);
  const format = body.getFloat64(0);
  if (format !== FORMAT) throw corrupt(`format ${format} is not known here`);
  return { bytes: body.getFloat64(8), entries: body.getFloat64(16) };
}

export function encodeState(key: Uint8Array, state: State): Uint8Array {
  return numbers(
    key,
    STATE_FIELDS.map((field) => state[field]),
  );
}

export function decodeState(key: Uint8Array, value: Uint8Array): State {
  const body = checked(key, value);
  const at = (index: number): number => body.getFloat64(index * 8);
  return {
    position: at(0),
    control: at(1),
    floor: at(2),
    fence: at(3),
    settled: at(4),
    records: at(5),
    recordBytes: at(6),
    marks: at(7),
    rules: at(8),
  };
}

export function encodeLease(key: Uint8Array, lease: Lease): Uint8Array {
  return text(key, [lease.since, lease.until], lease.token);
}

export function decodeLease(key: Uint8Array, value: Uint8Array): Lease {
  const body = checked(key, value);
  return { since: body.getFloat64(0), until: body.getFloat64(8), token: textFrom(value, CRC + 16) };
}

/** A mark's position, with the mark itself where it must be listed. */
export function encodeMoved(key: Uint8Array, position: number, rule?: { mark: Mark; soft: boolean }): Uint8Array {
  return text(key, [position], rule === undefined ? "" : JSON.stringify(rule));
}

export function decodeMoved(key: Uint8Array, value: Uint8Array): number {
  return checked(key, value).getFloat64(0);
}

export function decodeRule(key: Uint8Array, value: Uint8Array): { mark: Mark; soft: boolean; position: number } {
  const position = decodeMoved(key, value);
  const rule = JSON.parse(textFrom(value, CRC + 8)) as { mark: Mark; soft: boolean };
  return { ...rule, position };
}

/** The mere presence of a key, with its checksum. */
export function encodeNothing(key: Uint8Array): Uint8Array {
  return numbers(key, []);
}

export function encodeRecord(
  key: Uint8Array,
  { previous, origin, soft, marks }: Omit<LogRecord, "position">,
): Uint8Array {
  return text(key, [previous], JSON.stringify({ origin, soft, marks }));
}

export function decodeRecord(key: Uint8Array, value: Uint8Array, position: number): LogRecord {
  const previous = checked(key, value).getFloat64(0);
  const rest = JSON.parse(textFrom(value, CRC + 8)) as Pick<LogRecord, "origin" | "soft" | "marks">;
  return { position, previous, ...rest };
}

export function encodeSettled(key: Uint8Array, number: number, path: string): Uint8Array {
  return text(key, [number], path);
}

export function decodeSettled(key: Uint8Array, value: Uint8Array): { number: number; path: string } {
  return { number: checked(key, value).getFloat64(0), path: textFrom(value, CRC + 8) };
}

export function encodeEntry(
  key: Uint8Array,
  path: string,
  since: number,
  until: number,
  value: Uint8Array,
): Uint8Array {
  const pathLength = Buffer.byteLength(path);
  const bytes = Buffer.allocUnsafe(ENTRY_HEAD + pathLength + value.length);
  bytes.writeDoubleBE(since, CRC);
  bytes.writeDoubleBE(until, CRC + 8);
  bytes.writeUInt32BE(pathLength, CRC + 16);
  bytes.write(path, ENTRY_HEAD);
  bytes.writeUInt32BE(checksum(key, bytes.subarray(CRC, ENTRY_HEAD + pathLength)));
  bytes.set(value, ENTRY_HEAD + pathLength);
  return bytes;
}

/** `undefined` where another path's entry is stored under its name, or a damaged one: as good as none. */
export function decodeEntry(key: Uint8Array, bytes: Uint8Array, path: string): StoredEntry | undefined {
  const length = entryHeadLength(bytes);
  if (length === undefined || checksum(key, bytes.subarray(CRC, length)) !== viewOf(bytes).getUint32(0)) {
    return undefined;
  }
  if (textFrom(bytes, ENTRY_HEAD, length) !== path) return undefined;
  return {
    ...entryTimes(bytes),
    value: new Uint8Array(bytes.buffer, bytes.byteOffset + length, bytes.length - length),
  };
}

/** The path written beside an entry; `undefined` for bytes that cannot be one. */
export function pathOfEntry(bytes: Uint8Array): string | undefined {
  const length = entryHeadLength(bytes);
  return length === undefined ? undefined : textFrom(bytes, ENTRY_HEAD, length);
}

/** Of bytes known to hold an entry. */
export function entryTimes(bytes: Uint8Array): { since: number; until: number } {
  if (bytes.length < ENTRY_HEAD) return { since: 0, until: 0 };
  const view = viewOf(bytes);
  return { since: view.getFloat64(CRC), until: view.getFloat64(CRC + 8) };
}

/** Whether what can be seen of a value is whole; an entry is seen whole when its path is. */
export function isSound(key: Uint8Array, seen: Uint8Array, isEntry: boolean, size: number): boolean {
  if (seen.length < CRC) return false;
  if (!isEntry) return seen.length < size || checksum(key, seen.subarray(CRC)) === viewOf(seen).getUint32(0);
  if (size < ENTRY_HEAD || seen.length < Math.min(size, ENTRY_HEAD)) return false;
  const length = ENTRY_HEAD + viewOf(seen).getUint32(CRC + 16);
  if (length > size) return false;
  return length > seen.length || checksum(key, seen.subarray(CRC, length)) === viewOf(seen).getUint32(0);
}

export function corrupt(what: string): CacheError {
  return new CacheError("ERR_CACHE_CORRUPT", `The host tier's file is damaged: ${what}`);
}

function entryHeadLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < ENTRY_HEAD) return undefined;
  const length = ENTRY_HEAD + viewOf(bytes).getUint32(CRC + 16);
  return length <= bytes.length ? length : undefined;
}

function numbers(key: Uint8Array, values: readonly number[]): Uint8Array {
  return text(key, values, "");
}

function text(key: Uint8Array, values: readonly number[], rest: string): Uint8Array {
  const restAt = CRC + values.length * 8;
  const bytes = Buffer.allocUnsafe(restAt + Buffer.byteLength(rest));
  for (const [index, value] of values.entries()) bytes.writeDoubleBE(value, CRC + index * 8);
  bytes.write(rest, restAt);
  bytes.writeUInt32BE(checksum(key, bytes.subarray(CRC)));
  return bytes;
}

/** The bytes after the checksum. */
function checked(key: Uint8Array, value: Uint8Array): DataView {
  if (value.length < CRC || checksum(key, value.subarray(CRC)) !== viewOf(value).getUint32(0)) {
    throw corrupt("a checksum does not fit");
  }
  return new DataView(value.buffer, value.byteOffset + CRC, value.length - CRC);
}

function checksum(key: Uint8Array, bytes: Uint8Array): number {
  return crc32(bytes, crc32(key));
}

function textFrom(bytes: Uint8Array, from: number, to: number = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
