import { describe, expect, it } from "vitest";

import { nextRefresh, type ViewTimes } from "./schedule.js";
import { resolveView, type ViewDefinition } from "./view-definition.js";

const CLEAN: ViewTimes = {
  asOf: 1_000,
  endedAt: 1_100,
  took: 100,
  dirtySince: undefined,
  dirtyAt: undefined,
  failures: 0,
};

function next(definition: ViewDefinition, times: Partial<ViewTimes> = {}, now = 5_000, random = 0): number {
  return nextRefresh(resolveView("v", definition), { ...CLEAN, ...times }, now, random);
}

describe("the next refresh of a view", () => {
  it("on demand never is due", () => {
    expect(next({})).toBe(Number.POSITIVE_INFINITY);
    expect(next({ refresh: "demand" }, { asOf: undefined, dirtyAt: 1, dirtySince: 1 })).toBe(Number.POSITIVE_INFINITY);
  });

  it("at an interval is that long after its data, less the jitter, and at once when there are none", () => {
    expect(next({ refresh: { every: "10s" } })).toBe(11_000);
    expect(next({ refresh: { every: "10s", jitter: 0.5 } }, {}, 5_000, 0.5)).toBe(8_500);
    expect(next({ refresh: { every: "10s" } }, { asOf: undefined, endedAt: undefined })).toBe(5_000);
  });

  it("by staleness leaves twice the last duration, but is no more often than twice per bound", () => {
    expect(next({ refresh: { maxStaleness: "10s" } })).toBe(10_800);
    expect(next({ refresh: { maxStaleness: "10s" } }, { took: 4_000 })).toBe(6_000);
  });

  it("of a dirty view waits for quiet, not for ever, and keeps its distance", () => {
    const dirty: ViewDefinition = { refresh: { dirty: true, quiet: 200, atMost: "2s" } };
    expect(next(dirty)).toBe(Number.POSITIVE_INFINITY);
    expect(next(dirty, { dirtySince: 9_000, dirtyAt: 9_500 })).toBe(9_700);
    expect(next(dirty, { dirtySince: 9_000, dirtyAt: 99_000 })).toBe(11_000);
    expect(next(dirty, { dirtySince: 1_050, dirtyAt: 1_050 })).toBe(3_000);
    expect(next(dirty, { asOf: undefined, endedAt: undefined })).toBe(5_000);
  });

  it("waits as many times its duration as its cost factor says", () => {
    expect(next({ refresh: { every: 1_000 }, costFactor: 9 }, { took: 3_000, endedAt: 4_000 })).toBe(31_000);
  });

  it("that fails is tried ever more slowly, a minute apart at the most", () => {
    const due = (failures: number): number => next({ refresh: { every: 1 } }, { failures, endedAt: 10_000 });
    expect([1, 2, 3].map(due)).toEqual([11_000, 12_000, 14_000]);
    expect(due(30)).toBe(70_000);
  });
});

describe("the definition of a view", () => {
  it("names tables with their schema, and is quoted", () => {
    const view = resolveView("reports.Totals", { tables: ["issues", "audit.log"] });
    expect(view.name).toBe("reports.Totals");
    expect(view.sql).toBe('"reports"."Totals"');
    expect([...(view.tables ?? [])]).toEqual(["public.issues", "audit.log"]);
  });

  it.each([
    ["a name that is none", 'x"; DROP TABLE y', {}],
    ["tables that are none", "v", { tables: ["a b"] }],
    ["an unknown option", "v", { refrsh: "demand" }],
    ["an unknown policy", "v", { refresh: { sometimes: true } }],
    ["a policy that says no", "v", { refresh: { dirty: false } }],
    ["an interval of nothing", "v", { refresh: { every: 0 } }],
    ["a mode that is none", "v", { mode: "fast" }],
    ["dirty keys without a place for them", "v", { mode: { key: "k", select: "SELECT 1", keysOf: () => [] } }],
    ["a cost that is none", "v", { costFactor: Number.NaN }],
  ])("refuses %s", (_what, name, definition) => {
    expect(() => resolveView(name, definition as never)).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
  });
});
