import { describe, expect, it } from "vitest";
import { FakeClock } from "./fake-clock.js";

describe("FakeClock", () => {
  it("stands still until it is told", async () => {
    const clock = new FakeClock({ now: 5, wall: 7_000 });
    await new Promise((resolve) => setImmediate(resolve));
    expect([clock.now(), clock.wall()]).toEqual([5, 7_000]);
    await clock.advance(2.5);
    expect([clock.now(), clock.wall()]).toEqual([7.5, 7_002.5]);
  });

  it("fires timers by deadline, equals in the order they were set, each at its time", async () => {
    const clock = new FakeClock({ now: 0, wall: 0 });
    const fired: unknown[] = [];
    for (const [name, ms] of [
      ["late", 30],
      ["first", 10],
      ["second", 10],
      ["beyond", 31],
    ] as const) {
      clock.after(ms, () => fired.push([name, clock.now(), clock.wall()]));
    }
    await clock.advance(30);
    expect(fired).toEqual([
      ["first", 10, 10],
      ["second", 10, 10],
      ["late", 30, 30],
    ]);
    expect([clock.now(), clock.pending]).toEqual([30, 1]);
    await clock.advance(1);
    expect(fired).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it("fires timers that were set by what it woke, however long the chain of promises", async () => {
    const clock = new FakeClock({ now: 0 });
    const fired: number[] = [];
    clock.after(10, () => {
      void (async () => {
        for (let hops = 0; hops < 5_000; hops++) await Promise.resolve();
        clock.after(5, () => fired.push(clock.now()));
      })();
    });
    await clock.advance(20);
    expect(fired).toEqual([15]);
  });

  it("lets what is under way come to rest before time moves", async () => {
    const clock = new FakeClock({ now: 0 });
    const fired: number[] = [];
    void (async () => {
      for (let hops = 0; hops < 100; hops++) await Promise.resolve();
      clock.after(5, () => fired.push(clock.now()));
    })();
    await clock.advance(10);
    expect(fired).toEqual([5]);
  });

  it("lets what the last timer woke come to rest before it returns", async () => {
    const clock = new FakeClock();
    let rested = false;
    clock.after(10, () => {
      void (async () => {
        for (let hops = 0; hops < 100; hops++) await Promise.resolve();
        rested = true;
      })();
    });
    await clock.advance(10);
    expect(rested).toBe(true);
  });

  it("fires what is due at once with advance(0)", async () => {
    const clock = new FakeClock();
    const fired: string[] = [];
    clock.after(0, () => fired.push("zero"));
    clock.after(-5, () => fired.push("negative"));
    clock.after(1, () => fired.push("later"));
    await clock.advance(0);
    expect(fired).toEqual(["zero", "negative"]);
  });

  it("never fires a cancelled timer, also one cancelled by another of the same moment", async () => {
    const clock = new FakeClock();
    const fired: string[] = [];
    const first = clock.after(10, () => {
      fired.push("first");
      second.cancel();
      first.cancel();
    });
    const second = clock.after(10, () => fired.push("second"));
    expect(clock.pending).toBe(2);
    await clock.advance(10);
    first.cancel();
    expect(fired).toEqual(["first"]);
    expect(clock.pending).toBe(0);
  });

  it("steps the wall clock without the monotonic one", async () => {
    const clock = new FakeClock({ now: 100, wall: 1_000 });
    let fired = 0;
    clock.after(10, () => fired++);
    clock.stepWall(-500);
    expect([clock.now(), clock.wall()]).toEqual([100, 500]);
    clock.stepWall(10_000);
    expect(fired).toBe(0);
    await clock.advance(10);
    expect([clock.now(), clock.wall(), fired]).toEqual([110, 10_510, 1]);
  });

  it("does not go back when it is advanced by what it wakes", async () => {
    const clock = new FakeClock({ now: 0 });
    clock.after(5, () => void clock.advance(100));
    await clock.advance(10);
    await clock.advance(0);
    expect(clock.now()).toBe(105);
  });

  it("rejects with what a timer throws, and stands at that moment", async () => {
    const clock = new FakeClock({ now: 0 });
    clock.after(5, () => {
      throw new Error("from a timer");
    });
    await expect(clock.advance(10)).rejects.toThrow("from a timer");
    expect(clock.now()).toBe(5);
  });
});
