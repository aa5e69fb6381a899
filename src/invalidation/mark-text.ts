import type { Mark } from "./record.js";

/*
 * Marks as compact JSON, as every adapter that keeps or sends them as text does: `["k", key]`, `["t", tag]`,
 * `["T", [tag, …]]`, `["p", prefix]`, `["g", pattern]` or `["a"]`. Whatever does not read exactly like this is not ours.
 */

export function encodeMark(mark: Mark): [code: string, target?: string | readonly string[]] {
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

export function parseMark(value: unknown): Mark | undefined {
  if (!Array.isArray(value)) return undefined;
  const [code, target] = value as readonly unknown[];
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

/** A mark for people: `tag global:project:7`. */
export function markText(mark: Mark): string {
  switch (mark.kind) {
    case "key":
      return `key ${mark.key}`;
    case "tag":
      return `tag ${mark.tag}`;
    case "tags":
      return `tags ${mark.tags.join(" + ")}`;
    case "prefix":
      return `prefix ${mark.prefix}`;
    case "pattern":
      return `pattern ${mark.pattern}`;
    case "all":
      return "all";
  }
}

/** What a record holds besides its positions. */
export interface RecordBody {
  readonly origin: string;
  readonly soft: boolean;
  readonly marks: readonly Mark[];
}

/** The three items of a record's body; `undefined` unless each is whole. */
export function parseRecordBody(origin: unknown, soft: unknown, list: unknown): RecordBody | undefined {
  if (typeof origin !== "string" || (soft !== 0 && soft !== 1) || !Array.isArray(list)) return undefined;
  const marks: Mark[] = [];
  for (const item of list as readonly unknown[]) {
    const mark = parseMark(item);
    if (mark === undefined) return undefined;
    marks.push(mark);
  }
  return { origin, soft: soft === 1, marks };
}

/** Whether a mark hits by rule, so that a process must know it before it can judge. */
export function isRule(mark: Mark): boolean {
  return mark.kind === "pattern" || mark.kind === "tags";
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is none of ours, as any other shape is.
    return undefined;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
