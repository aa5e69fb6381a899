import { parseDeltaSeconds } from "./delta-seconds.js";
import { fieldLines, type Fields } from "./fields.js";
import { splitList, trimBlanks, unquote } from "./lists.js";

/** Which fields of a response a directive is about: all of it, or these (lower case). */
export type Extent = "all" | readonly string[];

/** The directives of a Cache-Control (RFC 9111 §5.2) or targeted field (RFC 9213), of a request or a response; times in seconds. */
export interface Directives {
  readonly noStore: boolean;
  readonly noCache: Extent | undefined;
  readonly private: Extent | undefined;
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly noTransform: boolean;
  readonly immutable: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | undefined;
  readonly sMaxage: number | undefined;
  readonly staleWhileRevalidate: number | undefined;
  readonly staleIfError: number | undefined;
  /** Infinity: however stale. */
  readonly maxStale: number | undefined;
  readonly minFresh: number | undefined;
}

export type MutableDirectives = { -readonly [Name in keyof Directives]: Directives[Name] };

type Flag = { [N in keyof Directives]: Directives[N] extends boolean ? N : never }[keyof Directives];
type Seconds = "maxAge" | "sMaxage" | "staleWhileRevalidate" | "staleIfError" | "maxStale" | "minFresh";

const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ["no-store", "noStore"],
  ["public", "public"],
  ["must-revalidate", "mustRevalidate"],
  ["proxy-revalidate", "proxyRevalidate"],
  ["must-understand", "mustUnderstand"],
  ["no-transform", "noTransform"],
  ["immutable", "immutable"],
  ["only-if-cached", "onlyIfCached"],
]);

const SECONDS: ReadonlyMap<string, Seconds> = new Map([
  ["max-age", "maxAge"],
  ["s-maxage", "sMaxage"],
  ["stale-while-revalidate", "staleWhileRevalidate"],
  ["stale-if-error", "staleIfError"],
  ["max-stale", "maxStale"],
  ["min-fresh", "minFresh"],
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** No directive at all. */
export function noDirectives(): MutableDirectives {
  return {
    noStore: false,
    noCache: undefined,
    private: undefined,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    noTransform: false,
    immutable: false,
    onlyIfCached: false,
    maxAge: undefined,
    sMaxage: undefined,
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
    maxStale: undefined,
    minFresh: undefined,
  };
}

/**
 * The directives of all Cache-Control lines. Never throws, and what is malformed errs towards not storing: a time that is no
 * number is 0, of a time named twice the smaller counts, a list that is none is "all of it". (`min-fresh` has it the other
 * way round, as more is stricter.)
 */
export function parseCacheControl(lines: readonly string[]): Directives {
  const directives = noDirectives();
  for (const line of lines) {
    const { members, unterminated } = splitList(line);
    for (const member of members) apply(directives, member);
    // Where a quote is missing, nobody knows which of the times were meant.
    if (unterminated) distrust(directives);
  }
  return directives;
}

/** The directives of a message; `Pragma: no-cache` counts in a request that has no Cache-Control (RFC 9111 §5.4). */
export function requestDirectives(fields: Fields): Directives {
  const lines = fieldLines(fields, "cache-control");
  if (lines.length > 0) return parseCacheControl(lines);
  const pragma = fieldLines(fields, "pragma").flatMap((line) => splitList(line).members);
  if (!pragma.some((member) => member.toLowerCase() === "no-cache")) return noDirectives();
  return { ...noDirectives(), noCache: "all" };
}

function apply(directives: MutableDirectives, member: string): void {
  const equals = member.indexOf("=");
  const name = (equals === -1 ? member : member.slice(0, equals)).toLowerCase();
  const argument = equals === -1 ? undefined : member.slice(equals + 1);
  const known = trimBlanks(name);
  const flag = FLAGS.get(known);
  if (flag !== undefined) {
    // What allows more must be said exactly; what forbids counts however it is said.
    if (flag === "public" || flag === "immutable" || flag === "mustUnderstand") {
      if (known === name && argument === undefined) directives[flag] = true;
    } else directives[flag] = true;
    return;
  }
  const seconds = SECONDS.get(known);
  if (seconds !== undefined) return applySeconds(directives, seconds, known === name, argument);
  if (known === "no-cache") directives.noCache = union(directives.noCache, extentOf(argument));
  if (known === "private") directives.private = union(directives.private, extentOf(argument));
}

function applySeconds(
  directives: MutableDirectives,
  name: Seconds,
  isExact: boolean,
  argument: string | undefined,
): void {
  if (name === "maxStale" && argument === undefined) {
    directives.maxStale ??= Number.POSITIVE_INFINITY;
    return;
  }
  const text = argument === undefined ? undefined : (unquote(argument) ?? argument);
  const strictest = name === "minFresh" ? Number.POSITIVE_INFINITY : 0;
  const given = isExact && text !== undefined ? (parseDeltaSeconds(text) ?? strictest) : strictest;
  const before = directives[name];
  if (before === undefined) directives[name] = given;
  else directives[name] = name === "minFresh" ? Math.max(before, given) : Math.min(before, given);
}

function distrust(directives: MutableDirectives): void {
  for (const name of SECONDS.values()) {
    if (name !== "minFresh" && directives[name] !== undefined) directives[name] = 0;
  }
  directives.public = false;
  directives.mustUnderstand = false;
}

/** Field names, quoted or (RFC 9111 §5.2.2.4) as one token. */
export function extentOf(argument: string | undefined): Extent {
  if (argument === undefined) return "all";
  const names = splitList(unquote(argument) ?? argument).members.map((name) => name.toLowerCase());
  return names.length > 0 && names.every((name) => TOKEN.test(name)) ? names : "all";
}

function union(a: Extent | undefined, b: Extent): Extent {
  if (a === undefined) return b;
  return a === "all" || b === "all" ? "all" : [...a, ...b];
}
