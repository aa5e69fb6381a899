import { isOneByte, type TypedArray } from "./codec/data.js";
import { isInteger, isSparseKey } from "./codec/objects.js";

/*
 * What a value takes on V8's heap: Node 20, 64 bits, no pointer compression, so a word is 8 bytes and an integer
 * of 32 bits lives in the word that refers to it. Each function gives what the thing itself takes, without
 * what it refers to. measure.test.ts checks them against the real heap.
 */

/** A number outside the 32-bit integers, in a box of its own. */
const BOX = 16;
/** `Date`: eleven words, and the time in a box. */
export const DATE_BYTES: number = 96 + BOX;
/** Object and view; contents of up to 64 bytes are kept with them. */
const VIEW_BYTES = 184;
/** `ArrayBuffer` without its contents. */
const BUFFER_BYTES = 88;
/** What only `measure` meets. A closure with its context. */
export const FUNCTION_BYTES: number = 96;
/** What is not looked into (a proxy), or has more than its properties: a promise, an error, a regular expression. */
export const OPAQUE_BYTES: number = 128;

/** Of an entry with no tags, its key not counted; `npm run bench -- memory --only sizing` weighs it. */
const ENTRY_BYTES = 740;
/** A tag's place in the list, and what joining its parts to a path has left. */
const TAG_BYTES = 40;

export function numberBytes(value: number): number {
  return Object.is(value | 0, value) ? 0 : BOX;
}

export function stringBytes(text: string): number {
  const length = text.length;
  if (isOneByte(text)) return length < 2 ? 0 : toWords(16 + length);
  return toWords(16 + length * 2);
}

export function bigintBytes(value: bigint): number {
  if (BigInt.asIntN(64, value) === value) return 24;
  const digits = (value < 0n ? -value : value).toString(16).length;
  return 16 + toWords(digits / 2);
}

export function arrayBytes(length: number): number {
  return 48 + length * 8;
}

/**
 * A plain object with these keys. The names are counted only for a dictionary (more than 64 keys): below that
 * objects of one shape share them.
 */
export function objectBytes(keys: readonly string[]): number {
  const count = keys.length;
  if (isInteger(keys[0])) {
    return isSparseKey(keys[count - 1] as string, count) ? 104 + tableBytes(count) : 200 + count * 10;
  }
  if (count === 0) return 56;
  if (count <= 64) return 24 + count * 8;
  let names = 0;
  for (const key of keys) names += stringBytes(key);
  return 112 + tableBytes(count) + names;
}

/** An object without a prototype: V8 makes it a hash table, however few its keys. */
export function bareObjectBytes(count: number): number {
  return 80 + tableBytes(count);
}

export function mapBytes(size: number): number {
  return 72 + 28 * powerOfTwo(size, 4);
}

export function setBytes(size: number): number {
  return 72 + 20 * powerOfTwo(size, 4);
}

export function viewBytes(view: Uint8Array | TypedArray | DataView): number {
  const length = view.byteLength;
  return VIEW_BYTES + (length > 0 && length <= 64 ? 16 : 0) + toWords(length);
}

export function bufferBytes(buffer: ArrayBuffer): number {
  return BUFFER_BYTES + toWords(buffer.byteLength);
}

/**
 * What memory keeps of an entry beside its value: its key and tags, what it is judged by, and its share of the index. The
 * index is counted as a cache has it that has been full for a while.
 */
export function entryBytes(path: string, tags: readonly string[]): number {
  let bytes = ENTRY_BYTES + stringBytes(path);
  for (const tag of tags) bytes += TAG_BYTES + stringBytes(tag);
  return bytes;
}

function toWords(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** A hash table of V8's: three words for each place, two thirds of them in use. */
function tableBytes(count: number): number {
  return 24 * powerOfTwo(count * 1.5, 4);
}

function powerOfTwo(atLeast: number, minimum: number): number {
  let size = minimum;
  while (size < atLeast) size *= 2;
  return size;
}
