import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { asMarkdown, scaleTables } from "../bench/scale/tables.js";
import { loadOf, mostKeys, type Layout } from "../bench/scale/model.js";
import { simulateCell } from "../bench/scale/simulation.js";
import type { Units } from "../bench/scale/units.js";

const page = readFileSync("docs/scale.md", "utf8");

/** Costs that are easily added up by hand. */
const UNITS: Units = {
  append: 100,
  appendKey: 1,
  deliver: 10,
  deliverKey: 0.1,
  apply: 20,
  applyKey: 0.5,
  read: 50,
  readTogether: 2,
};
const LAYOUT: Layout = {
  processes: 100,
  masters: 2,
  keysPerSecond: 1_000,
  keysPerRecord: 1,
  perSubscription: 1,
  cells: 1,
  heartbeat: 500,
};

describe("docs/scale.md", () => {
  it.each(scaleTables().map((table) => [table.name, table] as const))(
    "has the table of %s as it is computed",
    (_, table) => {
      expect(page).toContain(asMarkdown(table));
    },
  );
});

describe("the model of scale", () => {
  it("adds up what a record costs its master, its subscribers and the heartbeats", () => {
    expect(loadOf(LAYOUT, UNITS)).toEqual({
      masterCores: (500 * (100 + 100 * 10)) / 1e6,
      heartbeatCores: (100 * 50) / 500_000,
      processCores: (1_000 * 20) / 1e6,
      recordsHeard: 1_000,
      fanOut: 1,
    });
  });

  it("has cells share nothing, and a relay pay for what it hands on", () => {
    const load = loadOf({ ...LAYOUT, cells: 2, perSubscription: 10 }, UNITS);
    expect(load.masterCores).toBeCloseTo((500 * (100 + 5 * 10)) / 1e6, 12);
    expect(load.processCores).toBeCloseTo((500 * (20 + 10)) / 1e6, 12);
  });

  it("names the rate at which the first of its parts has no more to give", () => {
    const most = mostKeys(LAYOUT, UNITS, { master: 0.5, process: 0.1 });
    const { masterCores, processCores } = loadOf({ ...LAYOUT, keysPerSecond: most }, UNITS);
    expect(Math.max(masterCores / 0.5, processCores / 0.1)).toBeCloseTo(1, 9);
  });
});

describe("the simulation of one cell", () => {
  const options = { subscriptions: 100, keysPerRecord: 1, busy: 0, slice: 0, seed: 1 };

  it("has nothing wait while records come one by one: append, deliveries, apply", () => {
    const lag = simulateCell({ ...options, recordsPerSecond: 0.001, records: 200 }, UNITS);
    expect(lag.most).toBeCloseTo((100 + 100 * 10 + 20) / 1e3, 6);
    expect(lag.p50).toBeLessThan(lag.most);
  });

  it("waits as a queue of one server with a fixed time does (Pollaczek and Khinchine)", () => {
    // One subscription at 80 % of a master that needs 110 µs a record: mean wait ρ/(2μ(1 − ρ)) = 220 µs beside the work itself.
    const perSecond = 0.8 / 110e-6;
    const units = { ...UNITS, apply: 0 };
    const runs = [1, 2].map((seed) =>
      simulateCell({ ...options, subscriptions: 1, recordsPerSecond: perSecond, records: 40_000, seed }, units),
    );
    for (const { p50, p99 } of runs) {
      expect(p50).toBeGreaterThan(0.2);
      expect(p50).toBeLessThan(0.32);
      expect(p99).toBeGreaterThan(0.9);
      expect(p99).toBeLessThan(1.4);
    }
  });
});
