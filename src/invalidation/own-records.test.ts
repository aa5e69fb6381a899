import { describe, expect, it } from "vitest";

import { OwnRecords } from "./own-records.js";

describe("a record of this process's own", () => {
  it("that is acknowledged and comes by is not doubted, in whichever order", () => {
    const own = new OwnRecords();
    expect(own.acknowledge(5, 0)).toBe(false);
    own.comeBy(5);
    expect(own.pass(5)).toEqual([]);
    own.comeBy(7);
    expect(own.pass(7)).toEqual([]);
    expect(own.acknowledge(7, 9)).toBe(false);
    expect(own.pass(100)).toEqual([]);
  });

  it("that is acknowledged and passed over is doubted, once", () => {
    const own = new OwnRecords();
    own.acknowledge(5, 0);
    own.acknowledge(8, 0);
    expect(own.pass(4)).toEqual([]);
    expect(own.pass(6)).toEqual([5]);
    expect(own.pass(6)).toEqual([]);
    expect(own.pass(8)).toEqual([8]);
  });

  it("that is acknowledged when the log is past it is doubted, unless it came by", () => {
    const own = new OwnRecords();
    own.comeBy(3);
    expect(own.acknowledge(3, 10)).toBe(false);
    // Known once: a second acknowledgement of that position is of another history.
    expect(own.acknowledge(3, 10)).toBe(true);
    expect(own.acknowledge(4, 10)).toBe(true);
  });

  it("that came by and is never acknowledged is forgotten when there are many", () => {
    const own = new OwnRecords();
    for (let position = 1; position <= 1_001; position += 1) own.comeBy(position);
    expect(own.acknowledge(1, 2_000)).toBe(true);
    expect(own.acknowledge(2, 2_000)).toBe(false);
  });

  it("that is settled otherwise is not doubted", () => {
    const own = new OwnRecords();
    own.acknowledge(5, 0);
    own.forget();
    expect(own.pass(9)).toEqual([]);
  });
});
