import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { oneCache } from "../../test/support/one-cache.js";
import type { Cache, Entity } from "../index.js";
import type { FakeClock } from "../testing/index.js";
import {
  cacheStore,
  entityStep,
  fileStore,
  inShare,
  keyStep,
  rollout,
  runWarmPlan,
  taskStep,
  warmPlan,
  type PlanReport,
  type RunPlanOptions,
  type WarmPlanDefinition,
  type WarmProgress,
  type WarmStore,
} from "./index.js";

const start = oneCache();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-warm-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function world(): { cache: Cache; clock: FakeClock; users: Entity<number, string>; loaded: number[] } {
  const { cache, clock } = start();
  const loaded: number[] = [];
  const users = cache.entity<number, string>({
    name: "user",
    loadMany: async (ids) => {
      loaded.push(...ids);
      return ids.map((id) => `user ${id}`);
    },
  });
  return { cache, clock, users, loaded };
}

async function run(
  { cache, clock }: { cache: Cache; clock: FakeClock },
  plan: WarmPlanDefinition,
  options: RunPlanOptions = {},
): Promise<PlanReport> {
  const running = runWarmPlan(cache, plan, options);
  running.catch(() => undefined);
  await clock.advance(60_000);
  return running;
}

function memoryStore(): WarmStore & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>();
  return {
    texts,
    read: async (name) => texts.get(name),
    write: async (name, text) => void texts.set(name, text),
  };
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

describe("a plan", () => {
  it("is warmed by priority, then in its order", async () => {
    const one = world();
    const order: string[] = [];
    const plan = warmPlan({
      name: "start",
      steps: [
        taskStep("late", [async () => order.push("late")], { priority: -1 }),
        taskStep("first", [async () => order.push("first")]),
        taskStep("second", [async () => order.push("second")]),
        taskStep("urgent", [async () => order.push("urgent")], { priority: 10 }),
      ],
    });
    expect(await run(one, plan, { concurrency: 1 })).toMatchObject({ done: 4, failed: 0, skipped: 0 });
    expect(order).toEqual(["urgent", "first", "second", "late"]);
  });

  it("reads entities by ids, so many together, from a query as well", async () => {
    const one = world();
    async function* query(): AsyncGenerator<number> {
      yield* [1, 2, 3, 4, 5];
    }
    await run(one, warmPlan({ name: "users", steps: [entityStep(one.users, query, { batch: 2 })] }));
    expect(one.loaded).toEqual([1, 2, 3, 4, 5]);
    expect(one.users.peek(5)).toBe("user 5");
  });

  it("goes on where a run that was killed had come to, and begins anew once it has ended", async () => {
    const one = world();
    const store = memoryStore();
    const controller = new AbortController();
    const plan = warmPlan({ name: "users", steps: [entityStep(one.users, ids(30))] });
    const first = runWarmPlan(one.cache, plan, {
      store,
      saveEvery: 1,
      perSecond: 10,
      concurrency: 1,
      signal: controller.signal,
    });
    first.catch(() => undefined);
    await one.clock.advance(950);
    controller.abort(new Error("killed"));
    await expect(first).rejects.toThrow("killed");
    expect(one.loaded).toEqual(ids(10));
    expect(await run(one, plan, { store })).toMatchObject({ done: 20, skipped: 10 });
    expect(one.loaded).toEqual(ids(30));
    await one.users.invalidateAll();
    expect(await run(one, plan, { store })).toMatchObject({ done: 30, skipped: 0 });
  });

  it("loses nothing to a kill without a word: what had begun is done again", async () => {
    const one = world();
    const store = memoryStore();
    const hanging = new Set([3]);
    const done: number[] = [];
    const tasks = (): (() => Promise<void>)[] =>
      ids(8).map((n) => async () => {
        if (hanging.has(n)) await new Promise(() => undefined);
        done.push(n);
      });
    const plan = (): WarmPlanDefinition => warmPlan({ name: "tasks", steps: [taskStep("all", tasks())] });
    void runWarmPlan(one.cache, plan(), { store, saveEvery: 1, concurrency: 2 });
    await one.clock.advance(10_000);
    expect(done).toEqual([1, 2, 4, 5, 6, 7, 8]);
    // Killed here. The third had not ended, so the cursor stands before it.
    hanging.clear();
    done.length = 0;
    await run(one, plan(), { store });
    expect(done).toEqual([3, 4, 5, 6, 7, 8]);
  });

  it("tells a query behind which id it goes on", async () => {
    const one = world();
    const store = memoryStore();
    const asked: (number | undefined)[] = [];
    const query = (after: number | undefined): number[] => {
      asked.push(after);
      return ids(20).filter((id) => id > (after ?? 0));
    };
    const controller = new AbortController();
    const plan = warmPlan({ name: "users", steps: [entityStep(one.users, query, { batch: 3 })] });
    const first = runWarmPlan(one.cache, plan, { store, perSecond: 1, concurrency: 1, signal: controller.signal });
    first.catch(() => undefined);
    await one.clock.advance(1_500);
    controller.abort(new Error("killed"));
    await expect(first).rejects.toThrow("killed");
    await run(one, plan, { store });
    expect(asked).toEqual([undefined, 6]);
    expect(one.loaded).toEqual(ids(20));
  });

  it("goes past a step that had ended, and past what cannot be read in the store", async () => {
    const one = world();
    const store = memoryStore();
    store.texts.set("cursor:two", JSON.stringify({ "a@0-1": { passed: 1, ended: true } }));
    const order: string[] = [];
    const step = (name: string) => taskStep(name, [async () => order.push(name)]);
    const plan = warmPlan({ name: "two", steps: [step("a"), step("b")] });
    await run(one, plan, { store });
    expect(order).toEqual(["b"]);
    for (const text of ["{ half", "null"]) {
      order.length = 0;
      store.texts.set("cursor:two", text);
      await run(one, plan, { store });
      expect(order).toEqual(["a", "b"]);
    }
  });

  it("warms a share of the keys at a time, each once, the same ones in every run", async () => {
    const one = world();
    const steps = [entityStep(one.users, ids(400))];
    const tenth = await run(one, warmPlan({ name: "a", steps }), { share: 0.1 });
    const first = [...one.loaded];
    expect(tenth.done).toBeGreaterThan(20);
    expect(tenth.done).toBeLessThan(70);
    expect(tenth.skipped).toBe(400 - tenth.done);
    await one.users.invalidateAll();
    one.loaded.length = 0;
    const all = await run(one, warmPlan({ name: "b", steps }), { share: [0.1, 0.5, 1] });
    expect(all.done).toBe(400);
    expect(one.loaded.slice(0, first.length)).toEqual(first);
    expect(one.loaded.toSorted((a, b) => a - b)).toEqual(ids(400));
  });

  it("tells how far it is, of each step and of the whole", async () => {
    const one = world();
    const told: WarmProgress[] = [];
    const failing = async (): Promise<never> => {
      throw new Error("task");
    };
    const plan = warmPlan({
      name: "start",
      steps: [entityStep(one.users, ids(2)), taskStep("queries", [failing, async () => 1])],
    });
    const report = await run(one, plan, { concurrency: 1, onProgress: (progress) => void told.push(progress) });
    expect(report).toMatchObject({ done: 3, failed: 1 });
    expect(told.map(({ step, done, failed, total, part }) => [step, done, failed, total, part])).toEqual([
      ["user", 1, 0, 2, 0.25],
      ["user", 2, 0, 2, 0.5],
      ["queries", 0, 1, 2, 0.75],
      ["queries", 1, 1, 2, 1],
    ]);
  });

  it("warms keys in their order, known only when their turn comes", async () => {
    const one = world();
    const read: string[] = [];
    const plan = warmPlan({
      name: "keys",
      steps: [
        keyStep(
          "hot",
          async () => ["b", "a"],
          async (key) => read.push(key),
        ),
      ],
    });
    await run(one, plan, { concurrency: 1 });
    expect(read).toEqual(["b", "a"]);
  });

  it("rejects when its store cannot be written at the end, and not a task before", async () => {
    const one = world();
    const down = new Error("store");
    const store: WarmStore = { read: async () => undefined, write: () => Promise.reject(down) };
    const plan = warmPlan({ name: "users", steps: [entityStep(one.users, ids(5))] });
    await expect(run(one, plan, { store, saveEvery: 1 })).rejects.toBe(down);
    expect(one.loaded).toEqual(ids(5));
  });

  it("refuses shares that do not rise, names that are there twice and batches of none", async () => {
    const one = world();
    const plan = warmPlan({ name: "users", steps: [] });
    for (const share of [0, 1.5, [], [0.5, 0.2], [0.5, 0.5]])
      await expect(run(one, plan, { share })).rejects.toThrow("`share`");
    expect(() => warmPlan({ name: "x", steps: [taskStep("a", []), taskStep("a", [])] })).toThrow("different names");
    expect(() => warmPlan({ name: "", steps: [] })).toThrow("`name`");
    expect(() => entityStep(one.users, [], { batch: 0 })).toThrow("`batch`");
    expect(() => taskStep("a", [], { priority: Number.NaN })).toThrow("`priority`");
  });
});

describe("a store", () => {
  it.each([
    ["in files", () => fileStore(join(folder, "deep", "er"))],
    ["in a cache", () => cacheStore(start().cache)],
  ])("%s gives what was written last, and nothing for what never was", async (_, make) => {
    const store = make();
    expect(await store.read("cursor:a/b")).toBeUndefined();
    await store.write("cursor:a/b", "1");
    await store.write("cursor:a/b", "2");
    expect(await store.read("cursor:a/b")).toBe("2");
    expect(await store.read("other")).toBeUndefined();
  });
});

describe("a rollout", () => {
  it("grows with time, and keeps what was in it", async () => {
    const { clock } = start();
    const users = Array.from({ length: 1_000 }, (_, n) => `user-${n}`);
    const growing = rollout({ from: 0.1, over: "10m", clock });
    const inside = (): string[] => users.filter((user) => growing.has(user));
    const first = inside();
    expect(first.length).toBeGreaterThan(60);
    expect(first.length).toBeLessThan(140);
    await clock.advance(300_000);
    expect(growing.share).toBeCloseTo(0.55);
    const later = inside();
    expect(later).toEqual(expect.arrayContaining(first));
    expect(later.length).toBeGreaterThan(450);
    await clock.advance(1_000_000);
    expect(inside()).toEqual(users);
  });

  it("is a part of larger ones, whatever the key", () => {
    for (let n = 0; n < 500; n += 1) {
      const key = `k${n}`;
      if (inShare(key, 0.2)) expect(inShare(key, 0.3)).toBe(true);
      expect(inShare(key, 1)).toBe(true);
    }
  });

  it("refuses shares outside 0 to 1", () => {
    expect(() => rollout({ from: 2, over: "1m" })).toThrow("`from`");
    expect(() => rollout({ to: -1, over: "1m" })).toThrow("`to`");
  });
});
