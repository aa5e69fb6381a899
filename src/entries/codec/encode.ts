import { bytesOf, copyBytes, isOneByte, kindOf, toFormatOrder, typedArrayIndex, type TypedArray } from "./data.js";
import {
  MAX_CONTAINERS,
  MAX_DEPTH,
  MAX_SHAPE_KEYS,
  MAX_SHAPES,
  MAX_VALUE_BYTES,
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
import { asRefusal, isTooLong, refusal, tooLarge } from "./refusal.js";

/*
 * One pass over the value into a buffer that is kept between messages. An object's keys are looked up in a
 * table of shapes, also kept, that holds them as the bytes they become: a list of rows writes its keys once,
 * and a process that stores the same kind of row again does not encode its keys again.
 */

/**
 * The bytes of a value.
 *
 * Data: `undefined`, `null`, booleans, numbers, strings, bigints up to 2^20 bits, arrays, plain objects (also without a
 * prototype), and `Date`, `Map`, `Set`, `ArrayBuffer` and typed arrays (a `Buffer` comes back as
 * `Uint8Array`). An object's data is its enumerable properties with string keys, an array's its items; symbol
 * keys, hidden properties and properties an array has besides its items are left out, as `structuredClone` does.
 * An object met twice is written twice.
 *
 * @returns bytes in memory that small messages share (Node's buffer pool): never transfer their `buffer`.
 * @throws CacheError `ERR_CACHE_VALUE` for everything else (class instances, functions, symbols, `URL`, `RegExp`, errors,
 *   accessors, holes in arrays, cycles, a property named `__proto__`, more than 128 levels or 128 MiB); the message
 *   names the place in the value.
 */
export function encodeValue(value: unknown): Uint8Array {
  return encodeValues(0, [value]);
}

/** The bytes of values in sequence (they share their shapes), behind `prefix` bytes for the caller to fill. */
export function encodeValues(prefix: number, values: readonly unknown[]): Uint8Array {
  const encoder = idle.pop() ?? new Encoder();
  try {
    return encoder.encode(prefix, values);
  } catch (error) {
    throw asRefusal(error);
  } finally {
    if (idle.length === 0) idle.push(encoder);
  }
}

/**
 * The encoder kept between calls for its buffer and its shapes; what it holds never shows in a result. It is
 * taken out while it works, because a Proxy's trap may encode something else meanwhile.
 */
const idle: Encoder[] = [];

const FIRST_BUFFER = 8_192;
/** A buffer that one large value has grown past this is given back after it. */
const KEPT_BUFFER = 1_048_576;

/** Under the `u` flag it matches a surrogate only where it stands alone. */
const LONE_SURROGATE = /\p{Surrogate}/u;

interface Shape {
  readonly keys: readonly string[];
  /** From the tag to the last key. */
  readonly definition: Uint8Array;
  /** The message it was last written in, and its number there. */
  message: number;
  number: number;
}

/** Places in the table of shapes, a power of two, and how many of them one shape may choose from. */
const SHAPE_SLOTS = 128;
const SHAPE_CHOICES = 4;
/** Characters of all keys of a shape together; keeps the table's memory bounded and a definition below 64 KiB. */
const MAX_SHAPE_TEXT = 2_048;

class Encoder {
  #bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER);
  #view: DataView = new DataView(this.#bytes.buffer);
  #at = 0;
  #message = 0;
  #shapesWritten = 0;
  #containers = 0;
  readonly #shapes: (Shape | undefined)[] = new Array<undefined>(SHAPE_SLOTS).fill(undefined);
  #root: unknown = undefined;

  encode(prefix: number, values: readonly unknown[]): Uint8Array {
    this.#at = prefix;
    this.#message++;
    this.#shapesWritten = 0;
    this.#containers = 0;
    try {
      for (const value of values) {
        this.#root = value;
        this.#value(value, 0);
      }
      return this.#finish();
    } finally {
      this.#root = undefined;
      if (this.#bytes.length > KEPT_BUFFER) this.#replace(Buffer.allocUnsafeSlow(FIRST_BUFFER));
    }
  }

  /** Copies the message out, from Node's pool when it is small: memory of its own costs more than encoding a row. */
  #finish(): Uint8Array {
    const home = Buffer.allocUnsafe(this.#at);
    const message = new Uint8Array(home.buffer, home.byteOffset, this.#at);
    message.set(this.#bytes.subarray(0, this.#at));
    return message;
  }

  #replace(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** Makes room for `size` more bytes. */
  #room(size: number): void {
    const needed = this.#at + size;
    if (needed <= this.#bytes.length) return;
    if (needed > MAX_VALUE_BYTES) throw tooLarge();
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, this.#bytes.length * 2), MAX_VALUE_BYTES));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#replace(larger);
  }

  #tag(tag: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = tag;
  }

  /** A tag and a length. */
  #head(tag: number, length: number): void {
    this.#room(6);
    this.#bytes[this.#at++] = tag;
    let rest = length;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** `depth` counts the containers around the value. */
  #value(value: unknown, depth: number): void {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.#tag(value ? TAG_TRUE : TAG_FALSE);
      case "undefined":
        return this.#tag(TAG_UNDEFINED);
      case "bigint":
        return this.#bigint(value);
      case "object":
        return value === null ? this.#tag(TAG_NULL) : this.#object(value, depth);
      default:
        throw refusal(this.#root);
    }
  }

  #number(value: number): void {
    this.#room(9);
    const integer = value | 0;
    if (integer !== value || (value === 0 && 1 / value < 0)) return this.#float64(TAG_FLOAT64, value);
    if (integer >= 0 && integer <= 0x7f) {
      this.#bytes[this.#at++] = integer;
    } else if (integer >= -0x8000 && integer <= 0x7fff) {
      this.#bytes[this.#at] = TAG_INT16;
      this.#view.setInt16(this.#at + 1, integer, true);
      this.#at += 3;
    } else {
      this.#bytes[this.#at] = TAG_INT32;
      this.#view.setInt32(this.#at + 1, integer, true);
      this.#at += 5;
    }
  }

  #float64(tag: number, value: number): void {
    this.#room(9);
    this.#bytes[this.#at] = tag;
    this.#view.setFloat64(this.#at + 1, value, true);
    this.#at += 9;
  }

  #text(text: string): void {
    const length = text.length;
    if (length > 31) {
      if (!isOneByte(text)) return this.#wideText(text);
      this.#head(TAG_LATIN1, length);
      this.#room(length);
      this.#bytes.write(text, this.#at, length, "latin1");
      this.#at += length;
      return;
    }
    this.#room(length + 1);
    const bytes = this.#bytes;
    const start = this.#at + 1;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0xff) return this.#wideText(text);
      bytes[start + i] = unit;
    }
    bytes[this.#at] = TAG_TEXT | length;
    this.#at = start + length;
  }

  #wideText(text: string): void {
    const size = Buffer.byteLength(text, "utf8");
    const asUtf8 = size < text.length * 2 && !LONE_SURROGATE.test(text);
    this.#head(asUtf8 ? TAG_UTF8 : TAG_UTF16, asUtf8 ? size : text.length);
    const written = asUtf8 ? size : text.length * 2;
    this.#room(written);
    this.#bytes.write(text, this.#at, written, asUtf8 ? "utf8" : "utf16le");
    this.#at += written;
  }

  #bigint(value: bigint): void {
    if (isTooLong(value)) throw refusal(this.#root);
    const negative = value < 0n;
    const digits = (negative ? -value : value).toString(16);
    const hex = digits.length % 2 === 0 ? digits : `0${digits}`;
    const size = hex.length / 2;
    this.#head(TAG_BIGINT, size * 2 + (negative ? 1 : 0));
    this.#room(size);
    this.#bytes.write(hex, this.#at, size, "hex");
    this.#at += size;
  }

  #object(value: object, depth: number): void {
    const kind = kindOf(value);
    switch (kind) {
      case "object":
        return this.#plainObject(value as Record<string, unknown>, depth);
      case "array":
        return this.#array(value as readonly unknown[], depth);
      case "date":
        return this.#float64(TAG_DATE, Date.prototype.getTime.call(value));
      case "map":
        return this.#map(value as ReadonlyMap<unknown, unknown>, depth);
      case "set":
        return this.#set(value as ReadonlySet<unknown>, depth);
      case "bytes":
        return this.#raw(TAG_BYTES, value as Uint8Array);
      case "array-buffer":
        return this.#raw(TAG_ARRAY_BUFFER, value as ArrayBuffer);
      case "typed-array":
        return this.#typedArray(value as TypedArray);
      case "other":
        throw refusal(this.#root);
    }
  }

  #enter(depth: number): void {
    if (depth >= MAX_DEPTH) throw refusal(this.#root);
    if (++this.#containers > MAX_CONTAINERS) throw tooLarge();
  }

  #array(array: readonly unknown[], depth: number): void {
    this.#enter(depth);
    const length = array.length;
    if (length <= 15) this.#tag(TAG_ARRAY | length);
    else this.#head(TAG_LONG_ARRAY, length);
    for (let i = 0; i < length; i++) {
      const item = array[i];
      if (item === undefined && !(i in array)) throw refusal(this.#root);
      this.#value(item, depth + 1);
    }
  }

  #plainObject(object: Record<string, unknown>, depth: number): void {
    this.#enter(depth);
    const keys = Object.keys(object);
    const shape = this.#shapeOf(keys);
    if (shape === undefined) {
      this.#head(TAG_OBJECT, keys.length);
      for (const key of keys) {
        if (key === "__proto__") throw refusal(this.#root);
        this.#text(key);
        this.#value(this.#property(object, key), depth + 1);
      }
      return;
    }
    this.#shape(shape);
    for (let i = 0; i < keys.length; i++) this.#value(this.#property(object, keys[i] as string), depth + 1);
  }

  /** An own property's value; a getter is refused, not called: it is code and may answer differently each time. */
  #property(object: object, key: string): unknown {
    const property = Object.getOwnPropertyDescriptor(object, key);
    if (property === undefined) throw refusal(this.#root);
    if (property.value === undefined && !("value" in property)) throw refusal(this.#root);
    return property.value;
  }

  /** Writes a shape's number, or what it is where the message has not said so yet. */
  #shape(shape: Shape): void {
    if (shape.message !== this.#message) {
      shape.message = this.#message;
      shape.number = this.#shapesWritten++;
      this.#room(shape.definition.length);
      this.#bytes.set(shape.definition, this.#at);
      this.#at += shape.definition.length;
    } else if (shape.number <= 15) {
      this.#tag(TAG_SHAPE | shape.number);
    } else {
      this.#room(2);
      this.#bytes[this.#at++] = TAG_HIGH_SHAPE;
      this.#bytes[this.#at++] = shape.number;
    }
  }

  /** The shape with these keys, made if there is room for it; undefined: write the keys with the object. */
  #shapeOf(keys: readonly string[]): Shape | undefined {
    const count = keys.length;
    if (count === 0 || count > MAX_SHAPE_KEYS) return undefined;
    const first = keys[0] as string;
    const last = keys[count - 1] as string;
    const hash = count * 31 + first.length * 5 + last.length + first.charCodeAt(0) * 3 + last.charCodeAt(0) * 7;
    let free = -1;
    for (let i = 0; i < SHAPE_CHOICES; i++) {
      const slot = (hash + i) & (SHAPE_SLOTS - 1);
      const shape = this.#shapes[slot];
      if (shape === undefined) {
        free = slot;
        break;
      }
      if (hasKeys(shape, keys)) return shape.message === this.#message || this.#hasNumbers() ? shape : undefined;
      // A shape this message already uses keeps its place: its number would be lost with it.
      if (shape.message !== this.#message) free = slot;
    }
    if (free === -1 || !this.#hasNumbers()) return undefined;
    const made = this.#define(keys);
    this.#shapes[free] = made;
    return made;
  }

  #hasNumbers(): boolean {
    return this.#shapesWritten < MAX_SHAPES;
  }

  /** Writes the definition at the end of the message, takes it back, and keeps its bytes. */
  #define(keys: readonly string[]): Shape | undefined {
    let text = 0;
    for (const key of keys) {
      if (key === "__proto__") throw refusal(this.#root);
      text += key.length;
    }
    if (text > MAX_SHAPE_TEXT) return undefined;
    const start = this.#at;
    this.#tag(TAG_NEW_SHAPE);
    this.#room(2);
    this.#at += 2;
    // The count is its length in one byte: MAX_SHAPE_KEYS is below 128.
    this.#tag(keys.length);
    for (const key of keys) this.#text(key);
    this.#view.setUint16(start + 1, this.#at - start - 3, true);
    const definition = copyBytes(this.#bytes.subarray(start, this.#at));
    this.#at = start;
    return { keys, definition, message: 0, number: 0 };
  }

  #map(map: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.#enter(depth);
    this.#head(TAG_MAP, map.size);
    for (const [key, held] of map) {
      this.#value(key, depth + 1);
      this.#value(held, depth + 1);
    }
  }

  #set(set: ReadonlySet<unknown>, depth: number): void {
    this.#enter(depth);
    this.#head(TAG_SET, set.size);
    for (const held of set) this.#value(held, depth + 1);
  }

  #raw(tag: number, value: ArrayBufferView | ArrayBuffer): void {
    const bytes = bytesOf(value);
    this.#head(tag, bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #typedArray(array: TypedArray): void {
    this.#tag(TAG_TYPED_ARRAY);
    this.#raw(typedArrayIndex(array), array);
    toFormatOrder(this.#bytes.subarray(this.#at - array.byteLength, this.#at), array.BYTES_PER_ELEMENT);
  }
}

function hasKeys(shape: Shape, keys: readonly string[]): boolean {
  const known = shape.keys;
  if (known.length !== keys.length) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== keys[i]) return false;
  return true;
}
