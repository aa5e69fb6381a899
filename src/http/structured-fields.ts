import {
  parseDictionary as parse,
  parseList as parseItems,
  serializeItem as serialize,
  Token,
} from "structured-headers";
import { endOfQuoted } from "./lists.js";

/** A bare item (RFC 9651 §3.3). What is neither a whole number, a text, a token nor a boolean comes as `other`: nobody here looks into it. */
export type BareItem =
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "string" | "token"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "other" };

/** A member of a dictionary or list: an item, or an inner list. Parameters are checked and dropped. */
export type Member = BareItem | { readonly kind: "inner-list"; readonly items: readonly BareItem[] };

/** The members of a dictionary by key; `undefined` when the text is none (RFC 9651 §4.2.2). Of a key named twice the last counts. */
export function parseDictionary(text: string): Map<string, Member> | undefined {
  const dictionary = parsed(() => parse(marked(text)));
  if (dictionary === undefined) return undefined;
  return new Map(Array.from(dictionary, ([key, member]) => [key, memberOf(member)] as const));
}

/** The members of a list; `undefined` when the text is none (RFC 9651 §4.2.1). */
export function parseList(text: string): readonly Member[] | undefined {
  return parsed(() => parseItems(text))?.map(memberOf);
}

/** Strict: anything wrong anywhere is no field at all (§4.2). The library tells it by throwing. */
function parsed<T>(parser: () => T): T | undefined {
  try {
    return parser();
  } catch {
    // Whatever it threw: the field is malformed, and ignored as a whole.
    return undefined;
  }
}

/** Numbers that are no integers, and dates: the library gives `1.0` as it gives `1`, and takes a date for malformed unless it stands last. */
const NO_INTEGERS = /=(?:-?\d{1,12}\.\d{1,3}|@-?\d{1,15})(?=[ \t,;)]|$)/g;
/** What stands for them while the library reads: it is no token of any field of ours. */
const MARK = "*no-integer";

function marked(text: string): string {
  let result = "";
  let at = 0;
  for (;;) {
    const quote = text.indexOf('"', at);
    const plain = text.slice(at, quote === -1 ? text.length : quote);
    result += plain.replace(NO_INTEGERS, `=${MARK}`);
    if (quote === -1) return result;
    at = endOfQuoted(text, quote);
    // Malformed as it stands.
    if (at === -1) return text;
    result += text.slice(quote, at);
  }
}

function memberOf([value]: readonly [unknown, ...unknown[]]): Member {
  // An inner list's first part is an array of items, each of which is a bare item and its parameters.
  if (Array.isArray(value))
    return { kind: "inner-list", items: value.map((item: readonly unknown[]) => bareOf(item[0])) };
  return bareOf(value);
}

function bareOf(value: unknown): BareItem {
  if (typeof value === "boolean") return { kind: "boolean", value };
  if (typeof value === "string") return { kind: "string", value };
  if (value instanceof Token && value.toString() !== MARK) return { kind: "token", value: value.toString() };
  return typeof value === "number" && Number.isInteger(value) ? { kind: "integer", value } : { kind: "other" };
}

/** A list's member that is a token or a string, with parameters: `true` is a name alone, a string is a token where it can be one. */
export function serializeItem(text: string, parameters: readonly Parameter[]): string {
  const map = new Map(
    parameters.map(([key, value]) => [key, typeof value === "string" ? tokenOrString(value) : value] as const),
  );
  return serialize(tokenOrString(text), map);
}

export type Parameter = readonly [key: string, value: string | number | true];

const TOKEN = /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/;

/** Characters no string may have become "?". */
function tokenOrString(text: string): Token | string {
  return TOKEN.test(text) ? new Token(text) : text.replace(/[^\x20-\x7e]/g, "?");
}
