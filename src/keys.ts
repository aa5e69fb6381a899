/**
 * Keys, tags, scopes, names and prefixes as text: each is encoded once to a *path*, segments joined by ":".
 *
 * For implementers. The encoding is injective, so no escape below may be dropped without finding the collision:
 *
 * - A segment is a scalar, a date, or one `name=value` of a params object. Raw ":" only separates segments, raw "="
 *   only ends a name, raw "(" "," ")" only build nested values; in data all of them are escaped as `%XX`.
 * - A string that would read as another type (`'42`, `'true`, `'7n`) or as a version (`'v2`) carries the mark "'";
 *   "@" begins a date. Data that begins with a mark is escaped.
 * - The empty string is the empty segment; between parentheses it is `'`, so that `()` is the empty array. The empty
 *   name is `'`. The empty object is `=`, and `=` also stands between two adjacent objects.
 * - The last segment of an entity's path is a bare `vN`, which a raw key never ends in: `crm:contact:42:v2`.
 * - A path that begins with "/" is in a namespace; a tag that begins with "~" is the cache's own.
 * - "{" and "}" are never raw: a key must not choose its Redis Cluster slot (hash tags, Redis Cluster specification).
 * - Lone surrogates become `%uXXXX`: UTF-8 would fold them all into U+FFFD.
 */
import { CacheError } from "./errors.js";

export type Scalar = string | number | bigint | boolean | null;
export type ParamValue = Scalar | Date | readonly ParamValue[] | Params;

/** Named parts of a key, in any order; names with `undefined` do not count. */
export interface Params {
  readonly [name: string]: ParamValue | undefined;
}

/** One part of a key. A `Params` object becomes one segment per name, sorted by name. */
export type Segment = Scalar | Date | Params;

/**
 * Anything that names an entry.
 *
 * A plain string is text with segments between ":": `"user:42"` is `["user", 42]`, `"page=1"` is `[{ page: 1 }]`. In
 * an array a string is one segment, whatever it holds: `["user", "42"]` is another key than `["user", 42]`.
 */
export type KeyInput = string | number | bigint | Key | readonly Segment[];

/**
 * What keeps one tenant's entries from another's. Always ONE segment: ":" in a string is data here. As in a plain
 * string key, `"42"` is the number 42. An array is a scope of several parts.
 */
export type ScopeInput = string | number | bigint | readonly Scalar[];

/** Longest encoded key unless a limit is given, in UTF-16 units. */
export const MAX_KEY_LENGTH = 65_536;

/** Most segments of a raw key: whatever looks at each prefix of a path stays bounded, even for text made of colons. */
export const MAX_SEGMENTS = 256;

/** Arrays and objects inside one segment, the params object itself included. */
const MAX_DEPTH = 8;

/** The scope segment of what has no scope. */
const GLOBAL = "global";

const ALWAYS_ESCAPED = String.raw`\0-\x20%:=*?[\]{}(),\\\x7f\ud800-\udfff`;
const ESCAPED_AT_START = String.raw`'"@/~#!`;
/** With `u`, the surrogate range matches lone ones only. */
const UNSAFE: RegExp = new RegExp(`[${ALWAYS_ESCAPED}]|^[${ESCAPED_AT_START}]`, "u");
const UNSAFE_ALL: RegExp = new RegExp(UNSAFE.source, "gu");
const WORD = `(?:v(?!\\d)|[^v${ESCAPED_AT_START}${ALWAYS_ESCAPED}])[^${ALWAYS_ESCAPED}]*`;
/** Text that already is a path; what it misses (emoji, inner empty segments) takes the long way. Unambiguous, so linear. */
const CANONICAL: RegExp = new RegExp(`^(?:${WORD}(?:=(?:${WORD})?)?(?::|$)){1,${MAX_SEGMENTS - 1}}$`);
const VERSION = /^v\d+$/;
const RESERVED_WORD = /^(?:true|false|null|v\d+)$/;
const BIGINT = /^(?:0|-?[1-9]\d*)n$/;
const NAMED_HOLE = /^[^=]+=$/;

/** A memo, never more: the engine gives each template in the source one frozen array, and reading it costs 300 ns. */
const TEMPLATES = new WeakMap<TemplateStringsArray, readonly TemplateText[]>();

/** A key made by the template tag `key`; immutable. */
export class Key {
  /** The canonical path. */
  readonly path: string;
  readonly #openEnded: boolean;

  /** TypeScript's `private`, which is only a type: a constructor cannot be a #name, and only the tag may make keys. */
  private constructor(path: string, openEnded: boolean) {
    this.path = path;
    this.#openEnded = openEnded;
    Object.freeze(this);
  }

  /** What the tag `key` calls. */
  static fromTemplate(strings: TemplateStringsArray, values: readonly Segment[]): Key {
    let template = TEMPLATES.get(strings);
    if (template === undefined) {
      template = compileTemplate(strings, encodeTextSegment, "key");
      TEMPLATES.set(strings, template);
    }
    return new Key(fillTemplate(template, values, "key"), template.at(-1)?.text.endsWith(":") === true);
  }

  /** Whether the template's own text ends in ":", which makes a prefix of "only what lies below". @internal */
  static isOpenEnded(key: Key): boolean {
    return key.#openEnded;
  }

  toString(): string {
    return this.path;
  }
}

/**
 * Makes a key from a template: the text is read as a plain string key, each value is one whole segment
 * (`user:${id}:orders`) or one whole value (`search:page=${page}`), and nothing it holds can be more than that.
 *
 * @throws CacheError `ERR_CACHE_KEY` when a value is mixed with text inside a segment, or cannot be part of a key.
 */
export function key(strings: TemplateStringsArray, ...values: readonly Segment[]): Key {
  return Key.fromTemplate(strings, values);
}

/**
 * The canonical path of a raw key.
 *
 * @param limit longest path, in UTF-16 units.
 * @throws CacheError `ERR_CACHE_KEY` for what cannot be a key, an empty key, or one above the limit.
 */
export function encodeKey(input: KeyInput, limit: number = MAX_KEY_LENGTH): string {
  if (typeof input === "string" && input.length <= limit && CANONICAL.test(input)) return input;
  return encodePath(input, limit, "key");
}

/** The path of one entity's entry: `<scope|global>:<entity>:<id path>:v<version>`. Never equal to a raw key's. */
export function encodeEntityKey(
  scope: ScopeInput | undefined,
  entity: string,
  id: KeyInput,
  version: number,
  limit: number = MAX_KEY_LENGTH,
): string {
  return entityKeyEncoder(scope, entity, version, limit)(id);
}

/** `encodeEntityKey` with everything but the id done beforehand. */
export function entityKeyEncoder(
  scope: ScopeInput | undefined,
  entity: string,
  version: number,
  limit: number = MAX_KEY_LENGTH,
): (id: KeyInput) => string {
  if (!Number.isSafeInteger(version) || version < 0) {
    throw keyError(`Expected the version of entity ${describe(entity)} to be an integer of 0 or more`, version);
  }
  const head = entityPrefix(scope, entity);
  const tail = `:v${version}`;
  const room = limit - head.length - tail.length;
  return (id) => {
    if (typeof id === "string" && id.length <= room && CANONICAL.test(id)) return head + id + tail;
    return checkLength(head + encodePath(id, limit, "id") + tail, limit, "key");
  };
}

/** The prefix of everything an entity has in a scope: `acme:contact:`. */
export function entityPrefix(scope: ScopeInput | undefined, entity: string): string {
  return `${encodeScope(scope)}:${encodeEntityName(entity)}:`;
}

/** The path of a tag: `<scope|global>:<tag path>`. Tags of distinct scopes are distinct. */
export function encodeTag(tag: KeyInput, scope?: ScopeInput): string {
  return checkLength(`${encodeScope(scope)}:${encodePath(tag, MAX_KEY_LENGTH, "tag")}`, MAX_KEY_LENGTH, "tag");
}

/** The cache's own tag on every entry of an entity, in every scope: `~contact`. No other tag equals it. */
export function entityTag(entity: string): string {
  return `~${encodeEntityName(entity)}`;
}

/** The cache's own tag on what belongs to one parent: `~project:acme:7`. No other tag equals it. */
export function parentTag(scope: ScopeInput | undefined, entity: string, id: KeyInput): string {
  const path = `${entityTag(entity)}:${encodeScope(scope)}:${encodePath(id, MAX_KEY_LENGTH, "id")}`;
  return checkLength(path, MAX_KEY_LENGTH, "tag");
}

/** The name of a cache or a namespace as one segment; "/" and "#" are escaped wherever they are. */
export function encodeName(name: string): string {
  const text: unknown = name;
  if (typeof text !== "string" || text === "") throw keyError("Expected a name to be a string that is not empty", text);
  return escapeText(text).replace(/[/#]/g, escapeUnit);
}

/** The path of a namespace in `parent` ("" for none): `/a`, `/a/b`. */
export function namespacePath(parent: string, name: string): string {
  return `${parent}/${encodeName(name)}`;
}

/** A canonical path as it is called outside of its namespace: `/a:user:1`. Only there does a path begin with "/". */
export function inNamespace(namespace: string, path: string): string {
  return namespace === "" ? path : `${namespace}:${path}`;
}

/**
 * The canonical path of a prefix: it names the key with these segments and every key that begins with them. Text that
 * ends in ":" (`"user:1:"`) names only what lies below.
 *
 * @throws CacheError `ERR_CACHE_KEY` also when the last segment is a *value* that is empty: `["user", ""]` would
 * otherwise name everything below "user".
 */
export function encodePrefix(input: KeyInput): string {
  const path = encodePath(input, MAX_KEY_LENGTH, "prefix");
  const below = typeof input === "string" || (input instanceof Key && Key.isOpenEnded(input));
  if (path.endsWith(":") && !below) {
    throw keyError('Expected the last segment of the prefix not to be empty (write "user:" for what lies below)', "");
  }
  return path;
}

/** Whether an encoded prefix names an encoded key; whole segments only: `user:1` names `user:1:x`, never `user:12`. */
export function prefixMatches(prefix: string, path: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return prefix.endsWith(":") || path.length === prefix.length || path.charAt(prefix.length) === ":";
}

/**
 * Every encoded prefix that names this key, shortest first: `a:b` has `a`, `a:`, `a:b`.
 *
 * @param longest leaves out longer ones. The sum of the lengths grows with the square of the number of segments:
 * give the length of the longest prefix you look up.
 */
export function pathPrefixes(path: string, longest: number = path.length): readonly string[] {
  const prefixes: string[] = [];
  for (let at = path.indexOf(":"); at !== -1 && at <= longest; at = path.indexOf(":", at + 1)) {
    // After an empty segment the shorter form is the one already given.
    if (at > 0 && path.charAt(at - 1) !== ":") prefixes.push(path.slice(0, at));
    if (at < longest) prefixes.push(path.slice(0, at + 1));
  }
  if (path.length <= longest && !path.endsWith(":")) prefixes.push(path);
  return prefixes;
}

/** What is being encoded, for messages. @internal */
export type KeySubject = "key" | "id" | "tag" | "prefix" | "pattern";

function encodePath(input: unknown, limit: number, subject: KeySubject): string {
  const path = encodeInput(input, limit, subject);
  if (path === "") throw keyError(`Expected the ${subject} not to be empty`, input);
  checkLength(path, limit, subject);
  const count = path.length < MAX_SEGMENTS ? 0 : path.split(":").length;
  if (count <= MAX_SEGMENTS) return path;
  throw refused(
    `Expected the ${subject} to have at most ${MAX_SEGMENTS} segments, got ${count} (a value in key\`…\` or in an array is one, with all its ":")`,
  );
}

function encodeInput(input: unknown, limit: number, subject: KeySubject): string {
  if (typeof input === "string") {
    // Encoding never shortens.
    checkLength(input, limit, subject);
    return CANONICAL.test(input) ? input : input.split(":").map(encodeTextSegment).join(":");
  }
  if (input instanceof Key) return input.path;
  if (Array.isArray(input)) return encodeTuple(input, subject);
  const path = typeof input === "number" || typeof input === "bigint" ? encodeScalar(input) : undefined;
  if (path !== undefined) return path;
  throw keyError(
    `Expected the ${subject} to be a string, a finite number, a bigint, key\`…\` or an array of segments`,
    input,
  );
}

function encodeTuple(segments: readonly unknown[], subject: KeySubject): string {
  let path = "";
  let afterObject = false;
  for (let i = 0; i < segments.length; i++) {
    const scalar = encodeScalar(segments[i]);
    if (i > 0) path += ":";
    if (scalar === undefined && afterObject) path += "=:";
    path += scalar ?? encodeParams(segments[i], `segment ${i + 1} of the ${subject}`);
    afterObject = scalar === undefined;
  }
  return path;
}

/**
 * The text before, between or after the values of a template, encoded, with the ":" and the `name=` around it.
 * `first` and `last` are the segments that begin in it, if any; `next` is what the value after it is to be, if any.
 *
 * @internal
 */
export interface TemplateText {
  readonly text: string;
  readonly first: "param" | "other" | undefined;
  readonly last: "param" | "other" | undefined;
  readonly next: "segment" | "value" | undefined;
}

/** Reads the texts of a template; `encodeText` encodes one segment of them. @internal */
export function compileTemplate(
  strings: TemplateStringsArray,
  encodeText: (segment: string) => string,
  subject: KeySubject,
): readonly TemplateText[] {
  return strings.map((string: string | undefined, i) => {
    // Absent for text with an invalid escape, such as \u without digits.
    if (string === undefined)
      throw keyError(`Expected the text of the ${subject} to have valid escapes only`, strings.raw[i]);
    const segments = string.split(":");
    if (i > 0 && segments.shift() !== "") throw misplaced(i, subject);
    const isLast = i === strings.length - 1;
    const hole = isLast ? "" : segments.pop();
    if (hole === undefined || (hole !== "" && !NAMED_HOLE.test(hole))) throw misplaced(i + 1, subject);

    const kinds = segments.map((segment) => (segment.indexOf("=") > 0 ? "param" : "other"));
    const encoded = segments.map(encodeText);
    if (hole !== "") kinds.push("param");
    if (!isLast) encoded.push(hole === "" ? "" : `${escapeText(hole.slice(0, -1))}=`);
    const text = (i > 0 && encoded.length > 0 ? ":" : "") + encoded.join(":");
    const next = hole === "" ? "segment" : "value";
    return { text, first: kinds[0], last: kinds.at(-1), next: isLast ? undefined : next };
  });
}

/** The path of a template with its values. Adjacent `name=value` texts are one object; each object value is its own. @internal */
export function fillTemplate(texts: readonly TemplateText[], values: readonly unknown[], subject: KeySubject): string {
  let path = "";
  let last: "param" | "object" | "other" = "other";
  for (const [i, text] of texts.entries()) {
    if (last === "object" && text.first === "param") path += ":=";
    path += text.text;
    last = text.last ?? last;
    if (text.next === undefined) break;
    const scalar = encodeScalar(values[i]);
    if (scalar !== undefined) {
      path += scalar;
      if (text.next === "segment") last = "other";
      continue;
    }
    const where = `value ${i + 1} of the ${subject}`;
    if (text.next === "value") throw keyError(`Expected ${where}, after "=", to be a scalar or a date`, values[i]);
    if (last !== "other") path += "=:";
    path += encodeParams(values[i], where);
    last = "object";
  }
  if (path === "") throw keyError(`Expected the ${subject} not to be empty`, path);
  return path;
}

function misplaced(position: number, subject: KeySubject): CacheError {
  return refused(
    `Expected value ${position} of the ${subject} to be a whole segment, as in \`user:\${id}:orders\`, or a whole value, as in ` +
      '`page=${page}`, got text next to it (to mix them, build the segment first: `${"v" + n}`)',
  );
}

/** A segment of a plain string. @internal */
export function encodeTextSegment(text: string): string {
  const equals = text.indexOf("=");
  if (equals < 1) return encodeWord(text);
  return `${escapeText(text.slice(0, equals))}=${encodeWord(text.slice(equals + 1))}`;
}

/** Text that may stand for a scalar: the canonical text of one needs no escape. */
function encodeWord(text: string): string {
  return VERSION.test(text) ? `'${text}` : escapeText(text);
}

/** `undefined` for what is neither a scalar nor a date, or is not finite or valid. */
function encodeScalar(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
      return readsAsReserved(value) ? `'${value}` : escapeText(value);
    case "number":
      return Number.isFinite(value) ? String(value) : undefined;
    case "bigint":
      return `${value}n`;
    case "boolean":
      return String(value);
    case "object":
      if (value === null) return "null";
      return value instanceof Date ? encodeDate(value) : undefined;
    default:
      return undefined;
  }
}

function readsAsReserved(text: string): boolean {
  const first = text.charCodeAt(0);
  const digitOrMinus = (first >= 0x30 && first <= 0x39) || first === 0x2d;
  if (!digitOrMinus) return RESERVED_WORD.test(text);
  const number = Number(text);
  return (Number.isFinite(number) && String(number) === text) || BIGINT.test(text);
}

function encodeDate(date: Date): string | undefined {
  try {
    // The prototype's own method: a subclass could return anything.
    return `@${Date.prototype.toISOString.call(date).replaceAll(":", "%3A")}`;
  } catch {
    return undefined; // Invalid, or only posing as a date: the caller throws, naming the place.
  }
}

function encodeParams(value: unknown, where: string): string {
  if (!isParams(value)) {
    throw keyError(`Expected ${where} to be a scalar (numbers finite), a valid date or a plain object`, value);
  }
  const entries = encodeEntries(value, where, 1);
  return entries.length === 0 ? "=" : entries.join(":");
}

function encodeEntries(params: Readonly<Record<string, unknown>>, where: string, depth: number): string[] {
  if (Object.getOwnPropertySymbols(params).length > 0) {
    throw refused(`Expected ${where} to have names that are strings, got a symbol`);
  }
  const entries: string[] = [];
  // The default order is by UTF-16 units: the same on every machine, unlike a locale's.
  for (const name of Object.keys(params).sort()) {
    const value = params[name];
    if (value === undefined) continue;
    entries.push(`${name === "" ? "'" : escapeText(name)}=${encodeValue(value, where, name, depth)}`);
  }
  return entries;
}

/** @param depth of the array or object that holds the value. */
function encodeValue(value: unknown, where: string, name: string | number, depth: number): string {
  const scalar = encodeScalar(value);
  if (scalar !== undefined) return scalar;
  const here = `${describe(name)} of ${where}`;
  const list = Array.isArray(value);
  if (!list && !isParams(value)) {
    throw keyError(`Expected ${here} to be a scalar, a valid date, an array or a plain object`, value);
  }
  if (depth >= MAX_DEPTH) {
    throw refused(`Expected ${where} to be nested at most ${MAX_DEPTH} deep, got ${describe(value)} below that`);
  }
  if (list) return encodeList(value, here, depth + 1);
  const entries = encodeEntries(value, here, depth + 1);
  return entries.length === 0 ? "(=)" : `(${entries.join(",")})`;
}

function encodeList(items: readonly unknown[], where: string, depth: number): string {
  // Not `map`, which would skip holes.
  const texts = Array.from(items, (item, i) => encodeValue(item, where, i, depth) || "'");
  return `(${texts.join(",")})`;
}

function isParams(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function encodeScope(scope: unknown): string {
  if (scope === undefined) return GLOBAL;
  if (typeof scope === "string" && scope !== "") return scope === GLOBAL ? `'${GLOBAL}` : encodeWord(scope);
  const parts = Array.isArray(scope) && scope.every((part) => typeof part !== "object" || part === null) ? scope : [];
  if (parts.length > 0) return encodeList(parts, "the scope", 1);
  const path = typeof scope === "number" || typeof scope === "bigint" ? encodeScalar(scope) : undefined;
  if (path !== undefined) return path;
  throw keyError(
    "Expected the scope to be a string, a finite number, a bigint or an array of scalars, not empty",
    scope,
  );
}

function encodeEntityName(name: unknown): string {
  if (typeof name === "string" && name !== "") return encodeWord(name);
  throw keyError("Expected the name of an entity to be a string that is not empty", name);
}

function escapeText(text: string): string {
  return UNSAFE.test(text) ? text.replace(UNSAFE_ALL, escapeUnit) : text;
}

function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  const hex = code.toString(16).toUpperCase();
  return code > 0xff ? `%u${hex}` : `%${hex.padStart(2, "0")}`;
}

/** @internal */
export function checkLength(path: string, limit: number, subject: KeySubject): string {
  if (path.length <= limit) return path;
  throw refused(`Expected the encoded ${subject} to be at most ${limit} UTF-16 units long, got ${path.length}`);
}

/** @internal */
export function keyError(expectation: string, value: unknown): CacheError {
  return refused(`${expectation}, got ${describe(value)}`);
}

function refused(message: string): CacheError {
  return new CacheError("ERR_CACHE_KEY", message);
}

/** Names a value's kind, and shows it only where it is short: keys may hold what logs must not. */
function describe(value: unknown): string {
  if (typeof value === "string")
    return value.length > 40 ? `a string of ${value.length} UTF-16 units` : JSON.stringify(value);
  if (value === undefined || value === null || typeof value === "number" || typeof value === "boolean")
    return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  if (value instanceof Date) return "an invalid date";
  const { constructor } = value;
  return isParams(value) || typeof constructor !== "function" ? "an object" : `an object of class ${constructor.name}`;
}
