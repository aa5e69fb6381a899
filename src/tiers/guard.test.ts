import { describe, expect, it } from "vitest";

import { deferred } from "../../test/support/deferred.js";
import { CacheError } from "../errors.js";
import { Recorder } from "../stats.js";
import { FakeClock } from "../testing/index.js";
import { TierGuard } from "./guard.js";

const down = new Error("ECONNREFUSED");
const never = (): Promise<never> => new Promise(() => undefined);
const fail = (): Promise<never> => Promise.reject(down);

function setUp(): { guard: TierGuard; clock: FakeClock; events: string[]; recorder: Recorder } {
  const clock = new FakeClock();
  const recorder = new Recorder();
  const events: string[] = [];
  recorder.on("*", ({ type }) => events.push(type));
  return {
    clock,
    recorder,
    events,
    guard: new TierGuard(clock, recorder, 0, { timeout: 100, breakerFailures: 3, breakerCooldown: 1_000 }),
  };
}

async function failThrice(guard: TierGuard): Promise<void> {
  for (let call = 0; call < 3; call += 1) await guard.call("x", fail).catch(() => undefined);
}

describe("TierGuard", () => {
  it("hands on what the tier answers, and leaves no timer", async () => {
    const { guard, clock, events } = setUp();
    expect(await guard.call("x", async () => 5)).toBe(5);
    expect([clock.pending, events, guard.up]).toEqual([0, [], true]);
  });

  it("makes one kind of error of every failure, with the tier's own as its cause, counted and told", async () => {
    const { guard, recorder, events } = setUp();
    const thrown = (): never => {
      throw down;
    };
    for (const run of [fail, thrown])
      await expect(guard.call("read", run)).rejects.toMatchObject({
        code: "ERR_CACHE_TIER",
        cause: down,
        message: expect.stringContaining("read"),
      });
    const own = new CacheError("ERR_CACHE_TIER", "own");
    await guard.call("ok", async () => 1);
    await expect(guard.call("x", () => Promise.reject(own))).rejects.toBe(own);
    expect([recorder.failures, events]).toEqual([3, ["tier-failed", "tier-failed", "tier-failed"]]);
  });

  it("waits for the timeout and no longer, or for the call's own; what comes late is nobody's", async () => {
    const { guard, clock } = setUp();
    const late = deferred<number>();
    const caught = guard.call("x", () => late.promise).catch((error: unknown) => error);
    const patient = guard.call("y", () => late.promise, 400);
    await clock.advance(100);
    expect(await caught).toMatchObject({ code: "ERR_CACHE_TIER", message: expect.stringContaining("100 ms") });
    late.resolve(1);
    expect(await patient).toBe(1);
    expect(clock.pending).toBe(0);
    const failing = deferred<number>();
    const abandoned = guard.call("z", () => failing.promise).catch(() => "timed out");
    await clock.advance(100);
    expect(await abandoned).toBe("timed out");
    failing.reject(down);
    await clock.advance(0);
  });

  it("opens after so many failures in a row, and then sends nothing until the cooldown is over", async () => {
    const { guard, clock, events, recorder } = setUp();
    await guard.call("x", fail).catch(() => undefined);
    await guard.call("x", fail).catch(() => undefined);
    await guard.call("x", async () => 1);
    await failThrice(guard);
    expect(guard.up).toBe(false);
    expect(events.filter((type) => type === "tier-down")).toHaveLength(1);
    const failures = recorder.failures;
    await clock.advance(999);
    await expect(guard.call("x", () => expect.unreachable())).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(recorder.failures).toBe(failures);
  });

  it("after the cooldown one call probes: its success closes", async () => {
    const { guard, clock, events } = setUp();
    await failThrice(guard);
    await clock.advance(1_000);
    const answer = deferred<number>();
    const probe = guard.call("probe", () => answer.promise);
    await expect(guard.call("x", () => expect.unreachable())).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    answer.resolve(1);
    await probe;
    expect(guard.up).toBe(true);
    expect(await guard.call("x", async () => 2)).toBe(2);
    expect(events.at(-1)).toBe("tier-up");
  });

  it.each(["fails", "hangs"])("a probe that %s opens it for another cooldown, told once", async (how) => {
    const { guard, clock, events } = setUp();
    await failThrice(guard);
    await clock.advance(1_000);
    const probe = guard.call("probe", how === "fails" ? fail : never).catch(() => undefined);
    await clock.advance(how === "fails" ? 0 : 100);
    await probe;
    await clock.advance(999);
    await expect(guard.call("x", () => expect.unreachable())).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await clock.advance(1);
    expect(await guard.call("x", async () => 1)).toBe(1);
    expect(events.filter((type) => type === "tier-down" || type === "tier-up")).toEqual(["tier-down", "tier-up"]);
  });

  it("forgets what its client lost once a probe is answered: one failure then is one failure", async () => {
    const { guard, clock } = setUp();
    const lost = Array.from({ length: 1_000 }, () => guard.call("x", never).catch(() => undefined));
    await clock.advance(100);
    await Promise.all(lost);
    expect(guard.up).toBe(false);
    await clock.advance(1_000);
    await guard.call("probe", async () => 1);
    await guard.call("x", fail).catch(() => undefined);
    expect(guard.up).toBe(true);
  });

  it("an answer to a call sent before it opened does not close it", async () => {
    const { guard, clock } = setUp();
    const old = deferred<number>();
    const early = guard.call("x", () => old.promise, 10_000);
    await failThrice(guard);
    old.resolve(1);
    expect(await early).toBe(1);
    expect(guard.up).toBe(false);
    await clock.advance(1_000);
    expect(await guard.call("x", async () => 1)).toBe(1);
  });

  it("a failure of a call sent before it opened does not keep it open for longer", async () => {
    const { guard, clock } = setUp();
    const old = deferred<number>();
    const early = guard.call("x", () => old.promise, 10_000).catch(() => undefined);
    await failThrice(guard);
    await clock.advance(900);
    old.reject(down);
    await early;
    await clock.advance(100);
    expect(await guard.call("x", async () => 1)).toBe(1);
  });

  it("of a tier that hangs, a thousand calls sent at once cost one timeout", async () => {
    const { guard, clock } = setUp();
    const calls = Array.from({ length: 1_000 }, () => guard.call("x", never).catch(() => undefined));
    await clock.advance(100);
    await Promise.all(calls);
    expect(guard.up).toBe(false);
    await expect(guard.call("x", () => expect.unreachable())).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await clock.advance(1_000);
    expect(await guard.call("x", async () => 1)).toBe(1);
    expect([guard.up, clock.pending]).toEqual([true, 0]);
  });
});
