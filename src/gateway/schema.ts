import { toMilliseconds } from "../duration.js";
import { CacheError } from "../errors.js";
import { display } from "../policy.js";
import { toBytes } from "../tiers/memory/limits.js";

/** Names of fields and indexes of arrays, from the outside in. */
export type Path = readonly (string | number)[];

/** One thing that is wrong with a configuration. */
export interface Issue {
  readonly path: Path;
  /** The name itself is wrong, not its value. */
  readonly isName: boolean;
  /** "Expected … to be …, got …". */
  readonly message: string;
}

/** Adds what is wrong with a value. */
export type Check = (value: unknown, path: Path, issues: Issue[]) => void;

export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_]\w*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text === "" ? "config" : text;
}

/** A value for which `holds`. */
export function value(rule: string, holds: (value: unknown) => boolean): Check {
  return (given, path, issues) => {
    if (!holds(given)) issues.push(wrong(path, rule, given));
  };
}

/** An object with these fields and no others; a field that is absent is left to its default. */
export function object(fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check {
  const names = Object.keys(fields);
  return (given, path, issues) => {
    if (!isRecord(given)) {
      issues.push(wrong(path, "an object", given));
      return;
    }
    for (const [name, own] of Object.entries(given)) {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (check === undefined) issues.push(unknownName([...path, name], name, names));
      else if (own !== undefined) check(own, [...path, name], issues);
    }
    for (const name of required) {
      if (given[name] === undefined) issues.push(wrong([...path, name], "given", undefined, path));
    }
  };
}

/** An object of any names, with values of one kind. */
export function record(check: Check, name: RegExp, rule: string): Check {
  return (given, path, issues) => {
    if (!isRecord(given)) {
      issues.push(wrong(path, "an object", given));
      return;
    }
    for (const [own, one] of Object.entries(given)) {
      if (!name.test(own)) issues.push({ ...wrong([...path, own], rule, own), isName: true });
      else check(one, [...path, own], issues);
    }
  };
}

export function list(check: Check, least = 0): Check {
  return (given, path, issues) => {
    if (!Array.isArray(given) || given.length < least) {
      issues.push(wrong(path, least === 0 ? "an array" : `an array of ${least} or more`, given));
      return;
    }
    for (const [index, one] of given.entries()) check(one, [...path, index], issues);
  };
}

/** Text for which `pattern` matches. */
export function text(rule: string, pattern: RegExp): Check {
  return value(rule, (given) => typeof given === "string" && pattern.test(given));
}

export function oneOf(...choices: readonly string[]): Check {
  return value(choices.map((choice) => JSON.stringify(choice)).join(" or "), (given) =>
    choices.includes(given as string),
  );
}

export const boolean: Check = value("true or false", (given) => typeof given === "boolean");

export function integer(least: number, most: number): Check {
  const rule = `an integer from ${least} to ${most}`;
  return value(rule, (given) => Number.isInteger(given) && (given as number) >= least && (given as number) <= most);
}

export function duration(least = 0): Check {
  return value(
    `milliseconds or text like "30s"${least > 0 ? `, ${least} ms or more` : ""}`,
    (given) =>
      (typeof given === "number" || typeof given === "string") && isAtLeast(() => toMilliseconds(given, ""), least),
  );
}

export const bytes: Check = value(
  'an integer of 1 or more or text like "64mb"',
  (given) => (typeof given === "number" || typeof given === "string") && isAtLeast(() => toBytes(given, ""), 1),
);

function isAtLeast(parse: () => number, least: number): boolean {
  try {
    return parse() >= least;
  } catch (error) {
    if (error instanceof CacheError) return false;
    throw error;
  }
}

/** @param at where it shows, when it is not there itself. */
function wrong(path: Path, rule: string, given: unknown, at: Path = path): Issue {
  return {
    path: at,
    isName: false,
    message: `Expected \`${pathText(path)}\` to be ${rule}, got \`${display(given)}\``,
  };
}

function unknownName(path: Path, name: string, known: readonly string[]): Issue {
  const near = nearest(name, known);
  const meant = near === undefined ? `one of ${known.join(", ")}` : `a known field: did you mean \`${near}\`?`;
  return { path, isName: true, message: `Expected \`${pathText(path)}\` to be ${meant}` };
}

/** The known name that is a slip of the hand away. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const one of known) {
    const apart = distance(name.toLowerCase(), one.toLowerCase());
    if (apart < least) {
      least = apart;
      best = one;
    }
  }
  return best;
}

/** Levenshtein's. Names are short; what is not is far from all of them. */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 20) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}
