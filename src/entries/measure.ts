import { types } from "node:util";
import { kindOf, type TypedArray } from "./codec/data.js";
import {
  arrayBytes,
  bareObjectBytes,
  bigintBytes,
  bufferBytes,
  DATE_BYTES,
  FUNCTION_BYTES,
  mapBytes,
  numberBytes,
  objectBytes,
  OPAQUE_BYTES,
  setBytes,
  stringBytes,
  viewBytes,
} from "./heap-size.js";

/** Values looked at before the rest is estimated from them. */
const MAX_VISITS = 10_000;
/** Levels looked into; keeps a long linked list off the stack. */
const MAX_LEVELS = 500;

/**
 * Estimate of what any value takes on the heap, in bytes; for values that are kept as they are.
 *
 * Never throws; an object's accessors are not called and proxies not looked into. What is met twice counts once. After 10,000 parts each container is taken to go on as it began; below 500 levels nothing is counted.
 */
export function measure(value: unknown): number {
  const measuring = new Measuring();
  try {
    return Math.round(measuring.of(value, 0));
  } catch {
    // Nothing here is known to throw (a broken exotic object of some host might): such a value is opaque as a whole.
    return OPAQUE_BYTES;
  }
}

class Measuring {
  #visitsLeft = MAX_VISITS;
  readonly #seen = new Set<object>();

  of(value: unknown, level: number): number {
    this.#visitsLeft--;
    switch (typeof value) {
      case "string":
        return stringBytes(value);
      case "number":
        return numberBytes(value);
      case "bigint":
        return bigintBytes(value);
      case "function":
        return FUNCTION_BYTES;
      case "object":
        return value === null ? 0 : this.#object(value, level);
      default:
        return 0;
    }
  }

  #object(value: object, level: number): number {
    if (level >= MAX_LEVELS || this.#seen.has(value)) return 0;
    this.#seen.add(value);
    if (types.isProxy(value)) return OPAQUE_BYTES;
    if (Array.isArray(value)) return this.#array(value, level + 1);
    if (types.isMap(value)) return this.#map(value, level + 1);
    if (types.isSet(value)) return this.#set(value, level + 1);
    if (types.isDate(value)) return DATE_BYTES;
    if (ArrayBuffer.isView(value)) return viewBytes(value as Uint8Array | TypedArray | DataView);
    if (types.isAnyArrayBuffer(value)) return bufferBytes(value as ArrayBuffer);
    return this.#properties(value, level + 1);
  }

  /** Through the built-ins themselves: a subclass may have replaced its own `size` and iterator. */
  #map(map: ReadonlyMap<unknown, unknown>, level: number): number {
    const size: number = Reflect.get(Map.prototype, "size", map);
    return mapBytes(size) + this.#items(pairs(Map.prototype.entries.call(map)), size * 2, level);
  }

  #set(set: ReadonlySet<unknown>, level: number): number {
    const size: number = Reflect.get(Set.prototype, "size", set);
    return setBytes(size) + this.#items(Set.prototype.values.call(set), size, level);
  }

  #array(array: readonly unknown[], level: number): number {
    const items = this.#items(Array.prototype.values.call(array), array.length, level);
    // Numbers alone, with a fraction among them: V8 keeps them unboxed, until the array is frozen.
    const isUnboxed = items > 0 && !Object.isFrozen(array) && startsWithNumbers(array);
    return arrayBytes(array.length) + (isUnboxed ? 0 : items);
  }

  #properties(object: object, level: number): number {
    const keys = Object.keys(object);
    const own = Object.getPrototypeOf(object) === null ? bareObjectBytes(keys.length) : objectBytes(keys);
    const more = hasInside(object) ? OPAQUE_BYTES : 0;
    return own + more + this.#items(this.#valuesOf(object, keys), keys.length, level);
  }

  *#valuesOf(object: object, keys: readonly string[]): Generator<unknown> {
    for (const key of keys) yield Object.getOwnPropertyDescriptor(object, key)?.value;
  }

  /** The parts together; from those seen when there are more than may be visited. */
  #items(items: Iterable<unknown>, count: number, level: number): number {
    let bytes = 0;
    let seen = 0;
    for (const item of items) {
      if (this.#visitsLeft <= 0 && seen > 0) return (bytes * count) / seen;
      bytes += this.of(item, level);
      seen++;
    }
    return bytes;
  }
}

/** Whether it is more than its properties. An instance of a class is not: it is laid out as a plain object is. */
function hasInside(object: object): boolean {
  return (
    kindOf(object) === "other" &&
    (types.isNativeError(object) ||
      types.isRegExp(object) ||
      types.isPromise(object) ||
      types.isWeakMap(object) ||
      types.isWeakSet(object) ||
      types.isBoxedPrimitive(object) ||
      types.isGeneratorObject(object))
  );
}

function startsWithNumbers(array: readonly unknown[]): boolean {
  for (let i = 0; i < array.length && i < 16; i++) if (typeof array[i] !== "number") return false;
  return true;
}

function* pairs(entries: Iterable<[unknown, unknown]>): Generator<unknown> {
  for (const [key, held] of entries) {
    yield key;
    yield held;
  }
}
