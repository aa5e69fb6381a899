import { CacheError } from "../../errors.js";
import { kindOf } from "./data.js";
import { MAX_BIGINT_BYTES, MAX_CONTAINERS, MAX_DEPTH, MAX_VALUE_BYTES } from "./format.js";

/*
 * Why a value cannot be stored. Encoding and sealing keep no path while they walk; the one that fails has
 * the value walked again here, in the same order by the same rules, so that only refusals pay for the message.
 */

/** The error for a value that cannot be stored: names the first place in it that is not data, and what is there. */
export function refusal(root: unknown): CacheError {
  const found = find(root, "value", [], { left: MAX_STEPS });
  const what = found === undefined ? "got something else in it" : `but \`${found.path}\` is ${found.what}`;
  return new CacheError("ERR_CACHE_VALUE", `Expected data, ${what}`);
}

/** The error for a value whose walk grew past what one value may be. */
export function tooLarge(): CacheError {
  return new CacheError(
    "ERR_CACHE_VALUE",
    `Expected a value of at most ${MAX_VALUE_BYTES / 1_048_576} MiB and ${MAX_CONTAINERS} objects, got more (what it holds twice counts twice)`,
  );
}

/** Turns what user code threw while it was read (a Proxy's trap) into an error of ours. */
export function asRefusal(error: unknown): CacheError {
  if (error instanceof CacheError) return error;
  return new CacheError("ERR_CACHE_VALUE", "Expected data, got a value that threw while it was read", { cause: error });
}

/** Whether a bigint has more bits than are stored. */
export function isTooLong(value: bigint): boolean {
  return BigInt.asIntN(MAX_BIGINT_BYTES * 8, value) !== value;
}

/** Values looked at to name the place: beyond it the message goes without. */
const MAX_STEPS = 1_000_000;

interface Found {
  readonly path: string;
  readonly what: string;
}

/** `above` holds the containers around `value`, outermost first. */
function find(value: unknown, path: string, above: readonly object[], steps: { left: number }): Found | undefined {
  if (steps.left-- <= 0) return undefined;
  if (typeof value === "function")
    return { path, what: value.name === "" ? "a function" : `the function ${value.name}` };
  if (typeof value === "symbol") return { path, what: "a symbol" };
  if (typeof value === "bigint" && isTooLong(value))
    return { path, what: `a bigint of more than ${MAX_BIGINT_BYTES * 8} bits` };
  if (typeof value !== "object" || value === null) return undefined;
  if (above.includes(value)) return { path, what: "a cycle: it is one of the objects around it" };
  const kind = kindOf(value);
  if (kind === "other") return { path, what: describe(value) };
  if (kind !== "object" && kind !== "array" && kind !== "map" && kind !== "set") return undefined;
  // A cycle comes round before the limit and is named as one, unless it is longer than the limit itself.
  if (above.length >= MAX_DEPTH) return { path, what: `more than ${MAX_DEPTH} levels deep` };
  for (const part of partsOf(value, kind, path)) {
    if (part.what !== undefined) return { path: part.path, what: part.what };
    const found = find(part.value, part.path, [...above, value], steps);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Part {
  readonly path: string;
  readonly value: unknown;
  /** Set when the place itself cannot be stored, whatever its value. */
  readonly what?: string | undefined;
}

function* partsOf(value: object, kind: "object" | "array" | "map" | "set", path: string): Generator<Part> {
  switch (kind) {
    case "array": {
      const array = value as readonly unknown[];
      for (let i = 0; i < array.length; i++) {
        const hole = array[i] === undefined && !(i in array);
        yield { path: `${path}[${i}]`, value: array[i], what: hole ? "a hole in an array" : undefined };
      }
      return;
    }
    case "object":
      for (const key of Object.keys(value)) yield propertyOf(value, key, path);
      return;
    case "map": {
      let place = 0;
      for (const [key, held] of value as ReadonlyMap<unknown, unknown>) {
        yield { path: `${path}.<key ${place}>`, value: key };
        const name = typeof key === "string" ? JSON.stringify(shorten(key)) : `<key ${place}>`;
        yield { path: `${path}.get(${name})`, value: held };
        place++;
      }
      return;
    }
    case "set": {
      let place = 0;
      for (const held of value as ReadonlySet<unknown>) yield { path: `${path}.<item ${place++}>`, value: held };
    }
  }
}

function propertyOf(value: object, key: string, path: string): Part {
  const name = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${shorten(key)}` : `[${JSON.stringify(shorten(key))}]`;
  const property = Object.getOwnPropertyDescriptor(value, key);
  if (key === "__proto__") return { path: path + name, value: undefined, what: "a property named __proto__" };
  const isAccessor = property !== undefined && !("value" in property);
  return {
    path: path + name,
    value: property?.value,
    what: isAccessor ? "an accessor (get or set) and not a value" : undefined,
  };
}

function describe(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const maker: unknown =
    prototype === null ? undefined : Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  const name = typeof maker === "function" ? maker.name : "";
  const hint = name === "Promise" ? " (is an await missing?)" : "";
  return name === "" ? "an object with a prototype of its own" : `an instance of ${shorten(name)}${hint}`;
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
