import { entityPath } from "../declared-entities.js";
import { encodeKey } from "../keys.js";

/** The path of what a user calls a key: a path as `explain` and the dashboard name it, or a key as it is written in code. */
export function pathOfKey(text: string): string {
  return text.startsWith("/") || entityPath(text) !== undefined ? text : encodeKey(text);
}
