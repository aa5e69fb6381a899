/*
 * Ids written as the path that `encodeKey` gives them, into an array and not into a string: making the string costs a read from
 * memory several times over.
 *
 * For implementers. What is written must be what `keys.ts` encodes, to the unit: a look-up by it finds the entry of exactly
 * that path. So only ids are written whose encoding is themselves beyond doubt: integers from 0, and text of letters, digits,
 * "_", "-" and "." that cannot be taken for a version or, in a tuple, for another type. All others are encoded.
 */
import type { KeyInput } from "./keys.js";

/** The answer for an id that is to be encoded. */
export const NOT_WRITTEN = -1;

const MOST_INT32 = 2 ** 31 - 1;
const ZERO = 0x30;
const COLON = 0x3a;
const SMALL_V = 0x76;
/** By unit: 1 for what needs no escape anywhere in a segment. */
const PLAIN: Uint8Array = new Uint8Array(128);
for (const unit of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") PLAIN[unit.charCodeAt(0)] = 1;

/**
 * Writes the path of an id into `units` from `at` on, ending before `to`.
 *
 * @returns where it ends, or `NOT_WRITTEN`: then what stands there is of no meaning.
 */
export function writeId(id: KeyInput, units: Uint16Array, at: number, to: number): number {
  if (typeof id === "number") return writeNumber(id, units, at, to);
  if (typeof id === "string") return isVersionLike(id) ? NOT_WRITTEN : writeText(id, units, at, to);
  return Array.isArray(id) ? writeTuple(id, units, at, to) : NOT_WRITTEN;
}

function writeTuple(segments: readonly unknown[], units: Uint16Array, at: number, to: number): number {
  let end = at;
  for (let i = 0; i < segments.length; i += 1) {
    if (i > 0) {
      if (end >= to) return NOT_WRITTEN;
      units[end] = COLON;
      end += 1;
    }
    const segment = segments[i];
    if (typeof segment === "number") end = writeNumber(segment, units, end, to);
    else if (typeof segment === "string" && isWord(segment)) end = writeText(segment, units, end, to);
    else return NOT_WRITTEN;
    if (end === NOT_WRITTEN) return NOT_WRITTEN;
  }
  // Of no segments: the encoder says what is wrong with it.
  return end === at ? NOT_WRITTEN : end;
}

function writeText(text: string, units: Uint16Array, at: number, to: number): number {
  const { length } = text;
  if (length === 0 || at + length > to) return NOT_WRITTEN;
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit > 127 || PLAIN[unit] !== 1) return NOT_WRITTEN;
    units[at + i] = unit;
  }
  return at + length;
}

function writeNumber(number: number, units: Uint16Array, at: number, to: number): number {
  if (!Number.isSafeInteger(number) || number < 0) return NOT_WRITTEN;
  let digits = 1;
  for (let power = 10; power <= number; power *= 10) digits += 1;
  if (at + digits > to) return NOT_WRITTEN;
  let place = at + digits;
  let rest = number;
  while (rest > MOST_INT32) {
    const tenth = Math.floor(rest / 10);
    place -= 1;
    units[place] = ZERO + (rest - tenth * 10);
    rest = tenth;
  }
  // As int32 the engine divides by multiplying.
  let small = rest | 0;
  while (place > at) {
    const tenth = (small / 10) | 0;
    place -= 1;
    units[place] = ZERO + (small - tenth * 10);
    small = tenth;
  }
  return at + digits;
}

/** A "v" before digits stands for a version, and is marked where it is not one. */
function isVersionLike(text: string): boolean {
  return text.charCodeAt(0) === SMALL_V;
}

/** Text that in a tuple stands for nothing but itself: no number, no true, false or null, no version. */
function isWord(text: string): boolean {
  const first = text.charCodeAt(0);
  if (first < 0x41 || first === SMALL_V) return false;
  return text !== "true" && text !== "false" && text !== "null";
}
