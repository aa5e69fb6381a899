import { zipf } from "../core/workload.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Plan } from "../slices.js";
import type { Setting, Suite } from "../suite.js";
import { closeAll, counts, fill, mixer, rivals } from "./contend.js";
import { key } from "./keys.js";
import { atEveryScale, type Scale } from "./sizes.js";
import { BARE_MAP } from "./stores.js";

const OPERATIONS = 2 ** 13;
const UNCOUNTED = 3;
/** Keys for each entry that the cache may hold. */
const POPULATION = 10;
/** Draws before those that are measured, for each entry: the full cache has settled by then. */
const SETTLING = 1.5;

/** What a service does: reads by Zipf's law over ten times the keys that fit, and sets what was not there. */
export const zipfMix: Suite = atEveryScale("zipf", measure);

async function measure(setting: Setting, { entries, ttl, label }: Scale): Promise<CaseResult[]> {
  const plan: Plan = { ...setting.plan, operations: OPERATIONS };
  const settling = Math.ceil(entries * SETTLING);
  const all = await rivals(entries, ttl);
  const keyOf = keysOnDemand();
  const ranks = zipf(entries * POPULATION, settling + (plan.rounds + UNCOUNTED) * OPERATIONS);
  const draws = Array.from(ranks, keyOf);
  // Full from the start: the keys that come least first.
  const first = Array.from({ length: entries }, (_, index) => keyOf(entries - 1 - index));
  for (const one of all) {
    await fill(one, first);
    await mixer(one, draws.slice(0, settling)).run(settling);
    one.tally.reads = 0;
    one.tally.hits = 0;
  }
  const measured = await interleave(
    all.map((one) => mixer(one, draws.slice(settling))),
    plan,
  );
  await closeAll(all);
  const what = `reading by Zipf's law over ${POPULATION} times the keys, and setting what was not there`;
  const result = caseResult(`zipf ${label}`, what, measured, counts(all, undefined));
  return [{ ...result, contenders: result.contenders.map(mapIsUnbounded) }];
}

function mapIsUnbounded<T extends { readonly name: string }>(one: T): T {
  return one.name === BARE_MAP ? { ...one, name: `${BARE_MAP}, unbounded` } : one;
}

/** Most of the ten times the keys are never drawn. */
function keysOnDemand(): (rank: number) => string {
  const made = new Map<number, string>();
  return (rank) => {
    let text = made.get(rank);
    if (text === undefined) made.set(rank, (text = key(rank)));
    return text;
  };
}
