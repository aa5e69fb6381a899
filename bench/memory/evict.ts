import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender, type Plan } from "../slices.js";
import type { Setting, Suite } from "../suite.js";
import { closeAll, counts, fill, mixer, rival, rivals, setter, type Rival } from "./contend.js";
import { keys } from "./keys.js";
import { atEveryScale, type Scale } from "./sizes.js";
import { BARE_MAP, bareMap, TIER, trimmedMap } from "./stores.js";

/** Operations of a slice, a number that is known beforehand: so many new keys are made. */
const OPERATIONS = 2 ** 13;
/** Rounds that `interleave` runs before those that count. */
const UNCOUNTED = 3;
/** A set that evicts is to cost at most so many of `Map.set`. */
const BAR = 2;

/** A Map that deletes its oldest key needs so long for each that it is shown once, by fewer of them. */
const TRIMMED = { entries: 100_000, operations: 2 ** 11 };

/** A full cache that is given keys it never met: each is an entry more, and one that leaves. */
export const evict: Suite = {
  ...atEveryScale("evict", (setting, scale) => eviction(setting, scale)),
  "evict-map": trimming,
};

async function eviction(setting: Setting, { entries, ttl, label }: Scale): Promise<CaseResult[]> {
  const plan: Plan = { ...setting.plan, operations: OPERATIONS };
  const fresh = freshKeys(plan, OPERATIONS);
  const stored = keys(0, entries);
  const all = (await rivals(entries, ttl)).filter(({ name }) => name !== BARE_MAP);
  for (const one of all) await fill(one, stored);
  const results: CaseResult[] = [];
  for (const [contender, name, what, from, bar] of [
    [setter, "evict", "setting a new key in a full cache", entries, BAR],
    [mixer, "miss", "reading a new key in vain and setting it, in a full cache", entries + fresh, undefined],
  ] as const) {
    const coming = keys(from, fresh);
    const map = await growing(stored, coming, contender);
    const measured = await interleave([map, ...all.map((one) => contender(one, coming))], plan);
    results.push(caseResult(`${name} ${label}`, what, measured, counts([], bar)));
  }
  await closeAll(all);
  for (const { tally } of all) if (tally.hits > 0) throw new Error("Expected misses only, and a key was there");
  return results;
}

/** What one would write without a library: the key that a Map names first is its oldest. */
async function trimming(setting: Setting): Promise<CaseResult[]> {
  const { entries, operations } = TRIMMED;
  const plan: Plan = { ...setting.plan, operations };
  const stored = keys(0, entries);
  const coming = keys(entries, freshKeys(plan, operations));
  const trimmed = await rival("Map, oldest deleted", trimmedMap(entries));
  const tier = (await rivals(entries, false)).filter(({ name }) => name === TIER);
  const all = [trimmed, ...tier];
  for (const one of all) await fill(one, stored);
  const map = await growing(stored, coming, setter);
  const measured = await interleave([map, ...all.map((one) => setter(one, coming))], plan);
  await closeAll(all);
  return [caseResult("evict 100k, a Map", "setting a new key in a Map that is kept at its size", measured)];
}

function freshKeys({ rounds }: Plan, operations: number): number {
  return (rounds + UNCOUNTED) * operations;
}

/**
 * Maps that grow from half of the keys to as many as there are, one after the other: a Map that only grew would soon be
 * larger than what it is compared with.
 */
async function growing(
  stored: readonly string[],
  coming: readonly string[],
  contender: (one: Rival, keys: readonly string[]) => Contender,
): Promise<Contender> {
  const name = "Map, growing";
  const half = Math.ceil(stored.length / 2);
  const maps: Contender[] = [];
  for (let from = 0; from < coming.length; from += half) {
    const one = await rival(name, bareMap());
    await fill(one, stored.slice(0, half));
    maps.push(contender(one, coming.slice(from, from + half)));
  }
  let done = 0;
  return {
    name,
    async run(operations) {
      for (let left = operations; left > 0;) {
        const within = half - (done % half);
        const now = Math.min(left, within);
        await maps[Math.floor(done / half)]?.run(now);
        done += now;
        left -= now;
      }
    },
  };
}
