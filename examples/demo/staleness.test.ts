import { describe, expect, it } from "vitest";
import { DELETED, StalenessChecker, type Bounds, type Write } from "./staleness.js";

const BOUNDS: Bounds = { otherWorker: 100, outOfBand: 1_000 };
const ISSUE = 7;

function api(version: number, ackedAt: number, worker = 0): Write {
  return { version, ackedAt, by: "api", worker };
}

function sql(version: number, ackedAt: number): Write {
  return { version, ackedAt, by: "out-of-band", worker: undefined };
}

function checkerWith(...writes: Write[]): StalenessChecker {
  const checker = new StalenessChecker(BOUNDS);
  for (const write of writes) {
    checker.wrote(ISSUE, write);
  }
  return checker;
}

describe("StalenessChecker", () => {
  it("does not check a row it knows no write of", () => {
    const checker = checkerWith(api(2, 10));
    checker.read(8, 1, 20, 1);
    expect([checker.knows(ISSUE), checker.knows(8)]).toEqual([true, false]);
    expect(checker.report()).toMatchObject({ checked: 0, stale: 0 });
  });

  it("finds a read stale that began after the acknowledgement of a newer version, and by how long", () => {
    const checker = checkerWith(api(2, 10));
    checker.read(ISSUE, 1, 25, 1);
    expect(checker.report()).toMatchObject({
      checked: 1,
      stale: 1,
      explained: { outOfBand: 0, withinBound: 1 },
      unexplained: 0,
      largestStalenessMs: 15,
    });
  });

  it("finds nothing stale in a read that began before the acknowledgement, or at it, or was told the newest", () => {
    const checker = checkerWith(api(2, 10));
    checker.read(ISSUE, 1, 9, 1);
    checker.read(ISSUE, 1, 10, 1);
    checker.read(ISSUE, 2, 25, 1);
    expect(checker.report()).toMatchObject({ checked: 3, stale: 0, largestStalenessMs: 0 });
  });

  it("finds nothing stale in an answer newer than any acknowledged write", () => {
    const checker = checkerWith(api(2, 10));
    checker.read(ISSUE, 3, 25, 1);
    expect(checker.report()).toMatchObject({ checked: 1, stale: 0 });
  });

  it("counts from the first version missed, not from the last", () => {
    const checker = checkerWith(api(2, 10), api(3, 50), api(4, 80));
    checker.read(ISSUE, 1, 90, 1);
    expect(checker.report().largestStalenessMs).toBe(80);
    checker.restart(BOUNDS);
    checker.read(ISSUE, 3, 90, 1);
    expect(checker.report().largestStalenessMs).toBe(10);
  });

  it("counts from the earliest acknowledgement when answers came in the other order than versions", () => {
    const checker = checkerWith(api(3, 20), api(2, 40));
    // From 20 on, a version above 1 was known to be committed.
    checker.read(ISSUE, 1, 30, 1);
    expect(checker.report()).toMatchObject({ stale: 1, largestStalenessMs: 10 });
    checker.read(ISSUE, 2, 30, 1);
    expect(checker.report()).toMatchObject({ stale: 2, largestStalenessMs: 10 });
  });

  it("allows the worker that took the write no delay", () => {
    const checker = checkerWith(api(2, 10, 1));
    checker.read(ISSUE, 1, 11, 1);
    expect(checker.report()).toMatchObject({ stale: 1, unexplained: 1, explained: { withinBound: 0 } });
    expect(checker.report().examples[0]).toContain(
      "issue 7: worker 1 answered version 1, 1.0 ms after a write (api, through the same worker)",
    );
  });

  it("allows the other worker its bound and not a moment more", () => {
    const checker = checkerWith(api(2, 10, 0));
    checker.read(ISSUE, 1, 110, 1);
    checker.read(ISSUE, 1, 110.5, 1);
    expect(checker.report()).toMatchObject({
      stale: 2,
      explained: { withinBound: 1 },
      unexplained: 1,
      largestStalenessMs: 100.5,
    });
  });

  it("explains a read that misses nothing but plain SQL's writes until its entry runs out", () => {
    const checker = checkerWith(api(2, 10), sql(3, 20));
    checker.read(ISSUE, 2, 120, 0);
    checker.read(ISSUE, 2, 1_020, 0);
    checker.read(ISSUE, 2, 1_021, 0);
    expect(checker.report()).toMatchObject({
      stale: 3,
      explained: { outOfBand: 2, withinBound: 0 },
      unexplained: 1,
      largestByWriterMs: { api: 0, "out-of-band": 1_001 },
    });
  });

  it("blames the API for a read that misses a write through it, whatever SQL wrote before or after", () => {
    const checker = checkerWith(sql(2, 10), api(3, 500), sql(4, 510));
    checker.read(ISSUE, 1, 520, 1);
    // Its staleness is counted from the API's write: before that nothing had told the cache.
    expect(checker.report()).toMatchObject({
      explained: { outOfBand: 0, withinBound: 1 },
      largestByWriterMs: { api: 20, "out-of-band": 0 },
    });
    checker.read(ISSUE, 1, 499, 1);
    checker.read(ISSUE, 3, 520, 1);
    expect(checker.report()).toMatchObject({ stale: 3, explained: { outOfBand: 2, withinBound: 1 } });
  });

  it("finds a deleted row that is still answered, and a created one that is not", () => {
    const checker = checkerWith(api(1, 10));
    checker.read(ISSUE, 0, 15, 1);
    expect(checker.report()).toMatchObject({ stale: 1, largestStalenessMs: 5 });
    checker.wrote(ISSUE, api(DELETED, 20));
    checker.read(ISSUE, 1, 30, 0);
    expect(checker.report()).toMatchObject({ stale: 2, unexplained: 1 });
    expect(checker.report().examples[0]).toContain("the newest known was its deletion");
  });

  it("adds up: stale is what is explained and what is not", () => {
    const checker = checkerWith(api(2, 0, 0), sql(3, 300));
    for (const [version, startedAt, worker] of [
      [1, 50, 1],
      [1, 50, 0],
      [2, 400, 1],
      [1, 400, 1],
    ] as const) {
      checker.read(ISSUE, version, startedAt, worker);
    }
    const { stale, explained, unexplained } = checker.report();
    expect([stale, explained.outOfBand, explained.withinBound, unexplained]).toEqual([4, 1, 1, 2]);
  });

  it("keeps what it knows of the rows when a new report begins", () => {
    const checker = checkerWith(api(2, 10));
    checker.read(ISSUE, 1, 20, 0);
    checker.restart({ otherWorker: 0, outOfBand: 0 });
    expect(checker.report()).toMatchObject({
      checked: 0,
      stale: 0,
      unexplained: 0,
      largestStalenessMs: 0,
      examples: [],
    });
    checker.read(ISSUE, 1, 20, 1);
    expect(checker.report()).toMatchObject({ checked: 1, unexplained: 1 });
  });

  it("forgets the row written longest ago when it knows too many, and the oldest writes of a row", () => {
    const checker = new StalenessChecker(BOUNDS, 2);
    checker.wrote(1, api(2, 10));
    checker.wrote(2, api(2, 11));
    checker.wrote(1, api(3, 12));
    checker.wrote(3, api(2, 13));
    expect([1, 2, 3].map((row) => checker.knows(row))).toEqual([true, false, true]);
    expect(checker.recent(5)).toEqual([3, 1]);
    for (let version = 4; version < 200; version++) {
      checker.wrote(1, api(version, 100 + version));
    }
    checker.read(1, 1, 299, 1);
    // At least that stale: the writes before the 32 newest are forgotten.
    expect(checker.report()).toMatchObject({ stale: 1, largestStalenessMs: 299 - (100 + 168) });
  });

  it("blames plain SQL for a wrong answer only if it wrote every version missed", () => {
    const checker = checkerWith(sql(2, 10), api(3, 20), sql(4, 30));
    expect(checker.blame(ISSUE, 1, 2)).toBe("out-of-band");
    expect(checker.blame(ISSUE, 3, 4)).toBe("out-of-band");
    expect(checker.blame(ISSUE, 1, 4)).toBe("api");
    // Nobody is known to have written it: the cache's fault until shown otherwise.
    expect(checker.blame(ISSUE, 4, 5)).toBe("api");
    expect(checker.blame(ISSUE, Number.NaN, 4)).toBe("api");
  });
});
