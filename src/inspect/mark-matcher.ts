import type { Mark } from "../invalidation/record.js";
import { prefixMatches } from "../keys.js";
import { patternMatcher } from "../patterns.js";

/** Whether an invalidation of these marks would hit an entry; `[]` hits none. */
export function markMatcher(marks: readonly Mark[]): (path: string, tags: readonly string[]) => boolean {
  const tests = marks.map(testOf);
  return (path, tags) => tests.some((test) => test(path, tags));
}

/** Whether the tags of an entry have a say in it. */
export function asksTags(marks: readonly Mark[]): boolean {
  return marks.some((mark) => mark.kind === "tag" || mark.kind === "tags");
}

/** The text with which every key begins that the marks name; "" when they name no beginning, or several. */
export function beginningOf(marks: readonly Mark[]): string {
  const [mark, ...others] = marks;
  if (mark === undefined || others.length > 0) return "";
  if (mark.kind === "prefix") return mark.prefix;
  // Before the first star a pattern is text as it stands, but for a mark or an escape that the star made needless.
  if (mark.kind !== "pattern") return "";
  const [start = ""] = mark.pattern.split("*");
  return start.slice(0, start.lastIndexOf(":") + 1);
}

function testOf(mark: Mark): (path: string, tags: readonly string[]) => boolean {
  switch (mark.kind) {
    case "key":
      return (path) => path === mark.key;
    case "tag":
      return (_path, tags) => tags.includes(mark.tag);
    case "tags":
      return (_path, tags) => mark.tags.every((tag) => tags.includes(tag));
    case "prefix":
      return (path) => prefixMatches(mark.prefix, path);
    case "pattern":
      return patternMatcher(mark.pattern);
    case "all":
      return () => true;
  }
}
