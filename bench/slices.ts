/*
 * CPU time of rivals, measured in one process by turns.
 *
 * A machine that others use too changes its speed by half from one second to the next, so figures of two runs compare
 * the moments and not the programs. Here each contender works for a slice of a few milliseconds and then it is the next
 * one's turn, round after round: whatever slows a round slows all of it, and what is compared is the ratio within a
 * round. CPU time (user and system, all threads of the process) leaves out the time in which somebody else had the core.
 *
 * Between slices the young garbage is collected, unmeasured, so that nobody pays for the garbage of the one before.
 */

/** Something to be measured: `run` does that many operations. */
export interface Contender {
  readonly name: string;
  run(operations: number): void | Promise<void>;
}

export interface Plan {
  readonly rounds: number;
  /** CPU milliseconds of a slice. */
  readonly slice: number;
  /** Operations of a slice; without it, as many as fill `slice`. */
  readonly operations?: number | undefined;
}

/** The middle and both ends of a list of measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Measured {
  readonly name: string;
  readonly operations: number;
  /** CPU microseconds per operation, one for each round. */
  readonly perRound: readonly number[];
}

/** Rounds run and thrown away: the first are the compiler's. */
const WARM_UP = 3;
const MOST_OPERATIONS = 2 ** 24;
const TRIES = 5;

/** Runs the contenders by turns, each round beginning with another one. */
export async function interleave(contenders: readonly Contender[], plan: Plan): Promise<Measured[]> {
  const sizes: number[] = [];
  // The baseline comes last: whoever runs first finds the code that all share (a client, say) not yet used to others.
  for (const contender of contenders.toReversed()) sizes.unshift(plan.operations ?? (await fit(contender, plan.slice)));
  const perRound = contenders.map((): number[] => []);
  for (let round = -WARM_UP; round < plan.rounds; round += 1) {
    for (const turn of order(contenders.length, round + WARM_UP)) {
      const operations = sizes[turn] as number;
      const micros = await cpuMicros(contenders[turn] as Contender, operations);
      if (round >= 0) perRound[turn]?.push(micros / operations);
    }
  }
  return contenders.map(({ name }, index) => ({
    name,
    operations: sizes[index] as number,
    perRound: perRound[index] as number[],
  }));
}

/** The turns of one round: all of them, the first one moving on with each round. */
export function order(count: number, round: number): number[] {
  return Array.from({ length: count }, (_, index) => (index + round) % count);
}

export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("Expected at least one measurement, got none");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** How many times the cost of `base` the cost of `other` is, round by round. */
export function ratios(other: readonly number[], base: readonly number[]): number[] {
  if (other.length !== base.length)
    throw new RangeError(`Expected as many rounds, got ${other.length} and ${base.length}`);
  return other.map((cost, round) => cost / (base[round] as number));
}

/** Doubles the operations until they fill a slice, then judges by the best of a few: the first runs are slow, and so is any that meets a neighbour. */
async function fit(contender: Contender, slice: number): Promise<number> {
  const enough = slice * 1_000;
  for (let operations = 16; ; operations *= 2) {
    let best = Number.POSITIVE_INFINITY;
    // Until it is known to be too short, or has been long each time.
    for (let run = 0; run < TRIES && best > enough / 2; run += 1)
      best = Math.min(best, await cpuMicros(contender, operations));
    if (best > enough / 2 || operations >= MOST_OPERATIONS)
      return Math.max(1, Math.round((operations * enough) / best));
  }
}

async function cpuMicros(contender: Contender, operations: number): Promise<number> {
  globalThis.gc?.({ type: "minor", execution: "sync" });
  const before = process.cpuUsage();
  const running = contender.run(operations);
  if (running !== undefined) await running;
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
