import { describe, expect, it } from "vitest";

import { occurrences, playCopy } from "./mutate.js";
import { MUTANTS } from "./mutants.js";

/**
 * Schedules of each weather that the product must pass, and in which its mutants must fail. They fail within a half of
 * them; the rest is for changes that lead to other schedules.
 */
const SCHEDULES: Readonly<Record<string, number>> = {
  bounded: 150,
  busy: 50,
  calls: 100,
  failover: 150,
  feed: 150,
  fair: 500,
  joins: 300,
  leases: 200,
  pushes: 400,
  refusals: 300,
  server: 100,
  shards: 150,
  skew: 100,
  standby: 50,
  strict: 300,
  writers: 200,
};

const isLong = process.env["TIERCACHE_LONG"] === "true";
/**
 * Weathers whose schedules the product itself is seen to pass here, copied and run the way its mutants are: a mutant that is
 * caught proves something only then. All of them take minutes: `npm run mutations`.
 */
const AS_IT_IS = isLong ? Object.keys(SCHEDULES) : ["busy"];
/** Of the mutants every sixth; all of them in the long run. */
const PLAYED = isLong ? MUTANTS : MUTANTS.filter((_, index) => index % 6 === 0);

/** Milliseconds for each; on an idle machine the longest takes some seconds. */
const PATIENCE = 120_000;
/** Copies at once, one for each core of a small machine. */
const TOGETHER = 2;

/** Runs no more than so many at a time. */
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  const lanes = Array.from({ length: TOGETHER }, () => Promise.resolve() as Promise<unknown>);
  let next = 0;
  return (work) => {
    const lane = next++ % TOGETHER;
    const result = (lanes[lane] as Promise<unknown>).then(work);
    lanes[lane] = result.catch(() => undefined);
    return result;
  };
}

describe("the simulation notices", () => {
  const inTurn = turns();

  it.each(MUTANTS)("$name: its place in the source is known", async (mutant) => {
    expect(await occurrences(mutant)).toBe(1);
  });

  it.concurrent.each(PLAYED)(
    "when $name",
    async (mutant) => {
      const { broken } = await inTurn(() => playCopy(mutant.weather, SCHEDULES[mutant.weather] as number, mutant));
      expect(broken).toBeDefined();
    },
    PATIENCE * MUTANTS.length,
  );

  it.concurrent.each(AS_IT_IS)(
    "nothing in the product as it is, in %s weather",
    async (weather) => {
      const { broken } = await inTurn(() => playCopy(weather, SCHEDULES[weather] as number));
      expect(broken).toBeUndefined();
    },
    PATIENCE * MUTANTS.length,
  );
});
