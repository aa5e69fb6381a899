import type { LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { ReadSpec } from "./shared-entries.js";

/**
 * How old a row is, next to what is known of its key:
 *
 * - `newest`: nothing newer is known, or it has no version.
 * - `stored-newer`: a newer one is stored, where all read it.
 * - `known-newer`: this process has met a newer one, which is not stored there.
 * - `unknown`: the shared tier did not say.
 */
export type RowAge = "newest" | "stored-newer" | "known-newer" | "unknown";

/**
 * Compares a row that is about to be stored with what is known of its key, and remembers one that is the newest.
 *
 * Whoever stores it in the shared tier holds the key's lease while it asks: what is stored then can change before the fill or the
 * commit only by a step that ends the lease, and so refuses that.
 *
 * @param side of the shared tier; `undefined` where there is none, or it is away.
 */
export async function rowAge(
  path: string,
  value: unknown,
  spec: ReadSpec,
  local: LocalEntries,
  side: SharedSide | undefined,
): Promise<RowAge> {
  const { rows } = spec;
  if (rows === undefined) return "newest";
  if (side !== undefined) {
    try {
      const stored = await side.entries.valueOf(path, spec);
      if (stored !== undefined && rows.isOlder(value, stored.value)) return "stored-newer";
    } catch {
      // Counted and told by the guard.
      return "unknown";
    }
  }
  return localRowAge(path, value, spec, local, side === undefined);
}

/** As `rowAge`, by what this process knows. @param isAll whether its memory is what all read. */
export function localRowAge(
  path: string,
  value: unknown,
  { rows }: ReadSpec,
  local: LocalEntries,
  isAll: boolean,
): RowAge {
  if (rows === undefined) return "newest";
  const { held } = local.inspect(path);
  if (held !== undefined && rows.isOlder(value, held.value)) return isAll ? "stored-newer" : "known-newer";
  if (rows.isOutdated(path, value)) return "known-newer";
  rows.met(path, value);
  return "newest";
}
