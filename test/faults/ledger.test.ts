import { describe, expect, it } from "vitest";

import { Ledger, olderThan } from "./ledger.js";
import type { Sample, WriteRecord } from "./protocol.js";

const KEY = "item:g0:i0";

function read(version: number, startedAt: number, endedAt: number = startedAt + 1): Sample {
  return { key: KEY, version, startedAt, endedAt };
}

function write(version: number, settledAt: number, error?: string): WriteRecord {
  return { how: "key", rows: [{ key: KEY, version }], sentAt: settledAt - 1, settledAt, error };
}

function judge(
  ...accounts: { process: string; samples?: Sample[]; writes?: WriteRecord[] }[]
): ReturnType<Ledger["judge"]> {
  const ledger = new Ledger();
  for (const { process, samples = [], writes = [] } of accounts) ledger.add({ process, samples, writes });
  return ledger.judge();
}

describe("the ledger", () => {
  it("finds a read that began after its own process's acknowledged write and missed it", () => {
    const judged = judge({ process: "a", samples: [read(1, 11)], writes: [write(2, 10)] });
    expect(judged.ownStale).toEqual([`a read ${KEY} v1 1 ms after its own acknowledged invalidation of v2`]);
  });

  it("holds a process to its own rejected write as well", () => {
    const judged = judge({ process: "a", samples: [read(1, 11)], writes: [write(2, 10, "no answer")] });
    expect(judged.ownStale).toHaveLength(1);
    expect([judged.acked, judged.rejected]).toEqual([0, 1]);
  });

  it("lets a read that began before the acknowledgement end with the old value", () => {
    const judged = judge({ process: "a", samples: [read(1, 9, 50)], writes: [write(2, 10)] });
    expect(judged.ownStale).toEqual([]);
  });

  it("measures how long another process still gave the old value", () => {
    const judged = judge(
      { process: "a", writes: [write(2, 10)] },
      { process: "b", samples: [read(1, 9), read(1, 14), read(2, 15), read(2, 20)] },
    );
    expect(judged.lags).toEqual([4]);
    expect(judged.largestStaleness).toBe(4);
    expect(judged.stalenessOf.get("b")).toBe(4);
  });

  it("asks nothing of other processes after a write that was rejected", () => {
    const judged = judge(
      { process: "a", writes: [write(2, 10, "no answer")] },
      { process: "b", samples: [read(1, 99)] },
    );
    expect(judged.largestStaleness).toBe(0);
  });

  it("finds a read that goes behind an earlier one, and not one that merely overlaps it", () => {
    expect(judge({ process: "a", samples: [read(3, 1, 2), read(2, 3, 4)] }).backwards).toHaveLength(1);
    expect(judge({ process: "a", samples: [read(3, 1, 5), read(2, 3, 4)] }).backwards).toEqual([]);
    expect(
      judge({ process: "a", samples: [read(3, 1, 2)] }, { process: "b", samples: [read(2, 3)] }).backwards,
    ).toEqual([]);
  });

  it("counts rejected reads by what they said, and takes no version from them", () => {
    const failed: Sample = { ...read(-1, 11), error: "the source is down" };
    const judged = judge({ process: "a", samples: [failed, failed], writes: [write(2, 10)] });
    expect(judged.errors).toEqual(new Map([["the source is down", 2]]));
    expect(judged.ownStale).toEqual([]);
  });

  it("expects of everybody what was acknowledged, and what a living process still tries to tell", () => {
    const ledger = new Ledger();
    ledger.add({ process: "a", samples: [], writes: [write(2, 10), write(4, 20, "no answer")] });
    ledger.add({ process: "b", samples: [], writes: [write(3, 15)] });
    expect([ledger.acked(KEY), ledger.tried(KEY), ledger.tried(KEY, new Set(["a"]))]).toEqual([3, 4, 3]);
    expect(olderThan([read(3, 30)], (key) => ledger.tried(key))).toEqual([{ key: KEY, version: 3 }]);
    expect(olderThan([read(3, 30)], (key) => ledger.acked(key))).toEqual([]);
    expect(ledger.acked("another")).toBe(1);
  });
});
