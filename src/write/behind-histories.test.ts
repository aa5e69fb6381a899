import { describe, expect, it } from "vitest";
import { Flushing, operation, type Process } from "../../test/support/flushing.js";
import { Random } from "../../test/simulation/random.js";
import type { JournalOperation } from "./journal.js";

const KEYS = ["a", "b", "c"];
const EVENTS = 40;

/** What happened in one history: everything, by chance. */
async function history(seed: number): Promise<{ readonly wrongs: readonly string[]; readonly restored: number }> {
  const random = new Random(seed);
  const here = new Flushing();
  const written: JournalOperation[] = [];
  let processes: Process[] = [];
  let restore: (() => void) | undefined;
  let restored = 0;
  const write = (): JournalOperation => {
    const key = random.pick(KEYS);
    const one = operation(
      `op${written.length}`,
      key,
      random.chance(0.5) ? { by: 1 + random.below(9) } : { kind: "put", value: written.length },
    );
    written.push(one);
    return one;
  };
  for (let event = 0; event < EVENTS; event++) {
    const what = random.weighted([4, 3, 8, 1, 1, 1, 1]);
    const process = processes[random.below(processes.length)];
    if (what === 0) await here.append(...Array.from({ length: 1 + random.below(4) }, write));
    else if (what === 1 && processes.length < 3) {
      const begun = here.process(1 + random.below(4));
      begun.begin();
      processes.push(begun);
    } else if (what === 2) await process?.advance(1 + random.below(30));
    else if (what === 3 && process !== undefined) {
      await process.kill();
      processes = processes.filter((other) => other !== process);
    } else if (what === 4) restore = here.journal.snapshot();
    else if (what === 5 && restore !== undefined) {
      restore();
      restored += 1;
    }
    // Whoever cannot know whether the journal still has a write of his writes it again, under its name.
    else if (what === 6 && written.length > 0) await here.append(random.pick(written));
  }
  for (const process of [...processes, ...processes]) await process.advance(10_000);
  await here.append(...written);
  // One flush takes what was there when it began.
  await here.finish();
  await here.finish();
  return { wrongs: here.wrongs(written).map((wrong) => `seed ${seed}: ${wrong}`), restored };
}

describe("histories of writers, flushers, deaths and journals that go back", () => {
  it("end with each operation applied once", { timeout: 120_000 }, async () => {
    const wrongs: string[] = [];
    let restored = 0;
    for (let seed = 1; seed <= 1_500; seed++) {
      const one = await history(seed);
      wrongs.push(...one.wrongs);
      restored += one.restored;
    }
    expect(wrongs).toEqual([]);
    expect(restored).toBeGreaterThan(500);
  });
});
