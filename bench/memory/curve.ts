import { zipf } from "../core/workload.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Plan } from "../slices.js";
import type { Setting } from "../suite.js";
import { closeAll, counts, fill, mixer, reader, rival, type Rival } from "./contend.js";
import { keys } from "./keys.js";
import { storeOf, tierOf, TIER } from "./stores.js";

const OPERATIONS = 2 ** 14;
const UNCOUNTED = 3;
/** Keys for each entry that the cache may hold. */
const POPULATION = 10;
/** Draws before those that are measured, for each entry. */
const SETTLING = 3;
const SIZES = [
  ["1k", 1_000],
  ["10k", 10_000],
  ["100k", 100_000],
] as const;
/** With the curve, a read is to cost at most so many of one without. */
const BAR = 1.05;

/** The tier with its miss-ratio curve, and without: on hits alone, and on reads by Zipf's law that set what was not there. */
export async function curve(setting: Setting): Promise<CaseResult[]> {
  const plan: Plan = { ...setting.plan, operations: OPERATIONS };
  const results: CaseResult[] = [];
  for (const [label, entries] of SIZES) results.push(await hits(plan, entries, label), await mix(plan, entries, label));
  return results;
}

async function hits(plan: Plan, entries: number, label: string): Promise<CaseResult> {
  const stored = keys(0, entries);
  const draws = Array.from(zipf(entries, 2 ** 20), (rank) => stored[rank] as string);
  const all = await both(entries);
  for (const one of all) await fill(one, stored);
  const measured = await interleave(
    all.map((one) => reader(one, draws)),
    plan,
  );
  await closeAll(all);
  return caseResult(`curve ${label}, hits`, "reading a key that is there", measured, counts(all, BAR));
}

async function mix(plan: Plan, entries: number, label: string): Promise<CaseResult> {
  const all = await both(entries);
  const population = keys(0, entries * POPULATION);
  const settling = entries * SETTLING;
  const ranks = zipf(population.length, settling + (plan.rounds + UNCOUNTED) * OPERATIONS);
  const draws = Array.from(ranks, (rank) => population[rank] as string);
  for (const one of all) await mixer(one, draws.slice(0, settling)).run(settling);
  const measured = await interleave(
    all.map((one) => mixer(one, draws.slice(settling))),
    plan,
  );
  await closeAll(all);
  const what = `reading by Zipf's law over ${POPULATION} times the keys, and setting what was not there`;
  return caseResult(`curve ${label}, zipf`, what, measured, counts(all, BAR));
}

/** Of the same seed: both hash the keys alike, and sample the same ones. */
async function both(entries: number): Promise<Rival[]> {
  return Promise.all(
    [false, true].map((isOn) =>
      rival(
        isOn ? `${TIER}, with the curve` : "without the curve",
        storeOf(tierOf(entries, { curve: isOn, random: seeded() }), undefined),
      ),
    ),
  );
}

function seeded(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}
