import type { Path } from "./schema.js";

/** A place in a text: line and column from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** JSON that is none, and where. */
export class JsonError extends Error {
  override readonly name = "JsonError";
  readonly position: Position;

  constructor(message: string, position: Position) {
    super(message);
    this.position = position;
  }
}

export interface JsonText {
  readonly value: unknown;
  /** Where a value begins, or with `isName` its name; of what is not there, what should hold it. */
  readonly positionOf: (path: Path, isName: boolean) => Position;
}

interface Node {
  readonly start: number;
  /** Where its name begins, in an object. */
  readonly name: number;
  readonly children: ReadonlyMap<string | number, Node> | undefined;
}

const DEEPEST = 100;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const LITERALS: readonly (readonly [text: string, value: unknown])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/**
 * JSON (RFC 8259) with the position of each value.
 *
 * @throws JsonError for what is no JSON, for a name that an object has twice, and for what is nested too deep.
 */
export function parseJson(text: string): JsonText {
  const walker = new Walker(text);
  const { value, node } = walker.document();
  return { value, positionOf: (path, isName) => walker.position(placeOf(node, path, isName)) };
}

function placeOf(root: Node, path: Path, isName: boolean): number {
  let node = root;
  for (const step of path) {
    const child = node.children?.get(step);
    if (child === undefined) return node.start;
    node = child;
  }
  return isName ? node.name : node.start;
}

interface Parsed {
  readonly value: unknown;
  readonly node: Node;
}

class Walker {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    // A byte order mark is no part of it.
    this.#text = text.startsWith("\uFEFF") ? text.slice(1) : text;
  }

  document(): Parsed {
    this.#skipBlanks();
    const parsed = this.#value(0, this.#at);
    this.#skipBlanks();
    if (this.#at < this.#text.length) throw this.#expected("the end of the file");
    return parsed;
  }

  position(at: number): Position {
    const before = this.#text.slice(0, at).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }

  #value(depth: number, name: number): Parsed {
    const start = this.#at;
    const character = this.#text[start];
    if (depth > DEEPEST) throw this.#expected(`no more than ${DEEPEST} levels`);
    if (character === "{") return this.#object(depth, name);
    if (character === "[") return this.#array(depth, name);
    const node = { start, name, children: undefined };
    if (character === '"') return { value: this.#string(), node };
    for (const [text, value] of LITERALS) if (this.#take(text)) return { value, node };
    NUMBER.lastIndex = start;
    const number = NUMBER.exec(this.#text)?.[0];
    if (number === undefined) throw this.#expected("a value");
    this.#at += number.length;
    return { value: Number(number), node };
  }

  #object(depth: number, name: number): Parsed {
    const start = this.#at;
    const children = new Map<string | number, Node>();
    const entries: [string, unknown][] = [];
    this.#take("{");
    this.#skipBlanks();
    if (this.#take("}")) return { value: {}, node: { start, name, children } };
    do {
      this.#skipBlanks();
      const at = this.#at;
      const own = this.#string();
      if (children.has(own))
        throw new JsonError(`Expected ${JSON.stringify(own)} to stand here once`, this.position(at));
      this.#skipBlanks();
      if (!this.#take(":")) throw this.#expected("`:`");
      this.#skipBlanks();
      const { value, node } = this.#value(depth + 1, at);
      children.set(own, node);
      entries.push([own, value]);
      this.#skipBlanks();
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#expected("`,` or `}`");
    // Own fields, `__proto__` included.
    return { value: Object.fromEntries(entries), node: { start, name, children } };
  }

  #array(depth: number, name: number): Parsed {
    const start = this.#at;
    const children = new Map<string | number, Node>();
    const values: unknown[] = [];
    this.#take("[");
    this.#skipBlanks();
    if (this.#take("]")) return { value: values, node: { start, name, children } };
    do {
      this.#skipBlanks();
      const { value, node } = this.#value(depth + 1, this.#at);
      children.set(values.length, node);
      values.push(value);
      this.#skipBlanks();
    } while (this.#take(","));
    if (!this.#take("]")) throw this.#expected("`,` or `]`");
    return { value: values, node: { start, name, children } };
  }

  #string(): string {
    STRING.lastIndex = this.#at;
    const quoted = STRING.exec(this.#text)?.[0];
    if (quoted === undefined) throw this.#expected("a string in double quotes");
    this.#at += quoted.length;
    return JSON.parse(quoted) as string;
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #skipBlanks(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #expected(what: string): JsonError {
    const found = this.#text[this.#at];
    const got = found === undefined ? "the end of the file" : `\`${found}\``;
    return new JsonError(`Expected ${what}, got ${got}`, this.position(this.#at));
  }
}
