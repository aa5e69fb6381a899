/*
 * Structured fields (RFC 9651, which has taken the place of RFC 8941): a strict parser of dictionaries, for targeted fields, and
 * a serializer of the lists Cache-Status consists of. Strict: anything wrong anywhere is no dictionary at all (§4.2).
 */

/** A bare item. What is neither a number, a text, a token nor a boolean comes as `other`: nobody here looks into it. */
export type BareItem =
  | { readonly kind: "integer" | "decimal" | "date"; readonly value: number }
  | { readonly kind: "string" | "token" | "other"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean };

/** A member of a dictionary: an item, or an inner list of which only the fact is kept. Parameters are checked and dropped. */
export type Member = BareItem | { readonly kind: "inner-list" };

const KEY = /[a-z*][a-z0-9_\-.*]*/y;
const NUMBER = /-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y;
const INTEGER = /-?\d{1,15}(?![\d.])/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*/y;
const BYTES = /:[A-Za-z0-9+/]*={0,2}:/y;
const BOOLEAN = /\?[01]/y;
const DISPLAY_STRING = /%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"/y;

/** The members of a dictionary by key; `undefined` when the text is none. Of a key named twice the last counts. */
export function parseDictionary(text: string): Map<string, Member> | undefined {
  const reader = new Reader(text);
  try {
    return reader.dictionary();
  } catch (error) {
    if (error instanceof NoStructuredField) return undefined;
    throw error;
  }
}

/** How the reader gives up; it never leaves this file. */
class NoStructuredField extends Error {}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  dictionary(): Map<string, Member> {
    const members = new Map<string, Member>();
    this.#skip(" ");
    if (this.#at === this.#text.length) return members;
    for (;;) {
      const key = this.#take(KEY);
      const member = this.#eat("=") ? this.#member() : { kind: "boolean" as const, value: true };
      this.#parameters();
      members.delete(key);
      members.set(key, member);
      this.#skip(" \t");
      if (this.#at === this.#text.length) return members;
      if (!this.#eat(",")) throw new NoStructuredField();
      this.#skip(" \t");
      if (this.#at === this.#text.length) throw new NoStructuredField();
    }
  }

  #member(): Member {
    if (!this.#eat("(")) return this.#bareItem();
    for (;;) {
      this.#skip(" ");
      if (this.#eat(")")) return { kind: "inner-list" };
      this.#bareItem();
      this.#parameters();
      const next = this.#text[this.#at];
      if (next !== " " && next !== ")") throw new NoStructuredField();
    }
  }

  #parameters(): void {
    while (this.#eat(";")) {
      this.#skip(" ");
      this.#take(KEY);
      if (this.#eat("=")) this.#bareItem();
    }
  }

  #bareItem(): BareItem {
    const first = this.#text[this.#at] ?? "";
    if (first === '"') return { kind: "string", value: this.#take(STRING).slice(1, -1).replace(/\\(.)/g, "$1") };
    if (first === ":") return { kind: "other", value: this.#take(BYTES) };
    if (first === "?") return { kind: "boolean", value: this.#take(BOOLEAN) === "?1" };
    if (first === "%") return { kind: "other", value: this.#take(DISPLAY_STRING) };
    if (first === "@") {
      this.#at += 1;
      return { kind: "date", value: Number(this.#take(INTEGER)) };
    }
    if (/[-\d]/.test(first)) {
      const number = this.#take(NUMBER);
      return { kind: number.includes(".") ? "decimal" : "integer", value: Number(number) };
    }
    return { kind: "token", value: this.#take(TOKEN) };
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) throw new NoStructuredField();
    this.#at = pattern.lastIndex;
    return match[0];
  }

  #eat(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #skip(characters: string): void {
    while (this.#at < this.#text.length && characters.includes(this.#text[this.#at] ?? "")) this.#at += 1;
  }
}

/** A parameter of a list's member: `true` is its name alone, a string is a token where it can be one. */
export type Parameter = readonly [key: string, value: string | number | true];

/** A list's member that is a token or a string, with parameters. Characters no string may have become "?". */
export function serializeItem(text: string, parameters: readonly Parameter[]): string {
  const serialized = parameters.map(([key, value]) => {
    if (value === true) return `;${key}`;
    return typeof value === "number" ? `;${key}=${Math.trunc(value)}` : `;${key}=${tokenOrString(value)}`;
  });
  return tokenOrString(text) + serialized.join("");
}

function tokenOrString(text: string): string {
  if (/^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/.test(text)) return text;
  return `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, String.raw`\$&`)}"`;
}
