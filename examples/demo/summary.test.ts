import { describe, expect, it } from "vitest";
import { Histogram } from "./histogram.js";
import { addCounters, NO_COUNTERS, subtractCounters, type WorkerCounters } from "./messages.js";
import type { PhaseResult } from "./phase.js";
import {
  brokenPromises,
  formatSummary,
  formatTable,
  hitRatios,
  milliseconds,
  percent,
  settingsOf,
  summarizePhase,
  whole,
  type PhaseSummary,
  type Summary,
} from "./summary.js";
import { parseFlags } from "./flags.js";

const NOT_STALE: PhaseResult["stale"] = {
  checked: 400,
  stale: 0,
  explained: { outOfBand: 0, withinBound: 0 },
  unexplained: 0,
  largestStalenessMs: 0,
  largestByWriterMs: { api: 0, "out-of-band": 0 },
  examples: [],
};

function result(changes: Partial<PhaseResult> = {}, counters: Partial<WorkerCounters> = {}): PhaseResult {
  const latency = new Histogram();
  for (let ms = 1; ms <= 100; ms++) {
    latency.record(ms);
  }
  return {
    seconds: 4,
    warmUpSeconds: 2,
    requests: 1_000,
    writes: 20,
    outOfBandWrites: 5,
    errors: 0,
    errorMessages: [],
    latency,
    counters: {
      ...NO_COUNTERS,
      sourceQueries: 250,
      cpuMs: 3_456,
      gets: 900,
      memoryHits: 600,
      sharedHits: 180,
      misses: 120,
      coalesced: 7,
      ...counters,
    },
    feed: ["leader", "standby"],
    bounds: { otherWorker: 2_000, outOfBand: 2_000 },
    stale: NOT_STALE,
    wrongAfterQuiet: { checked: 50, api: 0, outOfBand: 0 },
    ...changes,
  };
}

function summaryOf(
  without: PhaseSummary,
  cached: PhaseSummary | null,
  sharedTier: Summary["settings"]["sharedTier"] = "redis",
): Summary {
  return { schemaVersion: 1, settings: settingsOf(parseFlags([]), 2, sharedTier, 0), without, with: cached };
}

describe("summarizePhase", () => {
  it("gives rates, percentiles and ratios of the phase", () => {
    const phase = summarizePhase(result(), true);
    expect(phase).toMatchObject({
      requestsPerSecond: 250,
      sourceQueriesPerRequest: 0.25,
      hitRatio: { memory: 0.6667, shared: 0.2, source: 0.1333 },
      coalescedLoads: 7,
      workerCpuSeconds: 3.46,
      writes: { api: 20, outOfBand: 5 },
    });
    expect(phase.latencyMs.p50 / 50).toBeCloseTo(1, 1);
    expect(phase.latencyMs.p95 / 95).toBeCloseTo(1, 1);
    expect(phase.latencyMs.max).toBe(100);
  });

  it("has no hit ratio without a cache, and divides nothing by zero", () => {
    const phase = summarizePhase(result({ requests: 0, latency: new Histogram() }, NO_COUNTERS), false);
    expect(phase).toMatchObject({
      hitRatio: null,
      requestsPerSecond: 0,
      sourceQueriesPerRequest: 0,
      latencyMs: { p50: 0, max: 0 },
    });
    expect(hitRatios(NO_COUNTERS)).toEqual({ memory: 0, shared: 0, source: 0 });
  });

  it("counts a stale answer of the cache as the memory's", () => {
    expect(hitRatios({ ...NO_COUNTERS, gets: 10, memoryHits: 4, staleHits: 1, sharedHits: 2, misses: 3 })).toEqual({
      memory: 0.5,
      shared: 0.2,
      source: 0.3,
    });
  });
});

describe("brokenPromises", () => {
  const good = summarizePhase(result(), true);

  it("is empty when all held, with answers that were stale within the bound", () => {
    const stale = { ...NOT_STALE, stale: 9, explained: { outOfBand: 6, withinBound: 3 } };
    expect(
      brokenPromises(summaryOf(good, { ...good, stale, wrongAfterQuiet: { checked: 9, api: 0, outOfBand: 0 } })),
    ).toEqual([]);
    expect(brokenPromises(summaryOf(good, null))).toEqual([]);
  });

  it("names each that did not", () => {
    const bad: PhaseSummary = {
      ...good,
      errors: 2,
      errorMessages: ["GET /x: status 500"],
      stale: { ...NOT_STALE, stale: 1, unexplained: 1, examples: ["issue 7: …"] },
      wrongAfterQuiet: { checked: 9, api: 3, outOfBand: 4 },
    };
    expect(brokenPromises(summaryOf(good, bad))).toEqual([
      "with the cache: 2 requests failed (GET /x: status 500)",
      "with the cache: 1 stale reads beyond the bound; issue 7: …",
      "with the cache: 3 answers still miss a write through the API after a rest",
      "with the cache: 4 answers still miss a write past the API after a rest",
    ]);
    expect(brokenPromises(summaryOf(bad, good))).toHaveLength(4);
  });
});

describe("formatSummary", () => {
  it("puts both phases side by side and says what they show", () => {
    const text = formatSummary(
      summaryOf(
        summarizePhase(result({}, { sourceQueries: 1_000 }), false),
        summarizePhase(result({ requests: 5_000 }), true),
      ),
    );
    const line = (label: string): string => text.split("\n").find((found) => found.startsWith(label)) ?? "";
    expect(line("requests/s").split(/\s{2,}/)).toEqual(["requests/s", "250", "1,250"]);
    expect(line("answered from memory").split(/\s{2,}/)).toEqual(["answered from memory", "-", "66.7 %"]);
    expect(text).toContain("5.0 times the requests per second with 5.0 % of the queries per request");
    expect(text).toContain("(one worker reads it, the other stands by)");
    expect(text).toContain("for 2000 ms at the most");
    expect(
      new Set(
        text
          .split("\n")
          .slice(0, 20)
          .map((found) => found.length),
      ).size,
    ).toBe(1);
  });

  it.each([
    ["redis", "answered from Redis", undefined],
    ["host", "answered from the host tier", "two workers that share a host tier"],
    [null, "answered from Redis", "one worker with its memory tier only"],
  ] as const)("says which tier was shared: %s", (sharedTier, label, remark) => {
    const phase = summarizePhase(result(), true);
    const text = formatSummary(summaryOf(phase, phase, sharedTier));
    expect(text).toContain(`\n${label} `);
    expect(text.includes("No Redis")).toBe(remark !== undefined);
    expect(text).toContain(remark ?? "");
  });

  it("has one column without the cache", () => {
    const text = formatSummary(summaryOf(summarizePhase(result(), false), null));
    expect(text).not.toContain("with cache");
    expect(text).toContain("without cache");
  });
});

it("adds and subtracts counters field by field", () => {
  const a = { ...NO_COUNTERS, gets: 5, cpuMs: 1.5 };
  const b = { ...NO_COUNTERS, gets: 2, coalesced: 1 };
  expect(addCounters(a, b)).toEqual({ ...NO_COUNTERS, gets: 7, cpuMs: 1.5, coalesced: 1 });
  expect(subtractCounters(addCounters(a, b), b)).toEqual(a);
});

it("writes figures for people", () => {
  expect([
    whole(1_234_567.6),
    percent(0.12345),
    milliseconds(1.234),
    milliseconds(321.4),
    milliseconds(12_345),
  ]).toEqual(["1,234,568", "12.3 %", "1.23 ms", "321 ms", "12.3 s"]);
  expect(
    formatTable([
      ["a", "10"],
      ["long", "9"],
    ]),
  ).toBe("a     10\nlong   9");
});
