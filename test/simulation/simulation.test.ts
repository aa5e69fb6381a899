import { expect, it } from "vitest";

import { simulate } from "./simulation.js";

/*
 * SIMULATION_RUNS=20000 SIMULATION_SEED=1 npx vitest run test/simulation
 *
 * A failure names its seed: SIMULATION_RUNS=1 SIMULATION_SEED=<seed> plays it again, step by step the same.
 */
const runs = Number(process.env["SIMULATION_RUNS"] ?? 250);
const seed = Number(process.env["SIMULATION_SEED"] ?? 1);

it(
  `keeps every promise in ${runs} schedules from seed ${seed}`,
  async () => {
    const total = { steps: 0, reads: 0, loads: 0, writes: 0 };
    for (let run = 0; run < runs; run += 1) {
      const tally = await simulate(seed + run);
      for (const count of ["steps", "reads", "loads", "writes"] as const) total[count] += tally[count];
    }
    // Schedules in which nothing happens prove nothing.
    for (const count of ["steps", "reads", "loads", "writes"] as const) expect(total[count]).toBeGreaterThan(runs);
  },
  Math.max(20_000, runs * 200),
);

it("plays the same seed the same way", async () => {
  expect(await simulate(seed)).toEqual(await simulate(seed));
});
