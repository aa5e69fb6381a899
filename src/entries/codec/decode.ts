import { isUtf8 } from "node:buffer";

import { CacheError } from "../../errors.js";
import { copyBytes, toFormatOrder, TYPED_ARRAYS } from "./data.js";
import {
  MAX_BIGINT_BYTES,
  MAX_DEPTH,
  MAX_SHAPES,
  TAG_ARRAY,
  TAG_ARRAY_BUFFER,
  TAG_BIGINT,
  TAG_BYTES,
  TAG_DATE,
  TAG_FALSE,
  TAG_FLOAT64,
  TAG_HIGH_SHAPE,
  TAG_INT16,
  TAG_INT32,
  TAG_LATIN1,
  TAG_LONG_ARRAY,
  TAG_MAP,
  TAG_NEW_SHAPE,
  TAG_NULL,
  TAG_OBJECT,
  TAG_SET,
  TAG_SHAPE,
  TAG_TEXT,
  TAG_TRUE,
  TAG_TYPED_ARRAY,
  TAG_UNDEFINED,
  TAG_UTF16,
  TAG_UTF8,
} from "./format.js";
import { emptyObject, holdSparsely, isInteger, isSparseKey } from "./objects.js";

/*
 * The bytes may be anybody's. Nothing is read past the end, no memory is taken for a count before as many bytes
 * are seen to be there (and all counts of a message together stay within its length, or nested arrays would
 * each claim the rest of it), containers nest at most MAX_DEPTH deep, and nothing returned shares memory with the
 * input, which may be a socket's pooled buffer.
 */

export interface DecodeOptions {
  /** Freezes plain objects and arrays as they are built. @default false */
  readonly freeze?: boolean | undefined;
}

/**
 * The value that `encodeValue` made these bytes of.
 *
 * @throws CacheError `ERR_CACHE_CORRUPT` for anything else: foreign, torn, with bytes to spare, or with a property named
 *   `__proto__`.
 */
export function decodeValue(bytes: Uint8Array, options?: DecodeOptions): unknown {
  return decodeValues(bytes, 0, 1, options)[0];
}

/** The `count` values in sequence that fill `bytes` from `start` on. */
export function decodeValues(bytes: Uint8Array, start: number, count: number, options?: DecodeOptions): unknown[] {
  try {
    return new Decoder(bytes, start, options?.freeze === true).decode(count);
  } catch (error) {
    if (error instanceof CacheError) throw error;
    // Out of stack, or a realm hardened so that a property cannot be assigned: still a miss, never a crash.
    throw new CacheError("ERR_CACHE_CORRUPT", "Expected an encoded value, got bytes that could not be read", {
      cause: error,
    });
  }
}

function corrupt(what: string): CacheError {
  return new CacheError("ERR_CACHE_CORRUPT", `Expected an encoded value, got ${what}`);
}

/**
 * Lists of keys by the bytes that define them, kept between messages: rows of the same kind come again and again,
 * and making their keys into property names is most of the work on a small one. Forgotten all at once when full.
 */
const knownShapes = new Map<string, Shape>();
const MAX_KNOWN_SHAPES = 256;
/** Longer definitions are not kept, which bounds the memory of all of them. */
const MAX_KNOWN_LENGTH = 2_048;

/** Text up to this length is cut out of a window of the message turned to text at once. Longer pieces V8 would not copy but keep as views of the whole window. */
const SHORT_TEXT = 12;
const WINDOW = 4_096;

interface Shape {
  readonly keys: readonly string[];
  /** What its objects begin as (`objects.ts`). */
  readonly layout: "names" | "integers" | "sparse";
}

class Decoder {
  readonly #bytes: Buffer;
  readonly #freeze: boolean;
  readonly #shapes: Shape[] = [];
  #at: number;
  /** How many items may yet be announced. */
  #allowance: number;
  #view: DataView | undefined;
  #window = "";
  #windowStart = 0;

  constructor(bytes: Uint8Array, start: number, freeze: boolean) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#freeze = freeze;
    this.#at = start;
    this.#allowance = bytes.byteLength - start;
  }

  decode(count: number): unknown[] {
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(this.#value(0));
    if (this.#at !== this.#bytes.length) throw corrupt("bytes after its end");
    return values;
  }

  /** Moves past `size` bytes and returns where they begin. */
  #take(size: number): number {
    const start = this.#at;
    if (size > this.#bytes.length - start) throw corrupt("too few bytes");
    this.#at = start + size;
    return start;
  }

  #byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  #length(): number {
    let length = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      const byte = this.#byte();
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (length > 0xffff_ffff) break;
        return length;
      }
    }
    throw corrupt("a length out of range");
  }

  /** A number of items, each of which takes a byte at least. */
  #count(length: number): number {
    this.#allowance -= length;
    if (this.#allowance < 0) throw corrupt("more items than bytes");
    return length;
  }

  /** `depth` counts the containers around the value. */
  #value(depth: number): unknown {
    const tag = this.#byte();
    if (tag < TAG_TEXT) return tag;
    if (tag < TAG_ARRAY) return this.#oneByteText(tag & 0x1f);
    if (tag < TAG_SHAPE) return this.#array(tag & 0x0f, depth);
    if (tag < TAG_UNDEFINED) return this.#shaped(this.#shape(tag & 0x0f), depth);
    switch (tag) {
      case TAG_UNDEFINED:
        return undefined;
      case TAG_NULL:
        return null;
      case TAG_FALSE:
        return false;
      case TAG_TRUE:
        return true;
      case TAG_INT16:
        return this.#numbers().getInt16(this.#take(2), true);
      case TAG_INT32:
        return this.#numbers().getInt32(this.#take(4), true);
      case TAG_FLOAT64:
        return this.#numbers().getFloat64(this.#take(8), true);
      case TAG_LATIN1:
      case TAG_UTF8:
      case TAG_UTF16:
        return this.#longText(tag);
      case TAG_LONG_ARRAY:
        return this.#array(this.#length(), depth);
      case TAG_NEW_SHAPE:
        return this.#newShape(depth);
      case TAG_OBJECT:
        return this.#object(depth);
      case TAG_HIGH_SHAPE:
        return this.#shaped(this.#shape(this.#byte()), depth);
      default:
        return this.#rare(tag, depth);
    }
  }

  #rare(tag: number, depth: number): unknown {
    switch (tag) {
      case TAG_BIGINT:
        return this.#bigint();
      case TAG_DATE:
        return this.#date();
      case TAG_MAP:
        return this.#map(depth);
      case TAG_SET:
        return this.#set(depth);
      case TAG_BYTES:
        return this.#raw();
      case TAG_ARRAY_BUFFER:
        return this.#raw().buffer;
      case TAG_TYPED_ARRAY:
        return this.#typedArray();
      default:
        throw corrupt(`the unknown tag ${tag}`);
    }
  }

  #numbers(): DataView {
    const bytes = this.#bytes;
    return (this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  #oneByteText(length: number): string {
    const start = this.#take(length);
    if (length > SHORT_TEXT) return this.#bytes.toString("latin1", start, start + length);
    if (start < this.#windowStart || start + length > this.#windowStart + this.#window.length) {
      this.#window = this.#bytes.toString("latin1", start, start + WINDOW);
      this.#windowStart = start;
    }
    const from = start - this.#windowStart;
    return this.#window.substring(from, from + length);
  }

  #longText(tag: number): string {
    const length = this.#length();
    const size = tag === TAG_UTF16 ? length * 2 : length;
    const start = this.#take(size);
    if (tag === TAG_LATIN1) return this.#bytes.toString("latin1", start, start + size);
    if (tag === TAG_UTF16) return this.#bytes.toString("utf16le", start, start + size);
    if (!isUtf8(this.#bytes.subarray(start, start + size))) throw corrupt("text that is not UTF-8");
    return this.#bytes.toString("utf8", start, start + size);
  }

  #array(length: number, depth: number): unknown[] {
    if (depth >= MAX_DEPTH) throw corrupt("too many levels");
    const array = new Array<unknown>(this.#count(length));
    for (let i = 0; i < length; i++) array[i] = this.#value(depth + 1);
    return this.#freeze ? (Object.freeze(array) as unknown[]) : array;
  }

  #shape(number: number): Shape {
    const shape = this.#shapes[number];
    if (shape === undefined) throw corrupt("an object of a shape it has not defined");
    return shape;
  }

  #shaped({ keys, layout }: Shape, depth: number): object {
    if (depth >= MAX_DEPTH) throw corrupt("too many levels");
    const object = layout === "names" ? emptyObject(keys.length) : {};
    if (layout === "sparse") holdSparsely(object);
    for (let i = 0; i < keys.length; i++) object[keys[i] as string] = this.#value(depth + 1);
    return this.#freeze ? Object.freeze(object) : object;
  }

  #newShape(depth: number): object {
    const size = this.#numbers().getUint16(this.#take(2), true);
    const start = this.#take(size);
    const known = size <= MAX_KNOWN_LENGTH ? this.#bytes.toString("latin1", start, start + size) : "";
    const shape = knownShapes.get(known) ?? this.#define(start, start + size, known);
    if (this.#shapes.length === MAX_SHAPES) throw corrupt("too many shapes");
    this.#shapes.push(shape);
    return this.#shaped(shape, depth);
  }

  #define(start: number, end: number, known: string): Shape {
    this.#at = start;
    const keys: string[] = [];
    for (let left = this.#length(); left > 0; left--) keys.push(this.#key());
    if (this.#at !== end || new Set(keys).size !== keys.length) throw corrupt("a broken list of keys");
    const shape: Shape = { keys, layout: layoutOf(keys) };
    if (known !== "") {
      if (knownShapes.size === MAX_KNOWN_SHAPES) knownShapes.clear();
      knownShapes.set(known, shape);
    }
    return shape;
  }

  #key(): string {
    const tag = this.#byte();
    if (tag >= TAG_TEXT && tag < TAG_ARRAY) {
      const short = this.#oneByteText(tag & 0x1f);
      if (short === "__proto__") throw corrupt("a property named __proto__");
      return short;
    }
    if (tag === TAG_LATIN1 || tag === TAG_UTF8 || tag === TAG_UTF16) {
      const long = this.#longText(tag);
      // The other forms can spell it too.
      if (long === "__proto__") throw corrupt("a property named __proto__");
      return long;
    }
    throw corrupt("a key that is not text");
  }

  #object(depth: number): object {
    if (depth >= MAX_DEPTH) throw corrupt("too many levels");
    const count = this.#count(this.#length());
    const object = emptyObject(count);
    let isSparse = false;
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      if (!isSparse && isSparseKey(key, count)) {
        holdSparsely(object);
        isSparse = true;
      }
      object[key] = this.#value(depth + 1);
    }
    if (Object.keys(object).length !== count) throw corrupt("a key that comes twice");
    return this.#freeze ? Object.freeze(object) : object;
  }

  #bigint(): bigint {
    const length = this.#length();
    const size = Math.floor(length / 2);
    if (size > MAX_BIGINT_BYTES) throw corrupt("a bigint that is too long");
    const start = this.#take(size);
    const magnitude = BigInt(`0x0${this.#bytes.toString("hex", start, start + size)}`);
    return length % 2 === 0 ? magnitude : -magnitude;
  }

  #date(): Date {
    const time = this.#numbers().getFloat64(this.#take(8), true);
    const date = new Date(time);
    if (date.getTime() !== time && !Number.isNaN(time)) throw corrupt("a date out of range");
    return date;
  }

  #map(depth: number): Map<unknown, unknown> {
    if (depth >= MAX_DEPTH) throw corrupt("too many levels");
    const count = this.#count(this.#length());
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) map.set(this.#value(depth + 1), this.#value(depth + 1));
    if (map.size !== count) throw corrupt("a key that comes twice");
    return map;
  }

  #set(depth: number): Set<unknown> {
    if (depth >= MAX_DEPTH) throw corrupt("too many levels");
    const count = this.#count(this.#length());
    const set = new Set<unknown>();
    for (let i = 0; i < count; i++) set.add(this.#value(depth + 1));
    if (set.size !== count) throw corrupt("an item that comes twice");
    return set;
  }

  #raw(): Uint8Array<ArrayBuffer> {
    const size = this.#length();
    const start = this.#take(size);
    return copyBytes(this.#bytes.subarray(start, start + size));
  }

  #typedArray(): unknown {
    const Type = TYPED_ARRAYS[this.#byte()];
    if (Type === undefined) throw corrupt("a typed array of an unknown type");
    const bytes = this.#raw();
    if (bytes.byteLength % Type.BYTES_PER_ELEMENT !== 0) throw corrupt("a typed array cut within an element");
    toFormatOrder(bytes, Type.BYTES_PER_ELEMENT);
    return new Type(bytes.buffer);
  }
}

function layoutOf(keys: readonly string[]): Shape["layout"] {
  if (keys.some((key) => isSparseKey(key, keys.length))) return "sparse";
  return keys.some(isInteger) ? "integers" : "names";
}
