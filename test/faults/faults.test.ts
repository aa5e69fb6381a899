import { afterAll, describe, it } from "vitest";

import { runScenario } from "./scenario.js";
import { SCENARIOS } from "./scenarios/index.js";
import { Workers } from "./workers.js";

/** Most of a scenario is waiting, so two share the machine. */
const AT_ONCE = 2;

const workers = new Workers();
afterAll(() => workers.close());

const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
let turns = 0;

function inTurn<T>(run: () => Promise<T>): Promise<T> {
  const lane = turns % AT_ONCE;
  turns += 1;
  const mine = (lanes[lane] as Promise<unknown>).then(run);
  // The failure is its own test's; the next in the lane begins all the same.
  lanes[lane] = mine.catch(() => undefined);
  return mine;
}

/** Every sixth of those that have a small form; all of them with `npm run test:long`, and in full size with `npm run faults`. */
const isLong = process.env["TIERCACHE_LONG"] === "true";
const scenarios = SCENARIOS.filter(({ isOnlyFull = false }) => !isOnlyFull).filter(
  (_, index) => isLong || index % 6 === 0,
);

describe("real processes on a real Redis keep every rule of correctness", () => {
  it.concurrent.for(scenarios)("under $name", { timeout: 180_000 }, async (scenario, { expect }) => {
    const { why } = await inTurn(() => runScenario(scenario, "tiercache", "small", workers));
    expect(why).toEqual([]);
  });
});
