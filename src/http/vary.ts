import { fieldLines, type Fields } from "./fields.js";
import { splitList, trimBlanks } from "./lists.js";

/** Field names in lower case, sorted, each once; "*" when no other request can be known to match. */
export type VaryNames = readonly string[] | "*";

/** Most fields a response may vary on and still be stored. */
const MAX_NAMES = 32;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Fields whose members mean the same in any order: preference is in their weights (RFC 9110 §12.4.2). */
const UNORDERED: ReadonlySet<string> = new Set(["accept", "accept-charset", "accept-encoding", "accept-language"]);

/** What the response varies on (RFC 9110 §12.5.5); malformed names count as "*". */
export function varyNames(fields: Fields): VaryNames {
  const names = new Set<string>();
  for (const line of fieldLines(fields, "vary")) {
    for (const member of splitList(line).members) {
      const name = member.toLowerCase();
      if (name === "*" || !TOKEN.test(name)) return "*";
      names.add(name);
    }
  }
  return names.size > MAX_NAMES ? "*" : [...names].sort();
}

/**
 * What a request says in the named fields, as text that is equal exactly for requests that match (RFC 9111 §4.1). Lines are
 * joined, blanks around commas do not count, and neither do case, order and empty members where the field's own syntax has none.
 */
export function varyKey(names: readonly string[], request: Fields): string {
  return JSON.stringify(names.map((name) => normalValue(name, fieldLines(request, name))));
}

/** Whether a response to `stored` may answer `request`, as far as Vary goes. */
export function varyMatches(names: VaryNames, stored: Fields, request: Fields): boolean {
  return names !== "*" && varyKey(names, stored) === varyKey(names, request);
}

function normalValue(name: string, lines: readonly string[]): string | null {
  if (lines.length === 0) return null;
  const members = lines.flatMap((line) => splitList(line).members);
  if (!UNORDERED.has(name)) return members.join(",");
  return members.map(normalMember).sort().join(",");
}

/** `GZIP ; Q=1.0` is `gzip`. */
function normalMember(member: string): string {
  const parts = member.split(";").map((part) => trimBlanks(part).toLowerCase());
  return parts.filter((part, index) => index === 0 || !/^q=1(?:\.0{0,3})?$/.test(part)).join(";");
}
