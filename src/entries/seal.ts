import { bytesOf, copyBytes, copyTypedArray, kindOf, type TypedArray } from "./codec/data.js";
import { MAX_CONTAINERS, MAX_DEPTH, MAX_VALUE_BYTES } from "./codec/format.js";
import { objectFor } from "./codec/objects.js";
import { asRefusal, isTooLong, refusal, tooLarge } from "./codec/refusal.js";
import {
  arrayBytes,
  bigintBytes,
  bufferBytes,
  DATE_BYTES,
  mapBytes,
  numberBytes,
  objectBytes,
  setBytes,
  stringBytes,
  viewBytes,
} from "./heap-size.js";

export { measure } from "./measure.js";

/*
 * What keeps the cache's copy of a value from those who gave it and those who read it.
 *
 * A value is copied once on its way in and its objects and arrays are frozen; if those are all it consists of,
 * every reader can be given the same copy. Freezing does nothing for the inside of a Date, a Map, a Set or bytes: a value that
 * holds one is `mutable`, and readers are given copies (`unseal`).
 *
 * Freezing an array of fractions makes V8 box each of them: 24 bytes an item instead of 8. Keep vectors in a
 * Float64Array.
 */

/** A value as the cache keeps it: nobody outside can change it through what they hold. */
export interface Sealed {
  readonly value: unknown;
  /** Estimate of what it takes on the heap. */
  readonly bytes: number;
  /** It holds something freezing cannot protect (Date, Map, Set, bytes): readers must be given a copy. */
  readonly mutable: boolean;
}

/**
 * The cache's own copy of a value, with plain objects and arrays frozen at every level.
 *
 * Accepts exactly what the codec accepts, and gives back what the codec would: a `Buffer` becomes a `Uint8Array`, an object
 * without a prototype a plain one, an object met twice two objects.
 *
 * @throws CacheError `ERR_CACHE_VALUE` as `encodeValue` does.
 */
export function seal(value: unknown): Sealed {
  return run(new Sealing(value, false));
}

/**
 * Seals in place a value just decoded, which nobody else holds: the same as `seal` without the copying. Not for values
 * from elsewhere: a getter is not refused here.
 *
 * @throws CacheError `ERR_CACHE_VALUE` as `encodeValue` does.
 */
export function adopt(value: unknown): Sealed {
  return run(new Sealing(value, true));
}

/**
 * A reader's copy of a sealed value: what freezing cannot protect is copied, and whatever holds such a thing, frozen
 * again. The rest is shared.
 */
export function unseal(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  switch (kindOf(value)) {
    case "array":
      return unsealArray(value as readonly unknown[]);
    case "object":
      return unsealObject(value as Readonly<Record<string, unknown>>);
    case "map":
      return copyMap(value as ReadonlyMap<unknown, unknown>, unseal);
    case "set":
      return copySet(value as ReadonlySet<unknown>, unseal);
    default:
      return copyLeaf(value);
  }
}

/** A deep copy of a sealed or decoded value that its reader may change at will. */
export function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  switch (kindOf(value)) {
    case "array": {
      const from = value as readonly unknown[];
      const to = new Array<unknown>(from.length);
      for (let i = 0; i < from.length; i++) to[i] = copy(from[i]);
      return to;
    }
    case "object": {
      const from = value as Readonly<Record<string, unknown>>;
      const keys = Object.keys(from);
      const to = objectFor(keys);
      for (const key of keys) to[key] = copy(from[key]);
      return to;
    }
    case "map":
      return copyMap(value as ReadonlyMap<unknown, unknown>, copy);
    case "set":
      return copySet(value as ReadonlySet<unknown>, copy);
    default:
      return copyLeaf(value);
  }
}

function run(sealing: Sealing): Sealed {
  try {
    const value = sealing.run();
    return { value, bytes: sealing.bytes, mutable: sealing.isMutable };
  } catch (error) {
    throw asRefusal(error);
  }
}

/** One walk that checks, copies (unless in place), freezes and counts. */
class Sealing {
  bytes = 0;
  isMutable = false;
  #containers = 0;
  readonly #root: unknown;
  readonly #inPlace: boolean;

  constructor(root: unknown, inPlace: boolean) {
    this.#root = root;
    this.#inPlace = inPlace;
  }

  run(): unknown {
    return this.#part(this.#root, 0);
  }

  /** `depth` counts the containers around the value. */
  #part(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        this.bytes += stringBytes(value);
        return value;
      case "number":
        return this.#number(value);
      case "boolean":
      case "undefined":
        return value;
      case "bigint":
        if (isTooLong(value)) throw refusal(this.#root);
        this.bytes += bigintBytes(value);
        return value;
      case "object":
        return value === null ? null : this.#object(value, depth);
      default:
        throw refusal(this.#root);
    }
  }

  /** An integer that comes from an array of fractions is in a box, which it needs nowhere else. */
  #number(value: number): number {
    const bytes = numberBytes(value);
    this.bytes += bytes;
    return bytes === 0 ? value | 0 : value;
  }

  #object(value: object, depth: number): unknown {
    switch (kindOf(value)) {
      case "array":
        return this.#array(value as unknown[], depth);
      case "object":
        return this.#plainObject(value as Record<string, unknown>, depth);
      case "date":
        return this.#mutable(value, DATE_BYTES);
      case "map":
        return this.#map(value as Map<unknown, unknown>, depth);
      case "set":
        return this.#set(value as Set<unknown>, depth);
      case "bytes":
      case "typed-array":
        return this.#mutable(value, viewBytes(value as Uint8Array | TypedArray));
      case "array-buffer":
        return this.#mutable(value, bufferBytes(value as ArrayBuffer));
      case "other":
        throw refusal(this.#root);
    }
  }

  #array(array: unknown[], depth: number): readonly unknown[] {
    this.#enter(depth, arrayBytes(array.length));
    const sealed = this.#inPlace ? array : new Array<unknown>(array.length);
    // Or V8 takes an array of numbers for one of fractions, and boxes its integers too when it is frozen.
    if (!this.#inPlace && sealed.length > 0) sealed[0] = undefined;
    for (let i = 0; i < sealed.length; i++) {
      const item = array[i];
      if (item === undefined && !(i in array)) throw refusal(this.#root);
      const part = this.#part(item, depth + 1);
      if (!this.#inPlace) sealed[i] = part;
    }
    return Object.freeze(sealed);
  }

  #plainObject(object: Record<string, unknown>, depth: number): object {
    const keys = Object.keys(object);
    this.#enter(depth, objectBytes(keys));
    const sealed = this.#inPlace ? object : objectFor(keys);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      if (this.#inPlace) {
        // What was decoded has no getters, and asking each property for its description is half of this walk.
        this.#part(object[key], depth + 1);
        continue;
      }
      const property = Object.getOwnPropertyDescriptor(object, key);
      if (property === undefined || key === "__proto__") throw refusal(this.#root);
      // A getter is refused, not called: it is code and may answer differently each time.
      if (property.value === undefined && !("value" in property)) throw refusal(this.#root);
      sealed[key] = this.#part(property.value, depth + 1);
    }
    return Object.freeze(sealed);
  }

  #map(map: Map<unknown, unknown>, depth: number): Map<unknown, unknown> {
    this.isMutable = true;
    this.#enter(depth, mapBytes(map.size));
    const sealed = this.#inPlace ? map : new Map<unknown, unknown>();
    // In place each part is itself, so the map is set to what it holds.
    for (const [key, held] of map) sealed.set(this.#part(key, depth + 1), this.#part(held, depth + 1));
    return sealed;
  }

  #set(set: Set<unknown>, depth: number): Set<unknown> {
    this.isMutable = true;
    this.#enter(depth, setBytes(set.size));
    const sealed = this.#inPlace ? set : new Set<unknown>();
    for (const held of set) sealed.add(this.#part(held, depth + 1));
    return sealed;
  }

  #mutable(value: object, bytes: number): object {
    this.isMutable = true;
    this.#enter(0, bytes);
    return this.#inPlace ? value : copyLeaf(value);
  }

  #enter(depth: number, bytes: number): void {
    if (depth >= MAX_DEPTH) throw refusal(this.#root);
    this.bytes += bytes;
    if (++this.#containers > MAX_CONTAINERS || this.bytes > MAX_VALUE_BYTES) throw tooLarge();
  }
}

function unsealArray(array: readonly unknown[]): readonly unknown[] {
  let own: unknown[] | undefined;
  for (let i = 0; i < array.length; i++) {
    const part = unseal(array[i]);
    if (Object.is(part, array[i])) continue;
    own ??= array.slice();
    own[i] = part;
  }
  return own === undefined ? array : Object.freeze(own);
}

function unsealObject(object: Readonly<Record<string, unknown>>): object {
  const keys = Object.keys(object);
  let own: Record<string, unknown> | undefined;
  for (const key of keys) {
    const part = unseal(object[key]);
    if (Object.is(part, object[key])) continue;
    own ??= shallowCopy(object, keys);
    own[key] = part;
  }
  return own === undefined ? object : Object.freeze(own);
}

function shallowCopy(object: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  const to = objectFor(keys);
  for (const key of keys) to[key] = object[key];
  return to;
}

function copyMap(map: ReadonlyMap<unknown, unknown>, part: (value: unknown) => unknown): Map<unknown, unknown> {
  const to = new Map<unknown, unknown>();
  for (const [key, held] of map) to.set(part(key), part(held));
  return to;
}

function copySet(set: ReadonlySet<unknown>, part: (value: unknown) => unknown): Set<unknown> {
  const to = new Set<unknown>();
  for (const held of set) to.add(part(held));
  return to;
}

/** A copy of what holds no other values; anything that cannot be sealed is nobody's copy but itself. */
function copyLeaf(value: object): object {
  switch (kindOf(value)) {
    case "date":
      return new Date(Date.prototype.getTime.call(value));
    case "bytes":
      return copyBytes(value as Uint8Array);
    case "typed-array":
      return copyTypedArray(value as TypedArray);
    case "array-buffer":
      return copyBytes(bytesOf(value as ArrayBuffer)).buffer;
    default:
      return value;
  }
}
