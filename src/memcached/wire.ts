import { encodeMark, parseJson, parseMark, parseRecordBody, type RecordBody } from "../invalidation/mark-text.js";
import type { Mark } from "../invalidation/record.js";

/*
 * Records and marks as compact JSON (`invalidation/mark-text.ts`). A record is `["origin", 0 | 1 for soft, [mark, …]]`:
 * its position is told by where it is.
 */

export function encodeBody({ origin, soft, marks }: RecordBody): string {
  return JSON.stringify([origin, soft ? 1 : 0, marks.map(encodeMark)]);
}

export function parseBody(text: string): RecordBody | undefined {
  const value = parseJson(text);
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [origin, soft, list] = value as readonly unknown[];
  return parseRecordBody(origin, soft, list);
}

/** The one text of a mark. */
export function nameOf(mark: Mark): string {
  return JSON.stringify(encodeMark(mark));
}

export function parseName(name: string): Mark | undefined {
  return parseMark(parseJson(name));
}

/** Whether any of them is to be remembered: marks of keys are not. */
export function isControl(marks: readonly Mark[]): boolean {
  return marks.some((mark) => mark.kind !== "key");
}
