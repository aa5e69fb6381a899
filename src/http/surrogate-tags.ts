import { fieldLines, type Fields } from "./fields.js";

/** Separated by blanks, and by commas. */
const BY_BLANKS: readonly string[] = ["surrogate-key", "xkey"];
const BY_COMMAS: readonly string[] = ["cache-tag"];

/** Most tags of one response: with more it is not stored, as it could not be purged by all of them. */
export const MAX_TAGS = 1_000;

/** The tags of a response, each once: Surrogate-Key and xkey (by blanks), Cache-Tag (by commas). */
export function surrogateTags(fields: Fields): readonly string[] {
  const tags = new Set<string>();
  const add = (names: readonly string[], separator: RegExp): void => {
    for (const name of names) {
      for (const line of fieldLines(fields, name)) {
        for (const tag of line.split(separator)) if (tag.trim() !== "") tags.add(tag.trim());
      }
    }
  };
  add(BY_BLANKS, /[\s,]+/);
  add(BY_COMMAS, /,/);
  return [...tags];
}
