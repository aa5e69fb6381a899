import {
  extentOf,
  noDirectives,
  parseCacheControl,
  type Directives,
  type Extent,
  type MutableDirectives,
} from "./cache-control.js";
import { MAX_DELTA_SECONDS } from "./delta-seconds.js";
import { fieldLines, fieldValue, type Fields } from "./fields.js";
import { parseDictionary, type Member } from "./structured-fields.js";

/** What a response says of its caching, and whether Cache-Control and Expires say it, or a targeted field in their stead. */
export interface ResponseDirectives {
  readonly directives: Directives;
  /** Then Expires does not count (RFC 9213 §2.2). */
  readonly isTargeted: boolean;
}

/**
 * The directives a cache obeys: those of the first field of its target list that is present, not empty and well formed
 * (RFC 9213 §2.2), else Cache-Control's.
 *
 * @param targets field names in lower case, the nearest to this cache first.
 */
export function responseDirectives(fields: Fields, targets: readonly string[]): ResponseDirectives {
  for (const target of targets) {
    const value = fieldValue(fields, target);
    const members = value === undefined ? undefined : parseDictionary(value);
    if (members !== undefined && members.size > 0) return { directives: fromMembers(members), isTargeted: true };
  }
  return { directives: parseCacheControl(fieldLines(fields, "cache-control")), isTargeted: false };
}

function fromMembers(members: ReadonlyMap<string, Member>): Directives {
  const directives: MutableDirectives = noDirectives();
  const flag = (name: string): boolean => isTrue(members.get(name));
  // What forbids counts with any value but false.
  const forbids = (name: string): boolean => members.has(name) && !isFalse(members.get(name));
  directives.noStore = forbids("no-store");
  directives.mustRevalidate = forbids("must-revalidate");
  directives.proxyRevalidate = forbids("proxy-revalidate");
  directives.noTransform = forbids("no-transform");
  directives.public = flag("public");
  directives.mustUnderstand = flag("must-understand");
  directives.immutable = flag("immutable");
  directives.noCache = extent(members.get("no-cache"));
  directives.private = extent(members.get("private"));
  directives.maxAge = seconds(members.get("max-age"));
  directives.sMaxage = seconds(members.get("s-maxage"));
  directives.staleWhileRevalidate = seconds(members.get("stale-while-revalidate"));
  directives.staleIfError = seconds(members.get("stale-if-error"));
  return directives;
}

function isTrue(member: Member | undefined): boolean {
  return member?.kind === "boolean" && member.value;
}

function isFalse(member: Member | undefined): boolean {
  return member?.kind === "boolean" && !member.value;
}

function extent(member: Member | undefined): Extent | undefined {
  if (member === undefined || isFalse(member)) return undefined;
  return member.kind === "string" || member.kind === "token" ? extentOf(member.value) : "all";
}

/** A time of another type, or below 0, is 0. */
function seconds(member: Member | undefined): number | undefined {
  if (member === undefined) return undefined;
  return member.kind === "integer" ? Math.min(Math.max(0, member.value), MAX_DELTA_SECONDS) : 0;
}
