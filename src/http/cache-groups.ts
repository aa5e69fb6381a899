import type { Segment } from "../keys.js";
import { fieldValue, type Fields } from "./fields.js";
import { parseList } from "./structured-fields.js";

/** The groups a response belongs to (RFC 9875 §2), or invalidates (§3); none where the field is malformed, or has a member that is no string. */
export function cacheGroups(fields: Fields, name: "cache-groups" | "cache-group-invalidation"): readonly string[] {
  const value = fieldValue(fields, name);
  const members = value === undefined ? [] : (parseList(value) ?? []);
  const groups = members.flatMap((member) => (member.kind === "string" && member.value !== "" ? [member.value] : []));
  return groups.length === members.length ? [...new Set(groups)] : [];
}

/** What responses of a group have for a tag: groups of one name in two origins are two (§2.1). */
export function groupTag(urlKey: readonly Segment[], group: string): readonly Segment[] {
  const [, room, origin] = urlKey;
  return ["http-group", room ?? "", origin ?? "", group];
}
