import { describe, expect, it } from "vitest";
import { Flushing, LOG, operation, type Variant } from "../../test/support/flushing.js";
import type { JournalLog } from "./journal.js";

/** Increments and writes of three keys; two to a batch make three batches. */
const OPERATIONS = [
  operation("a1", "a", { by: 3 }),
  operation("b1", "b", { kind: "put", value: { n: 1 } }),
  operation("a2", "a", { by: 4 }),
  operation("b2", "b", { kind: "delete" }),
  operation("c1", "c", { kind: "put", value: { n: 5 } }),
  operation("b3", "b", { kind: "put", value: { n: 2 } }),
];

/** Acknowledges a batch when it is taken. */
const TAKE_THEN_UPDATE: Variant = {
  log: (log: JournalLog): JournalLog => ({
    ...log,
    async seal(request) {
      const batch = await log.seal(request);
      if (batch !== undefined) await log.settle({ ...batch, rejected: [] });
      return batch;
    },
    settle: () => Promise.resolve(true),
  }),
};

/** Applies without noting what. */
const UPDATE_THEN_DECREMENT: Variant = {
  sink: (sink) => ({
    async apply(batch) {
      // A name of its own each time: the source never knows of a batch before.
      notes += 1;
      const outcome = await sink.apply({ ...batch, name: `${batch.name}${notes}`, seq: 1 });
      return { ...outcome, outcome: "applied", generation: batch.generation, seq: batch.seq, rejected: [], merged: [] };
    },
  }),
};
let notes = 0;

/** How many steps a process takes that flushes everything alone. */
async function stepsOfAll(): Promise<number> {
  const world = new Flushing();
  await world.append(...OPERATIONS);
  const alone = world.process();
  alone.begin();
  await alone.advance(10_000);
  expect(world.wrongs(OPERATIONS)).toEqual([]);
  return alone.steps;
}

async function world(variant?: Variant): Promise<Flushing> {
  const made = new Flushing(variant);
  await made.append(...OPERATIONS);
  return made;
}

/** Killed before each of its steps, and started again. */
async function killedOnce(variant?: Variant): Promise<readonly string[]> {
  const wrongs: string[] = [];
  for (let at = 0, steps = await stepsOfAll(); at <= steps; at++) {
    const here = await world(variant);
    const first = here.process();
    first.begin();
    await first.advance(at);
    await first.kill();
    await here.finish();
    wrongs.push(...here.wrongs(OPERATIONS).map((wrong) => `killed before step ${at}: ${wrong}`));
  }
  return wrongs;
}

/** Two at once: each pair of steps at which one stops and the other goes on, with every choice of who is killed there. */
async function twoAtOnce(variant?: Variant): Promise<{ readonly runs: number; readonly wrongs: readonly string[] }> {
  const wrongs: string[] = [];
  let runs = 0;
  const steps = await stepsOfAll();
  for (let at = 0; at <= steps; at++) {
    for (let other = 0; other <= steps; other++) {
      for (const killed of ["none", "first", "second"] as const) {
        runs += 1;
        const here = await world(variant);
        const [first, second] = [here.process(), here.process()];
        first.begin();
        await first.advance(at);
        second.begin();
        await second.advance(other);
        if (killed === "first") await first.kill();
        if (killed === "second") await second.kill();
        // Whoever waits for the other's transaction gets on when that is over.
        for (const process of [first, second, first, second]) await process.advance(10_000);
        await here.finish();
        wrongs.push(...here.wrongs(OPERATIONS).map((wrong) => `${at}/${other}/${killed}: ${wrong}`));
      }
    }
  }
  return { runs, wrongs };
}

/** The journal is set back to what it was at one step while the process stands at another, and dies there or goes on. */
async function rolledBack(): Promise<{ readonly runs: number; readonly wrongs: readonly string[] }> {
  const wrongs: string[] = [];
  let runs = 0;
  const steps = await stepsOfAll();
  for (let saved = 0; saved <= steps; saved++) {
    for (let at = saved; at <= steps; at++) {
      for (const killed of [true, false]) {
        runs += 1;
        const here = await world();
        const first = here.process();
        first.begin();
        await first.advance(saved);
        const restore = here.journal.snapshot();
        await first.advance(at - saved);
        restore();
        if (killed) await first.kill();
        // What is written after it went back is in it like anything else.
        const late = operation("late", "a", { by: 100 });
        await here.append(late);
        // Another at once with the one that slept through it.
        const second = here.process();
        second.begin();
        await second.advance(at % 7);
        for (const process of [first, second, first, second]) await process.advance(10_000);
        await here.finish();
        wrongs.push(...here.wrongs([...OPERATIONS, late]).map((wrong) => `${saved}/${at}/${killed}: ${wrong}`));
      }
    }
  }
  return { runs, wrongs };
}

describe("a flush that is killed", () => {
  it("applies each operation once, before whichever step it dies", async () => {
    expect(await killedOnce()).toEqual([]);
  });

  it(
    "applies each operation once with two at a time, whoever stops where and whoever dies",
    { timeout: 120_000 },
    async () => {
      const { runs, wrongs } = await twoAtOnce();
      expect(wrongs).toEqual([]);
      expect(runs).toBeGreaterThan(3_000);
    },
  );

  it("needs no memory of more than the last batch for that", { timeout: 120_000 }, async () => {
    expect((await twoAtOnce({ remembered: 0 })).wrongs).toEqual([]);
  });

  it("applies each operation once when the journal goes back to any earlier state", { timeout: 120_000 }, async () => {
    const { runs, wrongs } = await rolledBack();
    expect(wrongs).toEqual([]);
    expect(runs).toBeGreaterThan(1_000);
  });

  it("leaves rows as the last write in order made them", async () => {
    const here = await world();
    await here.finish();
    expect(here.source.row("b")?.value).toEqual({ n: 2 });
    expect(here.source.row("a")?.count).toBe(7);
  });

  it("tells that the journal went back, and that the source did", async () => {
    const here = await world();
    const restore = here.journal.snapshot();
    await here.finish();
    restore();
    const later = here.process();
    later.begin();
    await later.advance(10_000);
    expect(later.events).toContainEqual({ type: "rewound", name: LOG, what: "journal" });

    const back = here.source.snapshot();
    await here.append(operation("a3", "a", { by: 1 }));
    await here.finish();
    back();
    await here.append(operation("a4", "a", { by: 1 }));
    const last = here.process();
    last.begin();
    await last.advance(10_000);
    expect(last.events).toContainEqual({ type: "rewound", name: LOG, what: "source" });
    expect(here.wrongs([...OPERATIONS, operation("a4", "a", { by: 1 })])).toEqual([]);
  });
});

describe("the proof", () => {
  it("notices a batch that is acknowledged when it is taken: operations are lost", async () => {
    const wrongs = await killedOnce(TAKE_THEN_UPDATE);
    expect(wrongs.some((wrong) => wrong.endsWith("applied 0 times"))).toBe(true);
  });

  it("notices a batch that is applied without a note: operations are doubled", async () => {
    const wrongs = await killedOnce(UPDATE_THEN_DECREMENT);
    expect(wrongs.some((wrong) => wrong.endsWith("applied 2 times"))).toBe(true);
  });
});
