import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import type { WarmTask } from "./api.js";

const start = oneCache();
const down = new Error("the source is down");

describe("warm", () => {
  it("runs every task of the plan and reports", async () => {
    const { cache, clock } = start();
    const plan = [1, 2, 3].map(
      (n): WarmTask =>
        () =>
          cache.getOrLoad(n, () => n),
    );
    const warming = cache.warm(plan);
    await clock.advance(10);
    expect(await warming).toEqual({ done: 3, failed: 0, took: 2, errors: [] });
    expect(await cache.getMany([1, 2, 3])).toEqual([1, 2, 3]);
    expect(await cache.warm([])).toEqual({ done: 0, failed: 0, took: 0, errors: [] });
  });

  it("takes plans that are generated as it goes, and no task before there is room for it", async () => {
    const { cache, clock } = start();
    let made = 0;
    let running = 0;
    let most = 0;
    async function* plan(): AsyncGenerator<WarmTask> {
      for (; made < 50; made += 1) {
        expect(running).toBeLessThanOrEqual(3);
        yield async () => {
          most = Math.max(most, (running += 1));
          await new Promise<void>((resolve) => void clock.after(100, resolve));
          running -= 1;
        };
      }
    }
    const warming = cache.warm(plan(), { concurrency: 3 });
    await clock.advance(10_000);
    expect(await warming).toMatchObject({ done: 50 });
    expect(most).toBe(3);
  });

  it("starts no more per second than asked for", async () => {
    const { cache, clock } = start();
    const at: number[] = [];
    const began = clock.now();
    const plan = Array.from({ length: 6 }, (): WarmTask => async () => void at.push(clock.now() - began));
    const warming = cache.warm(plan, { perSecond: 10 });
    await clock.advance(1_000);
    expect(at).toEqual([0, 100, 200, 300, 400, 500]);
    expect((await warming).took).toBe(500);
  });

  it("goes on past tasks that fail, however they do, and keeps the first ten failures", async () => {
    const { cache, clock } = start();
    const thrown = (): never => {
      throw down;
    };
    const plan: WarmTask[] = [
      () => Promise.reject(down),
      thrown,
      undefined as never,
      ...Array.from({ length: 20 }, () => () => Promise.reject(down)),
      async () => 1,
    ];
    const warming = cache.warm(plan);
    await clock.advance(100);
    const report = await warming;
    expect(report).toMatchObject({ done: 1, failed: 23 });
    expect(report.errors).toHaveLength(10);
    expect(report.errors[0]).toBe(down);
  });

  it.each([
    [
      "throw",
      (): never => {
        throw down;
      },
    ],
    ["reject", () => Promise.reject(down)],
  ])("tells its progress after each task, to a listener that may %s", async (_how, fail) => {
    const { cache, clock } = start();
    const told: string[] = [];
    const onProgress = (done: number, failed: number): Promise<void> => {
      told.push(`${done}/${failed}`);
      return fail();
    };
    const warming = cache.warm([async () => 1, () => Promise.reject(new Error("task")), async () => 1], {
      concurrency: 1,
      onProgress,
    });
    await clock.advance(100);
    const report = await warming;
    expect(told).toEqual(["1/0", "1/1", "2/1"]);
    expect(report).toMatchObject({ done: 2, failed: 1 });
    expect(report.errors).toContain(down);
  });

  it("stops at once when aborted: between tasks, in a pause, and behind tasks that hang", async () => {
    const { cache, clock } = start();
    const never = (): Promise<never> => new Promise(() => undefined);
    for (const [plan, options] of [
      [[never, never], { concurrency: 1 }],
      [[never], { concurrency: 4 }],
      [Array.from({ length: 5 }, (): WarmTask => async () => 1), { perSecond: 1 }],
    ] as [WarmTask[], object][]) {
      const controller = new AbortController();
      const before = clock.pending;
      const warming = cache.warm(plan, { ...options, signal: controller.signal });
      await clock.advance(10);
      controller.abort(down);
      await expect(warming).rejects.toBe(down);
      expect(clock.pending).toBe(before);
    }
    await expect(cache.warm([async () => expect.unreachable()], { signal: AbortSignal.abort(down) })).rejects.toBe(
      down,
    );
  });

  it("ends its plan's generator when it is aborted, and rejects with the plan's own error", async () => {
    const { cache } = start();
    const controller = new AbortController();
    let ended = false;
    function* plan(): Generator<WarmTask> {
      try {
        for (;;) {
          yield async () => 1;
          controller.abort(down);
        }
      } finally {
        ended = true;
      }
    }
    await expect(cache.warm(plan(), { signal: controller.signal })).rejects.toBe(down);
    expect(ended).toBe(true);
    function* broken(): Generator<WarmTask> {
      yield () => Promise.reject(new Error("task"));
      throw down;
    }
    await expect(cache.warm(broken())).rejects.toBe(down);
  });

  it("an abort while the last tasks run leaves no rejection behind", async () => {
    const { cache, clock } = start();
    const task = deferred<void>();
    const controller = new AbortController();
    const warming = cache.warm([() => task.promise], { signal: controller.signal });
    await clock.advance(0);
    controller.abort(down);
    await expect(warming).rejects.toBe(down);
    task.reject(new Error("late"));
    await clock.advance(0);
  });

  it.each([
    ["concurrency", { concurrency: 0 }],
    ["concurrency", { concurrency: 1.5 }],
    ["perSecond", { perSecond: 0 }],
    ["perSecond", { perSecond: "fast" }],
    ["warm option", { parallel: 5 }],
  ])("refuses a wrong %s: %o", async (option, options) => {
    const { cache } = start();
    await expect(cache.warm([], options as object)).rejects.toMatchObject({
      code: "ERR_CACHE_OPTION",
      message: expect.stringContaining(`\`${option}\``),
    });
  });
});
