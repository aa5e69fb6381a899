import { asksTags } from "../inspect/mark-matcher.js";
import type { CacheInspector } from "../inspect/inspector.js";
import type { HeldEntry } from "../inspect/memory-census.js";
import type { SharedCensus } from "../inspect/shared-census.js";
import type { Mark } from "../invalidation/record.js";
import { marksOf, type AdminTarget } from "./target.js";

/** One line of the key explorer. */
export interface FoundKey {
  readonly key: string;
  /** As this process's memory holds it; `null` when it does not. */
  readonly memory: Omit<HeldEntry, "key"> | null;
  /** Whether the shared tier listed it; `null` when that is not known. */
  readonly shared: boolean | null;
}

export interface Found {
  readonly target: AdminTarget;
  readonly keys: readonly FoundKey[];
  readonly memory: { readonly entries: number; readonly examined: number; readonly complete: boolean } | null;
  readonly shared: Omit<SharedCensus, "keys">;
}

const SHOWN = 100;
const MOST_HELD = 1_000_000;
const MOST_KEYS = 20_000;
const MOST_TAGGED = 5_000;

/** What is stored of a target, in this process and in the shared tier. @throws CacheError `ERR_CACHE_KEY`. */
export async function explore(inspector: CacheInspector, target: AdminTarget): Promise<Found> {
  const marks = marksOf(inspector, target);
  const [memory, shared] = await Promise.all([
    inspector.memory({ marks, sample: SHOWN, most: MOST_HELD }),
    inspector.shared({ marks, sample: SHOWN, most: asksTags(marks) ? MOST_TAGGED : MOST_KEYS }),
  ]);
  const held = new Map((memory?.sample ?? []).map(({ key, ...entry }) => [key, entry]));
  const listed = new Set(shared.keys);
  // Of one key that is not stored there is still something to tell: why.
  const named = marks.flatMap((mark) => (mark.kind === "key" ? [mark.key] : []));
  const keys = [...new Set([...named, ...held.keys(), ...listed])].slice(0, SHOWN);
  const stored = await storedOf(inspector, keys, shared);
  const { keys: _listed, ...counts } = shared;
  return {
    target,
    keys: keys.map((key) => ({
      key,
      memory: held.get(key) ?? null,
      shared: stored === undefined ? null : stored.has(key),
    })),
    memory: memory ? { entries: memory.entries, examined: memory.examined, complete: memory.complete } : null,
    shared: counts,
  };
}

/** Which of these the shared tier has; `undefined` when it does not say. */
async function storedOf(
  inspector: CacheInspector,
  keys: readonly string[],
  shared: SharedCensus,
): Promise<ReadonlySet<string> | undefined> {
  if (shared.problem === "none") return new Set();
  if (keys.length === 0 || shared.problem === "down") return undefined;
  const marks = keys.map((key): Mark => ({ kind: "key", key }));
  const found = await inspector.shared({ marks, sample: keys.length, most: keys.length });
  return found.problem === undefined ? new Set(found.keys) : undefined;
}
