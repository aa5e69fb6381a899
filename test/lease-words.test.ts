import { expect, it, onTestFinished } from "vitest";

import type { SharedStep } from "../src/testing/index.js";
import { deferred } from "./support/deferred.js";
import { processes } from "./support/processes.js";

it("a lease granted to somebody who has given up on the answer holds up nobody", async () => {
  const { caches, connections, clock, settle, close } = await processes(2);
  onTestFinished(close);
  const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
  connections[0]?.slow(200, clock);
  let slower = false;
  const first = a.getOrLoad("k", async () => "first");
  // The read is in time; the lease is asked for at 200 ms and granted when nobody waits for the answer any more.
  await clock.advance(200);
  connections[0]?.slow(400, clock);
  slower = true;
  await clock.advance(1_000);
  expect(await first).toBe("first");
  expect(slower).toBe(true);
  connections[0]?.heal();
  await clock.advance(100);
  let answer: string | undefined;
  void b.getOrLoad("k", async () => "second").then((value) => (answer = value));
  await settle();
  expect(answer).toBeDefined();
});

it("the word that a lease ended is heard though it comes before the answer that somebody holds it", async () => {
  const late: SharedStep[] = [];
  const state = { holding: false };
  const schedule = (step: SharedStep): void => {
    if (state.holding && step.kind === "reply" && step.name === "acquire") late.push(step);
    else queueMicrotask(() => step.run());
  };
  const { caches, settle, close } = await processes(2, {}, { schedule });
  onTestFinished(close);
  const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
  const source = deferred<string>();
  const first = a.getOrLoad("k", () => source.promise);
  await settle();
  state.holding = true;
  let answer: string | undefined;
  void b.getOrLoad("k", async () => "never").then((value) => (answer = value));
  await settle();
  expect(late).toHaveLength(1);
  source.resolve("loaded");
  expect(await first).toBe("loaded");
  await settle();
  state.holding = false;
  for (const step of late) step.run();
  // At once, and not when it would look again.
  await settle();
  expect(answer).toBe("loaded");
});

it("a lock granted to somebody who has given up on the answer is free", async () => {
  const { caches, connections, clock, settle, close } = await processes(2);
  onTestFinished(close);
  const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
  connections[0]?.slow(400, clock);
  const given = a.lock("l").catch((error: unknown) => error);
  await clock.advance(1_000);
  expect(await given).toMatchObject({ code: "ERR_CACHE_TIER" });
  connections[0]?.heal();
  let fence: number | undefined;
  void b.lock("l").then((lock) => (fence = lock.fence));
  await settle();
  expect(fence).toBeDefined();
});
