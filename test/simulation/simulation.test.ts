import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { drawWeather, WEATHERS } from "./weather.js";
import { Random } from "./random.js";
import { recorded, simulate, type Tally } from "./simulation.js";

/*
 * SIMULATION_RUNS=10 SIMULATION_SEED=1 npx vitest run test/simulation
 *
 * plays ten times as many, from another seed. A failure names its seed and its weather; `npm run simulate:faults` plays it again.
 */
const times = Number(process.env["SIMULATION_RUNS"] ?? (process.env["TIERCACHE_LONG"] === "true" ? 10 : 1));
const seed = Number(process.env["SIMULATION_SEED"] ?? 1);

/**
 * Schedules of each weather, and what must have happened in them: schedules in which nothing happens prove nothing. More
 * of each are played when the mutants are.
 */
const PLAYED: readonly (readonly [weather: string, schedules: number, happened: readonly (keyof Tally)[]])[] = [
  ["mixed", 250, ["locks", "crashes"]],
  ["shards", 50, ["crashes"]],
  ["crashes", 50, ["crashes"]],
  ["locks", 50, ["locks"]],
  ["feed", 50, ["crashes", "early", "takeovers", "forgets"]],
  ["standby", 20, ["early", "takeovers"]],
  ...["partitions", "bounded", "strict", "busy"].map((weather) => [weather, 50, []] as const),
];

describe("the simulation", () => {
  const { stackTraceLimit } = Error;
  beforeAll(() => {
    // Half the time would go into stacks of errors that the caches expect.
    Error.stackTraceLimit = 0;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });

  it.each(PLAYED)(
    "keeps every promise in %s weather",
    async (weather, schedules, happened) => {
      const total: Record<string, number> = {};
      for (let run = 0; run < schedules * times; run += 1) {
        const tally = await simulate(seed + run, weather);
        for (const [name, count] of Object.entries(tally)) total[name] = (total[name] ?? 0) + count;
      }
      for (const name of ["reads", "loads", "writes"]) expect(total[name]).toBeGreaterThan(schedules);
      for (const name of happened) expect(total[name]).toBeGreaterThan(schedules / 10);
    },
    180_000 * Math.max(1, times),
  );

  it("plays the same seed the same way", async () => {
    for (const weather of WEATHERS) expect(await recorded(seed, weather)).toEqual(await recorded(seed, weather));
  });

  it("draws a weather for every name", () => {
    for (const name of WEATHERS) expect(drawWeather(new Random(seed), name).calms).toBeGreaterThan(0);
  });
});
