import { describe, expect, it } from "vitest";

import { FakeClock } from "../testing/index.js";
import { Backoff } from "./backoff.js";

describe("Backoff", () => {
  it("does not hold up the try after the first failure", () => {
    const backoff = new Backoff(new FakeClock());
    backoff.failed("k", new Error("1"));
    expect(backoff.refusal("k")).toBeUndefined();
    expect(backoff.state("k")).toEqual({ count: 1, retryIn: 0 });
  });

  it("from the second on waits 100 ms, doubled each time, five seconds at most, and gives the last error", async () => {
    const clock = new FakeClock();
    const backoff = new Backoff(clock);
    backoff.failed("k", "first");
    for (const [index, wait] of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].entries()) {
      backoff.failed("k", index);
      expect(backoff.state("k")).toEqual({ count: index + 2, retryIn: wait });
      await clock.advance(wait - 1);
      expect(backoff.refusal("k")).toEqual({ error: index });
      await clock.advance(1);
      expect(backoff.refusal("k")).toBeUndefined();
    }
  });

  it("counts each key for itself, and forgets it when it succeeds", () => {
    const backoff = new Backoff(new FakeClock());
    for (const key of ["a", "a", "b"]) backoff.failed(key, key);
    expect(backoff.refusal("a")).toEqual({ error: "a" });
    expect(backoff.refusal("b")).toBeUndefined();
    backoff.succeeded("a");
    expect([backoff.refusal("a"), backoff.state("a")]).toEqual([undefined, undefined]);
    backoff.failed("a", "again");
    expect(backoff.state("a")?.count).toBe(1);
  });

  it("remembers ten thousand keys, the latest to fail", () => {
    const backoff = new Backoff(new FakeClock());
    for (let index = 0; index < 10_000; index += 1) backoff.failed(`k${index}`, index);
    backoff.failed("k0", "again");
    backoff.failed("new", "new");
    expect(backoff.state("k0")?.count).toBe(2);
    expect(backoff.state("k1")).toBeUndefined();
    expect(backoff.state("k2")?.count).toBe(1);
  });

  it("forgets everything when cleared", () => {
    const backoff = new Backoff(new FakeClock());
    backoff.failed("k", 1);
    backoff.clear();
    expect(backoff.state("k")).toBeUndefined();
  });
});
