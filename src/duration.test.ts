import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { MAX_DURATION, toMilliseconds } from "./duration.js";

describe("toMilliseconds", () => {
  it.each([
    [0, 0],
    [1.5, 1.5],
    ["0ms", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
    ["2w", 1_209_600_000],
    ["1.5h", 5_400_000],
    ["0.5s", 500],
    [" 10 s ", 10_000],
    [MAX_DURATION, MAX_DURATION],
    ["3650d", MAX_DURATION],
  ])("%o is %i ms", (duration, ms) => {
    expect(toMilliseconds(duration, "ttl")).toBe(ms);
  });

  it.each([
    -1,
    -0.001,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    MAX_DURATION + 1,
    "3651d",
    "",
    " ",
    "5",
    "5 minutes",
    "m",
    "-5m",
    "+5m",
    "1e3s",
    ".5s",
    "5.s",
    "5M",
    "1h30m",
    "0x10s",
    "5y",
    "٥s",
    null,
    true,
    {},
    [],
    ["5m"],
    5n,
    Symbol("5m"),
    new Date(5),
  ])("refuses %o, naming the option and the value", (wrong) => {
    expect(() => toMilliseconds(wrong as string, "ttl")).toThrow(
      expect.objectContaining({
        code: "ERR_CACHE_OPTION",
        message: expect.stringMatching(/^Expected `ttl` to be .*, got `.*`$/s),
      }),
    );
  });

  it("refuses an object that cannot even be shown", () => {
    expect(() => toMilliseconds(Object.create(null) as string, "ttl")).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
    );
  });

  it("reads back any whole number of any unit", () => {
    fc.assert(
      fc.property(fc.nat(500), fc.constantFrom("ms", "s", "m", "h", "d", "w"), (count, unit) => {
        const one = toMilliseconds(`1${unit}`, "ttl");
        expect(toMilliseconds(`${count}${unit}`, "ttl")).toBe(count * one);
      }),
    );
  });

  it("is quick to refuse long text", () => {
    const started = performance.now();
    expect(() => toMilliseconds(`${"1".repeat(100_000)}x`, "ttl")).toThrow("ttl");
    expect(() => toMilliseconds(`${" ".repeat(100_000)}x`, "ttl")).toThrow("ttl");
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
