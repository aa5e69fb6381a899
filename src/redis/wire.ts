import { CacheError } from "../errors.js";
import { encodeMark, isRule, parseJson, parseMark, parseRecordBody } from "../invalidation/mark-text.js";
import type { Head, LogRecord, Mark } from "../invalidation/record.js";
import type { LogSignal } from "../tiers/shared.js";
import type { Signer } from "./sign.js";

/**
 * What travels, as compact JSON:
 *
 * - a record: `[position, previous, "origin", 0 | 1 for soft, [mark, …]]`, marks as in
 *   `invalidation/mark-text.ts`;
 * - the end of a lease: `["settled", key]`;
 * - signed, either ends with one item more, the signature of everything before it but the positions (`sign.ts`).
 *
 * Whatever does not read exactly like this is not ours and is refused whole.
 */

/** The longest record, in UTF-16 units: every subscriber gets a copy, and the server drops those that fall 32 MB behind. */
const MAX_RECORD = 4_194_304;
/** What comes before the signed text of a record, and of the end of a lease. */
const UNSIGNED_START = /^\[(?:\d{1,16},\d{1,16},(?=")|(?="settled","))/;
const SIGNATURE = /^[\w-]{22}$/;
/** A signature with the punctuation around it, and the length of that. */
const SIGNED_END = /^,"([\w-]{22})"\]$/;
const SIGNED_END_LENGTH = 26;

/** A record without its two positions, which only the server can give: it puts `[position,previous,` before. */
export function encodeBody(origin: string, soft: boolean, marks: readonly Mark[], signer?: Signer): string {
  const body = signed(`${JSON.stringify(origin)},${soft ? 1 : 0},${JSON.stringify(marks.map(encodeMark))}`, signer);
  if (body.length > MAX_RECORD) {
    throw new CacheError(
      "ERR_CACHE_TIER",
      `One record holds at most ${MAX_RECORD} characters, got ${body.length}: send fewer keys at once`,
    );
  }
  return body;
}

export function encodeSettled(key: string, signer?: Signer): string {
  return `[${signed(`"settled",${JSON.stringify(key)}`, signer)}`;
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

/**
 * What was heard on the channel; `undefined` for what is none of ours.
 *
 * @param signer with one, whatever it did not sign is refused; without, signatures are not looked at.
 */
export function parseMessage(text: string, signer?: Signer): LogSignal | undefined {
  const reason = signer && refusalOf(text, signer);
  if (reason !== undefined) return { type: "refused", reason };
  const value = parseJson(text);
  if (!Array.isArray(value)) return undefined;
  const [first, key, signature] = value as unknown[];
  if (first === "settled" && typeof key === "string" && value.length === (signature === undefined ? 2 : 3)) {
    return signature === undefined || isSignature(signature) ? { type: "settled", key } : undefined;
  }
  const record = recordOf(value);
  return record && { type: "record", record };
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

function recordOf(value: readonly unknown[]): LogRecord | undefined {
  const [position, previous, origin, soft, list, signature] = value;
  if (value.length !== 5 && !(value.length === 6 && isSignature(signature))) return undefined;
  if (!isPosition(position) || !isPosition(previous) || previous >= position) return undefined;
  const body = parseRecordBody(origin, soft, list);
  return body && { position, previous, ...body };
}

function signed(text: string, signer: Signer | undefined): string {
  return signer === undefined ? `${text}]` : `${text},"${signer.sign(text)}"]`;
}

/** Why a message is not believed, judged before it is read. */
function refusalOf(text: string, signer: Signer): string | undefined {
  const start = UNSIGNED_START.exec(text)?.[0].length;
  if (start === undefined) return "not a message of this cache";
  const end = text.length - SIGNED_END_LENGTH;
  const signature = SIGNED_END.exec(text.slice(end))?.[1];
  if (end <= start || signature === undefined) return "no signature";
  return signer.verifies(text.slice(start, end), signature) ? undefined : "no secret of ours signed it";
}

function isSignature(value: unknown): boolean {
  return typeof value === "string" && SIGNATURE.test(value);
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
