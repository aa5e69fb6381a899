import { MAX_KEY_LENGTH, checkLength, compileTemplate, encodeTextSegment, fillTemplate, keyError } from "./keys.js";
import type { Segment } from "./keys.js";

/**
 * A rule for many keys: text as in a plain string key, where "*" is alive, or pattern`…`.
 *
 * `*` stands for any run of characters inside one segment, as the whole last segment for one or more segments
 * (`"user:123:*"` is everything below), and `**` as a segment for any number of segments, none included. A segment
 * without a star names exactly what it names in a key; one with a star is compared with the segment's text, so
 * `4*` matches the number 42 and the string "42".
 */
export type PatternInput = string | Pattern;

/** A pattern made by the template tag `pattern`; immutable. */
export class Pattern {
  /** The canonical pattern. */
  readonly text: string;

  /** TypeScript's `private`, which is only a type: a constructor cannot be a #name, and only the tag may make patterns. */
  private constructor(text: string) {
    this.text = text;
    Object.freeze(this);
  }

  /** What the tag `pattern` calls. */
  static fromTemplate(strings: TemplateStringsArray, values: readonly Segment[]): Pattern {
    const template = compileTemplate(strings, encodePatternSegment, "pattern");
    return new Pattern(canonical(fillTemplate(template, values, "pattern")));
  }

  toString(): string {
    return this.text;
  }
}

/**
 * Makes a pattern from a template: stars in the text are alive, stars in a value are data. Values are placed as
 * in `key`.
 *
 * @throws CacheError `ERR_CACHE_KEY` as `key`, and for a pattern made only of stars.
 */
export function pattern(strings: TemplateStringsArray, ...values: readonly Segment[]): Pattern {
  return Pattern.fromTemplate(strings, values);
}

/**
 * The canonical text of a pattern.
 *
 * @param limit longest text, in UTF-16 units.
 * @throws CacheError `ERR_CACHE_KEY` for an empty pattern, one made only of stars, or one above the limit.
 */
export function encodePattern(input: PatternInput, limit: number = MAX_KEY_LENGTH): string {
  if (input instanceof Pattern) return checkLength(input.text, limit, "pattern");
  const text: unknown = input;
  if (typeof text !== "string" || text === "")
    throw keyError("Expected the pattern to be text that is not empty, or pattern`…`", text);
  checkLength(text, limit, "pattern");
  return checkLength(canonical(text.split(":").map(encodePatternSegment).join(":")), limit, "pattern");
}

function encodePatternSegment(text: string): string {
  if (/^\*{2,}$/.test(text)) return "**";
  // Only a star of the text is encoded as %2A: a "%" of the text becomes %25.
  return encodeTextSegment(text).replace(/(?:%2A)+/g, "*");
}

function canonical(encoded: string): string {
  if (/^\*{1,2}(?::\*{1,2})*$/.test(encoded)) {
    throw keyError("Expected the pattern to hold more than stars (use `{ all: true }` to mean everything)", encoded);
  }
  return encoded.replace(/\*\*(?::\*\*)+/g, "**");
}

/** What one segment of a pattern asks of one segment of a path. */
type Part = (segment: string) => boolean;
const DEEP = "**";

/**
 * Compiles a canonical pattern into a test of canonical paths.
 *
 * The version at the end of an entity's path may be matched or left over. Paths of a namespace match only patterns
 * of that namespace. Time is bounded by the path's length times the pattern's number of segments; stars never
 * multiply each other.
 */
export function patternMatcher(pattern: string): (path: string) => boolean {
  const texts = pattern.split(":");
  const parts: (Part | typeof DEEP)[] = texts.map((text) => (text === DEEP ? DEEP : compileSegment(text)));
  if (texts.at(-1) === "*") parts.push(DEEP);
  const namespaced = pattern.startsWith("/");
  return (path) => {
    if (path.startsWith("/") !== namespaced) return false;
    const segments = path.split(":");
    if (matches(parts, segments)) return true;
    return /:v\d+$/.test(path) && matches(parts, segments.slice(0, -1));
  };
}

/** On a mismatch only the last `**` takes one segment more: what an earlier one took already fits. */
function matches(parts: readonly (Part | typeof DEEP)[], segments: readonly string[]): boolean {
  let part = 0;
  let resumePart = -1;
  let resumeSegment = 0;
  for (let i = 0; i < segments.length;) {
    const test = parts[part];
    if (test === DEEP) {
      resumePart = ++part;
      resumeSegment = i;
    } else if (test?.(segments[i] ?? "") === true) {
      part++;
      i++;
    } else if (resumePart !== -1) {
      part = resumePart;
      i = ++resumeSegment;
    } else {
      return false;
    }
  }
  while (parts[part] === DEEP) part++;
  return part === parts.length;
}

function compileSegment(text: string): Part {
  if (text === "*") return () => true;
  if (!text.includes("*")) return (segment) => segment === text;
  const [first = "", ...rest] = plainForm(text).split("*");
  const last = rest.pop() ?? "";
  return (segment) => runsMatch(plainForm(segment), first, rest, last);
}

/** Takes each run at its first place: if any placement fits, the leftmost one does. */
function runsMatch(text: string, first: string, middle: readonly string[], last: string): boolean {
  const end = text.length - last.length;
  if (end < first.length || !text.startsWith(first) || !text.endsWith(last) || insideEscape(text, end)) return false;
  let from = first.length;
  for (const run of middle) {
    let at = text.indexOf(run, from);
    while (at !== -1 && insideEscape(text, at)) at = text.indexOf(run, at + 1);
    if (at === -1 || at + run.length > end) return false;
    from = at + run.length;
  }
  return true;
}

/**
 * The segment without what depends on where in it a character stands: type marks, and escapes that are needed only
 * at the start. So "*" before a character does not change how the character is compared.
 */
function plainForm(segment: string): string {
  if (!segment.includes("'") && !segment.includes("%")) return segment;
  return segment
    .replace(/(?<![^=(,])'/g, "")
    .replace(/%(?:2[1237F]|40|7E)/g, (escaped) => String.fromCharCode(Number.parseInt(escaped.slice(1), 16)));
}

/** Whether `at` is within a `%XX` or `%uXXXX`, where no character begins. */
function insideEscape(text: string, at: number): boolean {
  const from = Math.max(0, at - 5);
  const percent = text.slice(from, at).lastIndexOf("%");
  if (percent === -1) return false;
  return at < from + percent + (text.charAt(from + percent + 1) === "u" ? 6 : 3);
}
