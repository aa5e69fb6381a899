import { beforeEach, describe, expect, it } from "vitest";
import { createCache, type Cache, type Counter, type CounterOptions } from "../index.js";
import { FakeClock, MemoryJournal, MemorySource, type JournalCall, type SourceStep } from "../testing/index.js";

let clock: FakeClock;
let cache: Cache;
let journal: MemoryJournal;
let source: MemorySource;

beforeEach(() => {
  clock = new FakeClock();
  cache = createCache({ clock });
  journal = new MemoryJournal({ clock });
  source = new MemorySource();
});

function counter(options: Partial<CounterOptions> = {}, schedules: Schedules = {}): Counter<string> {
  return cache.counter<string>("hits", {
    journal: journal.journal(schedules.journal),
    sink: source.sink(schedules.source),
    ...options,
  });
}

interface Schedules {
  readonly journal?: (call: JournalCall) => void | Promise<void>;
  readonly source?: (step: SourceStep) => void | Promise<void>;
}

describe("a counter", () => {
  it("is what is stored and what is pending", async () => {
    const hits = counter({ flushEvery: "1s" });
    await Promise.all([hits.increment("a"), hits.increment("a", 4), hits.increment("b", 2)]);
    expect([await hits.get("a"), await hits.get("b"), await hits.get("c")]).toEqual([5, 2, 0]);
    expect(source.row("a")).toBeUndefined();
    await clock.advance(1_000);
    expect(source.row("a")?.count).toBe(5);
    expect([await hits.get("a"), await hits.get("b")]).toEqual([5, 2]);
  });

  it("counts an increment once that is tried again under its name", async () => {
    const hits = counter();
    await hits.increment("a", 3, { opId: "mine" });
    await hits.increment("a", 3, { opId: "mine" });
    await hits.flush();
    await hits.increment("a", 3, { opId: "mine" });
    expect(await hits.get("a")).toBe(3);
  });

  it("is right at every step of a flush", async () => {
    const reader = counter({ flushEvery: "1h" });
    const seen: number[] = [];
    const look = async (): Promise<void> => {
      seen.push(await reader.get("a"));
    };
    // Another process, which stops at each step until the reader has read.
    const other = createCache({ clock }).counter<string>("hits", {
      journal: journal.journal(look),
      sink: source.sink(look),
      maxBatch: 2,
      flushEvery: "1h",
    });
    for (let n = 0; n < 5; n++) await reader.increment("a", 10);
    await other.flush();
    expect(source.row("a")?.count).toBe(50);
    expect(seen.length).toBeGreaterThan(20);
    expect(new Set(seen)).toEqual(new Set([50]));
  });

  it("is read again when it is flushed between its two readings", async () => {
    let between: () => Promise<void> = () => Promise.resolve();
    const hits = counter(
      { flushEvery: "1h" },
      {
        source: async (step) => {
          const now = between;
          if (step !== "read") return;
          between = () => Promise.resolve();
          await now();
        },
      },
    );
    await hits.increment("a", 7);
    between = () => hits.flush();
    expect(await hits.get("a")).toBe(7);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", 2 ** 41])(
    "is not incremented by %s",
    async (by) => {
      await expect(counter().increment("a", by as number)).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    },
  );

  it("is incremented by less than nothing where that was said", async () => {
    const hits = counter({ signed: true });
    await hits.increment("a", -5);
    expect(await hits.get("a")).toBe(-5);
    await expect(hits.increment("a", 0)).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
  });

  it("refuses wrong options by name", () => {
    expect(() => counter({ sink: {} as never })).toThrow(/`sink`/);
    expect(() => counter({ journal: undefined as never })).toThrow(/`journal`/);
    expect(() => counter({ signed: 1 as never })).toThrow(/`signed`/);
    expect(() => cache.counter("", { journal: journal.journal(), sink: source.sink() })).toThrow(/`name`/);
  });
});
