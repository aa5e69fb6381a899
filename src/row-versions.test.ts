import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { resolveRowVersions, type RowVersion, type RowVersions } from "./row-versions.js";
import { FakeClock } from "./testing/index.js";

interface Row {
  readonly v?: unknown;
}

function versions(clock = new FakeClock()): RowVersions {
  return resolveRowVersions<Row>((row) => row.v as RowVersion, clock) as RowVersions;
}

const isOlder = (a: unknown, b: unknown): boolean => versions().isOlder({ v: a }, { v: b });

describe("versions of rows", () => {
  it("orders numbers, bigints, dates and numbers written as text by their value", () => {
    expect(isOlder(9, 10)).toBe(true);
    expect(isOlder(10, 9)).toBe(false);
    expect(isOlder(7, 7)).toBe(false);
    expect(isOlder(9n, 10)).toBe(true);
    expect(isOlder("9", "10")).toBe(true);
    expect(isOlder("9007199254740992", "9007199254740993")).toBe(true);
    expect(isOlder("-2", 1n)).toBe(true);
    expect(isOlder(new Date(1), new Date(2))).toBe(true);
  });

  it("orders other text as text, so that times in ISO form are in order", () => {
    expect(isOlder("2025-02-01T10:00:00.000Z", "2025-02-01T10:00:00.001Z")).toBe(true);
    expect(isOlder("b", "a")).toBe(false);
  });

  it("says nothing of two that cannot be compared, nor of what has none", () => {
    expect(isOlder("abc", 7) || isOlder(7, "abc")).toBe(false);
    expect(isOlder(undefined, 7) || isOlder(7, undefined) || isOlder(null, 7)).toBe(false);
    expect(versions().isOlder(undefined, { v: 7 }) || versions().isOlder(null, { v: 7 })).toBe(false);
  });

  it("refuses what is no version, with the value", () => {
    expect(() => versions().versionOf({ v: {} })).toThrow(
      "Expected `rowVersion` to return a number, a bigint, text or a date, got `an object`",
    );
    expect(() => versions().versionOf({ v: Number.NaN })).toThrow("got `NaN`");
    expect(() => versions().versionOf({ v: new Date("no") })).toThrow("got `an object`");
  });

  it("takes an order of one's own", () => {
    const order = ["draft", "sent", "paid"];
    const rule = {
      of: (row: Row) => row.v as string,
      compare: (a: RowVersion, b: RowVersion) => order.indexOf(String(a)) - order.indexOf(String(b)),
    };
    const rows = resolveRowVersions(rule, new FakeClock());
    expect(rows?.isOlder({ v: "draft" }, { v: "sent" })).toBe(true);
    expect(rows?.isOlder({ v: "paid" }, { v: "sent" })).toBe(false);
  });

  it.each([
    [7, "Expected `rowVersion` to be a function of the value, or one with its `compare`, got `7`"],
    [{}, "Expected `rowVersion.of` to be a function of the value, got `undefined`"],
    [{ of: () => 1, compare: 1 }, "Expected `rowVersion.compare` to be a function of two versions, got `1`"],
  ])("refuses %o as the option", (option, message) => {
    expect(() => resolveRowVersions(option as never, new FakeClock())).toThrow(message);
  });

  it("forgets what it has met after a minute, and of too many keys the one met longest ago", async () => {
    const clock = new FakeClock();
    const rows = versions(clock);
    rows.met("k", { v: 5 });
    await clock.advance(59_999);
    expect(rows.isOutdated("k", { v: 4 })).toBe(true);
    await clock.advance(1);
    expect(rows.isOutdated("k", { v: 4 })).toBe(false);
    rows.met("first", { v: 5 });
    rows.met("second", { v: 5 });
    rows.met("first", { v: 6 });
    for (let index = 0; index < 4_095; index += 1) rows.met(`k${index}`, { v: 1 });
    expect(rows.isOutdated("second", { v: 4 })).toBe(false);
    expect(rows.isOutdated("first", { v: 4 })).toBe(true);
  });

  it("the newest met is the greatest, in whatever order", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -20n, max: 20n }), { minLength: 1 }), (met) => {
        const rows = versions();
        for (const v of met) rows.met("k", { v });
        const greatest = met.reduce((a, b) => (a > b ? a : b));
        expect(rows.isOutdated("k", { v: greatest - 1n })).toBe(true);
        expect(rows.isOutdated("k", { v: greatest })).toBe(false);
      }),
    );
  });
});
