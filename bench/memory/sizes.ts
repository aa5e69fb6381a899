import type { Setting, Suite } from "../suite.js";
import type { CaseResult } from "../report.js";

/** What a case is run for: so many entries, with a ttl or without. */
export interface Scale {
  readonly entries: number;
  readonly ttl: boolean;
  /** As in `100k, ttl`. */
  readonly label: string;
}

const FEW = 100_000;
const FEWER_ROUNDS = 15;

/** One case for each scale, `hit-100k`, `hit-1m-ttl` and so on: each is a process of its own. */
export function atEveryScale(
  name: string,
  measure: (setting: Setting, scale: Scale) => Promise<readonly CaseResult[]>,
): Suite {
  const cases: Record<string, Suite[string]> = {};
  for (const [size, entries] of [
    ["100k", FEW],
    ["1m", 1_000_000],
  ] as const) {
    for (const ttl of [false, true]) {
      const scale: Scale = { entries, ttl, label: ttl ? `${size}, ttl` : size };
      cases[`${name}-${size}${ttl ? "-ttl" : ""}`] = async (setting) => {
        if (entries <= FEW) return measure(setting, scale);
        // A rough answer does without the large ones, which take their time to be filled; a full one has fewer rounds of them.
        return setting.quick ? [] : measure({ ...setting, plan: { ...setting.plan, rounds: FEWER_ROUNDS } }, scale);
      };
    }
  }
  return cases;
}
