import { describe, expect, it } from "vitest";

import { FakeClock } from "../../testing/fake-clock.js";
import { parseSnapshot } from "./snapshot.js";
import { readToken, Waiters, writeToken, type Moment } from "./token.js";
import { Wake } from "./wake.js";

const history = { system: "7123456789012345678", timeline: "00000001" };
const moment = (lsn: bigint | undefined, snapshot: string, timeline = history.timeline): Moment => ({
  system: history.system,
  timeline,
  lsn,
  snapshot: parseSnapshot(snapshot),
});

describe("a token", () => {
  it("is read as it was written, as a place in the log or as what was visible", () => {
    expect(readToken(writeToken(history, 0x16_b374_d848n))).toEqual({ ...history, place: 0x16_b374_d848n });
    expect(readToken(writeToken(history, "10:20:11,12"))).toEqual({ ...history, place: parseSnapshot("10:20:11,12") });
    expect(writeToken(history, "10:20:11,12")).toMatch(/^[\w.,-]+$/);
  });

  it.each(["", "7.00000001", "7.1.0-0", "7.00000001.x", "7.00000001.1_2", undefined, 7])(
    "is nothing else: %s",
    (text) => {
      expect(() => readToken(text)).toThrow("Expected `token` to be what `token()` returned");
    },
  );
});

describe("waiting for a token", () => {
  it.each<[string, string, Moment, boolean]>([
    ["a place that is reached", writeToken(history, 100n), moment(100n, "1:1:"), true],
    ["a place ahead", writeToken(history, 101n), moment(100n, "1:1:"), false],
    [
      "a place of an earlier timeline, whose entries are forgotten",
      writeToken(history, 900n),
      moment(1n, "1:1:", "00000002"),
      true,
    ],
    ["a place of a later one", writeToken({ ...history, timeline: "00000003" }, 1n), moment(900n, "1:1:"), false],
    ["a place of another database", writeToken({ ...history, system: "8" }, 1n), moment(900n, "1:1:"), false],
    ["what is visible by now", writeToken(history, "10:20:15"), moment(undefined, "15:21:15"), true],
    ["what is not", writeToken(history, "10:20:"), moment(undefined, "15:21:15"), false],
  ])("for %s", async (_, token, at, reached) => {
    const clock = new FakeClock();
    const waiters = new Waiters();
    let state: unknown = "waiting";
    const waiting = waiters.wait(readToken(token), clock, 1_000).then(
      () => (state = "reached"),
      (error: unknown) => (state = error),
    );
    waiters.completed(at);
    await clock.advance(0);
    expect(state).toBe(reached ? "reached" : "waiting");
    await clock.advance(1_000);
    await waiting;
    if (!reached) expect(state).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect([waiters.any, clock.pending]).toEqual([false, 0]);
  });

  it("ends at once for what was reached before, and says that somebody waits otherwise", async () => {
    const clock = new FakeClock();
    const waiters = new Waiters();
    let waited = 0;
    waiters.onWait = () => (waited += 1);
    waiters.completed(moment(100n, "1:1:"));
    await waiters.wait(readToken(writeToken(history, 50n)), clock, 1_000);
    expect(waited).toBe(0);
    const later = waiters.wait(readToken(writeToken(history, 150n)), clock, 1_000);
    expect(waited).toBe(1);
    waiters.completed(moment(150n, "1:1:"));
    await later;
  });
});

describe("a pause", () => {
  it("ends when it is over, when it is cut short, or when all ends; and leaves nothing", async () => {
    const clock = new FakeClock();
    const wake = new Wake();
    const ending = new AbortController();
    const paused = async (): Promise<number> => {
      const from = clock.now();
      await wake.pause(clock, 100, ending.signal);
      return clock.now() - from;
    };
    const whole = paused();
    await clock.advance(150);
    expect(await whole).toBe(100);
    const cut = paused();
    await clock.advance(30);
    wake.fire();
    expect(await cut).toBe(30);
    wake.fire();
    expect(await paused()).toBe(0);
    const last = paused();
    ending.abort();
    expect(await last).toBe(0);
    expect(await paused()).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
