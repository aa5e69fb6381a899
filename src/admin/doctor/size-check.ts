import { bytes, integer } from "../../figures.js";
import { plainText } from "../../plain-text.js";
import type { Ranked } from "../report.js";
import type { StoredEntity } from "./entry-checks.js";
import { findings, type Finding } from "./finding.js";

const found = findings("entries");
const LARGE = 1_024 * 1_024;
const SHOWN = 3;

/** Values above 1 MB, among the entries that were read and the largest that memory holds. */
export function checkSizes(entities: readonly StoredEntity[], largest: readonly Ranked[]): Finding {
  const sizes = new Map(largest.map(({ key, count }) => [key, count]));
  for (const { entries } of entities) for (const { key, bytes: size } of entries) sizes.set(key, size);
  const large = [...sizes].filter(([, size]) => size > LARGE).sort(([, a], [, b]) => b - a);
  if (sizes.size === 0) return found("large values", "skipped", "there are no entries to look at");
  if (large.length === 0) return found("large values", "ok", `none of ${integer(sizes.size)} values is above 1 MB`);
  const named = large.slice(0, SHOWN).map(([key, size]) => `${plainText(key)} (${bytes(size)})`);
  return found(
    "large values",
    "warn",
    `${integer(large.length)} of ${integer(sizes.size)} values are above 1 MB: ${named.join(", ")}${large.length > SHOWN ? " …" : ""}`,
    "cache the parts that are read, or set `compression` on the entity",
  );
}
