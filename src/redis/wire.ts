import { CacheError } from "../errors.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import type { LogSignal } from "../tiers/shared.js";

/**
 * What travels, as compact JSON:
 *
 * - a record: `[position, previous, "origin", 0 | 1 for soft, [mark, …]]`, a mark being `["k", key]`, `["t", tag]`,
 *   `["T", [tag, …]]`, `["p", prefix]`, `["g", pattern]` or `["a"]`;
 * - the end of a lease: `["settled", key]`.
 *
 * Whatever does not read exactly like this is not ours and is refused whole.
 */

/** The longest record, in UTF-16 units: every subscriber gets a copy, and the server drops those that fall 32 MB behind. */
const MAX_RECORD = 4_194_304;

/** A record without its two positions, which only the server can give: it puts `[position,previous,` before. */
export function encodeBody(origin: string, soft: boolean, marks: readonly Mark[]): string {
  const body = `${JSON.stringify(origin)},${soft ? 1 : 0},${JSON.stringify(marks.map(encodeMark))}]`;
  if (body.length > MAX_RECORD) {
    throw new CacheError(
      "ERR_CACHE_TIER",
      `One record holds at most ${MAX_RECORD} characters, got ${body.length}: send fewer keys at once`,
    );
  }
  return body;
}

export function encodeSettled(key: string): string {
  return JSON.stringify(["settled", key]);
}

/** The name of a mark other than `key` among the marks or the rules; hard and soft are remembered apart. */
export function memberOf(mark: Mark, soft: boolean): string {
  const [code, target] = encodeMark(mark);
  const text = typeof target === "object" ? JSON.stringify(target) : (target ?? "");
  return `${soft ? "s" : "h"}${code}${text}`;
}

/** A member of the rules; `undefined` for one that is none of ours. */
export function parseRule(member: string): { mark: Mark; soft: boolean } | undefined {
  const mode = member[0];
  const text = member.slice(2);
  const mark = parseMark([member[1], member[1] === "T" ? parseJson(text) : text]);
  return mark !== undefined && isRule(mark) && (mode === "h" || mode === "s")
    ? { mark, soft: mode === "s" }
    : undefined;
}

/** Whether a mark hits by rule, so that a process must know it before it can judge. */
export function isRule(mark: Mark): boolean {
  return mark.kind === "pattern" || mark.kind === "tags";
}

/** What was heard on the channel; `undefined` for what is none of ours. */
export function parseMessage(text: string): LogSignal | undefined {
  const value = parseJson(text);
  if (Array.isArray(value) && value.length === 2 && value[0] === "settled" && typeof value[1] === "string") {
    return { type: "settled", key: value[1] };
  }
  const record = recordOf(value);
  return record && { type: "record", record };
}

export function parseRecord(text: string): LogRecord | undefined {
  return recordOf(parseJson(text));
}

/** `undefined` where there is no head, or no readable one: the next script begins a generation. */
export function parseHead(bytes: Uint8Array | undefined): Head | undefined {
  if (bytes === undefined) return undefined;
  const match = /^(\d{1,16}) (\d{1,16}) (\d{1,16})$/.exec(textOf(bytes));
  return match === null
    ? undefined
    : { position: Number(match[1]), control: Number(match[2]), floor: Number(match[3]) };
}

/** Text of a reply's bytes. */
export function textOf(value: unknown): string {
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
  return typeof value === "string" ? value : String(value);
}

function encodeMark(mark: Mark): [code: string, target?: string | readonly string[]] {
  switch (mark.kind) {
    case "key":
      return ["k", mark.key];
    case "tag":
      return ["t", mark.tag];
    case "tags":
      return ["T", mark.tags];
    case "prefix":
      return ["p", mark.prefix];
    case "pattern":
      return ["g", mark.pattern];
    case "all":
      return ["a"];
  }
}

function recordOf(value: unknown): LogRecord | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined;
  const [position, previous, origin, soft, list] = value as unknown[];
  if (!isPosition(position) || !isPosition(previous) || previous >= position) return undefined;
  if (typeof origin !== "string" || (soft !== 0 && soft !== 1) || !Array.isArray(list)) return undefined;
  const marks: Mark[] = [];
  for (const item of list) {
    const mark = parseMark(item);
    if (mark === undefined) return undefined;
    marks.push(mark);
  }
  return { position, previous, origin, soft: soft === 1, marks };
}

function parseMark(value: unknown): Mark | undefined {
  if (!Array.isArray(value)) return undefined;
  const [code, target] = value as unknown[];
  if (code === "a") return value.length === 1 ? { kind: "all" } : undefined;
  if (value.length !== 2) return undefined;
  if (code === "T") return isTexts(target) ? { kind: "tags", tags: target } : undefined;
  if (typeof target !== "string") return undefined;
  switch (code) {
    case "k":
      return { kind: "key", key: target };
    case "t":
      return { kind: "tag", tag: target };
    case "p":
      return { kind: "prefix", prefix: target };
    case "g":
      return { kind: "pattern", pattern: target };
    default:
      return undefined;
  }
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is none of ours, as any other shape is.
    return undefined;
  }
}
