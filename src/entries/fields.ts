import { kindOf } from "./codec/data.js";
import { objectFor } from "./codec/objects.js";
import { corrupt } from "./envelope.js";

/** A plain object in two. */
export interface Split {
  /** With `undefined` in the place of each field that was taken, so that the order of the fields is kept. */
  readonly open: object;
  /** The fields that were taken. */
  readonly taken: object;
}

/** An object without these fields, or an array whose objects are without them; what has none of them is returned as it is. */
export function without(value: unknown, fields: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (!Array.isArray(value)) return objectWithout(value, fields);
  let own: unknown[] | undefined;
  for (const [index, item] of value.entries()) {
    const rest = typeof item === "object" && item !== null ? objectWithout(item, fields) : item;
    if (rest === item) continue;
    own ??= value.slice();
    own[index] = rest;
  }
  return own ?? value;
}

/** A plain object in two; `undefined` for anything else. */
export function split(value: unknown, fields: readonly string[]): Split | undefined {
  if (!isPlain(value)) return undefined;
  const keys = Object.keys(value);
  const open = objectFor(keys);
  const taken: Record<string, unknown> = {};
  for (const key of keys) {
    if (!fields.includes(key)) copyProperty(value, key, open);
    else {
      copyProperty(value, key, taken);
      open[key] = undefined;
    }
  }
  return { open, taken };
}

/** Puts the fields back where they were, in place. @throws CacheError `ERR_CACHE_CORRUPT` unless there is a place for each. */
export function join(open: unknown, taken: unknown): unknown {
  if (!isPlain(open) || !isPlain(taken)) throw corrupt("encrypted fields of something that has none");
  for (const key of Object.keys(taken)) {
    if (!Object.hasOwn(open, key)) throw corrupt("an encrypted field that has no place");
    open[key] = taken[key];
  }
  return open;
}

function objectWithout(value: object, fields: readonly string[]): object {
  if (!fields.some((field) => Object.hasOwn(value, field)) || !isPlain(value)) return value;
  const keys = Object.keys(value).filter((key) => !fields.includes(key));
  const rest = objectFor(keys);
  for (const key of keys) copyProperty(value, key, rest);
  return rest;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && kindOf(value) === "object";
}

/** An accessor stays one and `__proto__` a property, for whoever stores the copy to refuse as they would the original. */
function copyProperty(from: object, key: string, to: Record<string, unknown>): void {
  const property = Object.getOwnPropertyDescriptor(from, key);
  if (property === undefined) return;
  if (key === "__proto__" || !("value" in property)) Object.defineProperty(to, key, property);
  else to[key] = property.value;
}
