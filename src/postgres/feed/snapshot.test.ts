import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatLsn, parseLsn } from "./lsn.js";
import { isVisible, parseSnapshot, seesAllOf, widenXid } from "./snapshot.js";

describe("a snapshot", () => {
  it("sees what ended before it began, and not what runs or comes later", () => {
    const snapshot = parseSnapshot("100:105:101,103");
    const seen = [99n, 100n, 101n, 102n, 103n, 104n, 105n, 1n << 40n].filter((xid) => isVisible(xid, snapshot));
    expect(seen).toEqual([99n, 100n, 102n, 104n]);
  });

  it("may have nothing running", () => {
    expect(parseSnapshot("7:7:").running.size).toBe(0);
  });

  it.each(["", "1:2", "1:2:3:4", "a:b:", null, undefined, 7])("is nothing else: %s", (text) => {
    expect(() => parseSnapshot(text)).toThrow(TypeError);
  });

  it("sees all of an earlier one when everything that one saw has ended for it too", () => {
    expect(seesAllOf(parseSnapshot("10:20:10,15"), parseSnapshot("10:20:10,15"))).toBe(true);
    expect(seesAllOf(parseSnapshot("15:21:15"), parseSnapshot("10:20:10,15"))).toBe(true);
    expect(seesAllOf(parseSnapshot("10:20:10,15"), parseSnapshot("15:20:15"))).toBe(false);
    expect(seesAllOf(parseSnapshot("10:19:10"), parseSnapshot("10:20:10"))).toBe(false);
  });
});

describe("a transaction's id in the log", () => {
  it.each([
    ["in the same epoch", 5, 4_294_967_300n, 4_294_967_301n],
    ["just before the turn of an epoch", 4_294_967_295, 4_294_967_296n, 4_294_967_295n],
    ["just after it", 3, 4_294_967_290n, 4_294_967_299n],
    ["of the first epoch", 4_294_967_295, 3n, 4_294_967_295n],
    ["far into the third", 700, (3n << 32n) + 650n, (3n << 32n) + 700n],
  ])("has its missing half from a snapshot: %s", (_, low, near, xid) => {
    expect(widenXid(low, near)).toBe(xid);
  });

  it("is found whenever it is nearer than half the numbers there are", () => {
    const near = fc.bigInt({ min: 1n << 33n, max: 1n << 50n });
    const away = fc.bigInt({ min: -(1n << 31n) + 1n, max: (1n << 31n) - 1n });
    fc.assert(fc.property(near, away, (from, by) => widenXid(Number((from + by) & 0xffff_ffffn), from) === from + by));
  });
});

describe("a place in the log", () => {
  it("is the number that its two halves make", () => {
    expect(parseLsn("16/B374D848")).toBe(0x16_b374_d848n);
    expect(formatLsn(0x16_b374_d848n)).toBe("16/B374D848");
    expect(formatLsn(0n)).toBe("0/0");
  });

  it.each(["", "16", "/1", "123456789/0", "x/y", undefined])("is nothing else: %s", (text) => {
    expect(() => parseLsn(text)).toThrow(TypeError);
  });
});
