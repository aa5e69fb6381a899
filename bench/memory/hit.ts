import { zipf } from "../core/workload.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Suite, Setting } from "../suite.js";
import { builtReader, closeAll, counts, fill, reader, rivals } from "./contend.js";
import { keys } from "./keys.js";
import { atEveryScale, type Scale } from "./sizes.js";

const DRAWS = 2 ** 20;
/** A hit's rate is to be 0.60 of a Map's, with ttl and statistics 0.55. */
const BAR = { plain: 1.67, ttl: 1.82 };

/** Reading what is there, drawn by Zipf's law from all of it. */
export const hit: Suite = atEveryScale("hit", measure);

async function measure({ plan }: Setting, { entries, ttl, label }: Scale): Promise<CaseResult[]> {
  const stored = keys(0, entries);
  const all = await rivals(entries, ttl);
  for (const one of all) await fill(one, stored);
  const ranks = zipf(entries, DRAWS);
  const draws = Array.from(ranks, (rank) => stored[rank] as string);
  const known = await interleave(
    all.map((one) => reader(one, draws)),
    plan,
  );
  const built = await interleave(
    all.map((one) => builtReader(one, ranks)),
    plan,
  );
  await closeAll(all);
  const counted = counts(all, ttl ? BAR.ttl : BAR.plain);
  return [
    caseResult(`hit ${label}`, "reading a key that is there, its text at hand and its hash known", known, counted),
    caseResult(
      `hit ${label}, key put together`,
      "the same, the key's text made of an id for each read",
      built,
      counted,
    ),
  ];
}
