import { types } from "node:util";

/*
 * The closed list of what a cache stores, in one place: the codec, the seal and the error message that tells
 * why a value was refused all ask `kindOf`, so they cannot disagree.
 */

/** What an object is to the cache; `"other"` cannot be stored. */
export type Kind = "object" | "array" | "date" | "map" | "set" | "bytes" | "typed-array" | "array-buffer" | "other";

/** Any typed array but `Uint8Array`, which has a kind of its own. */
export type TypedArray =
  | Int8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

interface TypedArrayConstructor {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): TypedArray;
}

/** Their place here is stored: append only. */
export const TYPED_ARRAYS: readonly TypedArrayConstructor[] = [
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

const TYPED_ARRAY_NAMES: readonly string[] = TYPED_ARRAYS.map((type) => type.name);

/** Place of a typed array's type in `TYPED_ARRAYS`; -1 when it is not there. */
export function typedArrayIndex(array: TypedArray): number {
  return TYPED_ARRAY_NAMES.indexOf(array[Symbol.toStringTag]);
}

/**
 * Only the built-ins themselves, never a subclass: what a class adds would be lost. Prototypes are told by how
 * far they are from the root and not by identity alone, so that values of another realm (a vm context, a test
 * runner's sandbox) are the same data as ours.
 */
export function kindOf(value: object): Kind {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    return prototype === Array.prototype || distance(prototype) === 2 ? "array" : "other";
  }
  if (prototype === Object.prototype || prototype === null) return "object";
  switch (distance(prototype)) {
    case 1:
      return Object.hasOwn(prototype as object, "isPrototypeOf") ? "object" : "other";
    case 2:
      return builtInKind(value);
    case 3:
      if (types.isUint8Array(value)) return "bytes";
      return types.isTypedArray(value) && typedArrayIndex(value as TypedArray) >= 0 ? "typed-array" : "other";
    case 4:
      return Buffer.isBuffer(value) && prototype === Buffer.prototype ? "bytes" : "other";
    default:
      return "other";
  }
}

function builtInKind(value: object): Kind {
  if (types.isDate(value)) return "date";
  if (types.isMap(value)) return "map";
  if (types.isSet(value)) return "set";
  return types.isArrayBuffer(value) ? "array-buffer" : "other";
}

/** Prototypes from this one to the root, both counted; 5 stands for more. */
function distance(prototype: unknown): number {
  let hops = 0;
  for (let at = prototype; at !== null && hops < 5; at = Object.getPrototypeOf(at)) hops++;
  return hops;
}

/** What a view or buffer holds, as bytes over the same memory. */
export function bytesOf(value: ArrayBufferView | ArrayBuffer): Uint8Array {
  // A detached buffer has no bytes, and no view can be made of it.
  if (value.byteLength === 0) return new Uint8Array(0);
  if (!ArrayBuffer.isView(value)) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** The same bytes in memory of their own. */
export function copyBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy;
}

/** A typed array of the same type and content in memory of its own. */
export function copyTypedArray(array: TypedArray): TypedArray {
  const Type = TYPED_ARRAYS[typedArrayIndex(array)] as TypedArrayConstructor;
  return new Type(copyBytes(bytesOf(array)).buffer);
}

/** Whether each character fits one byte. A string V8 holds as one-byte is not even looked at. */
export function isOneByte(text: string): boolean {
  return !WIDE.test(text);
}

const WIDE = /[^\x00-\xff]/;

/** Whether this machine keeps the low byte first, as the format does. */
const IS_LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Turns the elements of a typed array from the machine's byte order to the format's, or back, in place. */
export function toFormatOrder(
  bytes: Uint8Array,
  elementSize: number,
  isLittleEndian: boolean = IS_LITTLE_ENDIAN,
): void {
  if (isLittleEndian) return;
  for (let at = 0; at < bytes.length; at += elementSize) bytes.subarray(at, at + elementSize).reverse();
}
