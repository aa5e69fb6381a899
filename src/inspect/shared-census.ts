import type { EntryForm } from "../entries/form.js";
import type { Mark } from "../invalidation/record.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";
import type { ListStep, Listing } from "../tiers/shared.js";
import { asksTags, beginningOf, markMatcher } from "./mark-matcher.js";

/** What the shared tier held of what was asked for. */
export interface SharedCensus {
  readonly keys: readonly string[];
  /** How many were found; `keys` are the first of them. */
  readonly entries: number;
  /** Keys looked at, and whether those were all. */
  readonly examined: number;
  readonly complete: boolean;
  /** Why nothing, or not all, could be counted: the tier cannot list, does not answer, or there is none. */
  readonly problem: "none" | "unlisted" | "down" | undefined;
}

export interface SharedCensusOptions {
  readonly marks: readonly Mark[];
  readonly sample: number;
  /** Most keys looked at. */
  readonly most: number;
}

/** Keys asked for in one step of a listing, and entries read at once where their tags are to be seen. */
const STEP = 500;
const READ_TOGETHER = 100;

type Test = (path: string, tags: readonly string[]) => boolean;

interface Count {
  keys: string[];
  entries: number;
  examined: number;
}

/** Counts what the shared tier holds: keys by name, a step at a time, anything else by looking through what is listed. */
export async function takeSharedCensus(
  sides: Sides,
  form: EntryForm,
  { marks, sample, most }: SharedCensusOptions,
): Promise<SharedCensus> {
  const total: Count = { keys: [], entries: 0, examined: 0 };
  const told = (complete: boolean, problem: SharedCensus["problem"]): SharedCensus => ({ ...total, complete, problem });
  if (sides.all.length === 0) return told(true, "none");
  const keys = marks.flatMap((mark) => (mark.kind === "key" ? [mark.key] : []));
  try {
    if (keys.length === marks.length) {
      await countNamed(sides, keys, sample, total);
      return told(true, undefined);
    }
    const walk = { beginning: beginningOf(marks), test: markMatcher(marks), form: asksTags(marks) ? form : undefined };
    let complete = true;
    for (const side of sides.all) {
      const list = side.tier.store.list?.bind(side.tier.store);
      if (list === undefined) return told(false, "unlisted");
      complete = (await walkSide(side, list, walk, { sample, most }, total)) && complete;
    }
    return told(complete, undefined);
  } catch {
    // Told by the guard that bounds its calls.
    return told(false, "down");
  }
}

async function countNamed(sides: Sides, keys: readonly string[], sample: number, total: Count): Promise<void> {
  for (const [side, paths] of sides.group(keys, (key) => key)) {
    const { values } = await side.guard.call("store.read", () => side.tier.store.read(paths));
    total.examined += paths.length;
    for (const [at, path] of paths.entries()) if (values[at] !== undefined) found(total, path, sample);
  }
}

/** Whether it came to the end. */
async function walkSide(
  side: SharedSide,
  list: (step: ListStep) => Promise<Listing>,
  { beginning, test, form }: { readonly beginning: string; readonly test: Test; readonly form: EntryForm | undefined },
  { sample, most }: { readonly sample: number; readonly most: number },
  total: Count,
): Promise<boolean> {
  const seen = new Set<string>();
  let cursor: string | undefined;
  let steps = 0;
  do {
    // Of all sides together. Steps may find nothing where others' entries lie between: they are bounded as well.
    if (total.examined >= most || steps * STEP >= most * 20) return false;
    const step: ListStep = { beginning, cursor, count: STEP };
    const listing = await side.guard.call("store.list", () => list(step));
    ({ cursor } = listing);
    steps += 1;
    const fresh = listing.keys.filter((key) => !seen.has(key) && !key.startsWith("~") && !key.startsWith("!"));
    for (const key of fresh) seen.add(key);
    total.examined += fresh.length;
    if (form === undefined) for (const key of fresh) if (test(key, [])) found(total, key, sample);
    if (form !== undefined) await countTagged(side, fresh, form, test, sample, total);
  } while (cursor !== undefined);
  return true;
}

async function countTagged(
  side: SharedSide,
  keys: readonly string[],
  form: EntryForm,
  test: Test,
  sample: number,
  total: Count,
): Promise<void> {
  for (let start = 0; start < keys.length; start += READ_TOGETHER) {
    const paths = keys.slice(start, start + READ_TOGETHER);
    const { values } = await side.guard.call("store.read", () => side.tier.store.read(paths));
    for (const [at, path] of paths.entries()) {
      const value = values[at];
      if (value !== undefined && test(path, await tagsOf(side, path, value, form))) found(total, path, sample);
    }
  }
}

/** What cannot be read has no tags that anybody knows of. */
async function tagsOf(
  side: SharedSide,
  path: string,
  value: Parameters<SharedSide["entries"]["bytesOf"]>[0],
  form: EntryForm,
): Promise<readonly string[]> {
  try {
    const bytes = await side.entries.bytesOf(value);
    return bytes === undefined ? [] : (await form.decode(path, bytes)).tags;
  } catch {
    return [];
  }
}

function found(total: Count, path: string, sample: number): void {
  total.entries += 1;
  if (total.keys.length < sample) total.keys.push(path);
}
