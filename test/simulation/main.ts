import { parseArgs } from "node:util";

import { recorded, simulate, Violation, type Tally } from "./simulation.js";
import { WEATHERS } from "./weather.js";

const USAGE = `Usage: npm run simulate:faults -- [--seed 1] [--schedules 1000] [--weather mixed] [--trace]

Plays schedules from that seed on; the first that breaks a promise is printed, and the exit code is 1.
--trace prints the story of each schedule, broken or not.
Weathers: ${WEATHERS.join(", ")}`;

/** Milliseconds between two lines of progress. */
const PROGRESS = 5_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: "1" },
      schedules: { type: "string", default: "1000" },
      weather: { type: "string", default: "mixed" },
      trace: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { weather, trace } = values;
  const [seed, schedules] = [Number(values.seed), Number(values.schedules)];
  const isUsable = Number.isInteger(seed) && Number.isInteger(schedules) && schedules > 0 && WEATHERS.includes(weather);
  if (values.help || !isUsable) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  return play(seed, schedules, weather, trace);
}

async function play(seed: number, schedules: number, weather: string, trace: boolean): Promise<number> {
  // Half the time would go into stacks of errors that the caches expect; they cross no interface of the simulation.
  Error.stackTraceLimit = 0;
  const began = performance.now();
  const total: Record<string, number> = {};
  let told = began;
  for (let played = 0; played < schedules; played += 1) {
    if (trace) {
      const { error, story } = await recorded(seed + played, weather);
      console.log(`seed ${seed + played}\n${story}`);
      if (error !== undefined) return 1;
    } else {
      const tally = await tallied(seed + played, weather);
      if (tally === undefined) return 1;
      for (const [name, count] of Object.entries(tally)) {
        const before = total[name] ?? 0;
        total[name] = name === "stalest" ? Math.max(before, count) : before + count;
      }
    }
    if (performance.now() - told < PROGRESS) continue;
    told = performance.now();
    console.error(`${played + 1} of ${schedules} schedules`);
  }
  const took = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(`${schedules} schedules of ${weather} weather from seed ${seed} in ${took} s: ${JSON.stringify(total)}`);
  return 0;
}

async function tallied(seed: number, weather: string): Promise<Tally | undefined> {
  try {
    return await simulate(seed, weather);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    console.log(error.message);
    return undefined;
  }
}

process.exitCode = await main();
