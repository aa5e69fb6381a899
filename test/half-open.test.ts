import { expect, it, onTestFinished } from "vitest";

import { processes } from "./support/processes.js";

it("a subscription that stands and brings nothing is made anew", async () => {
  const { caches, connections, clock, close } = await processes(2);
  onTestFinished(close);
  const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
  const subscriptions = (): number => connections[1]?.calls.subscribe ?? 0;
  expect(subscriptions()).toBe(1);
  connections[1]?.dropPushes(true);
  await a.invalidate({ tag: "t" });
  // One heartbeat finds the record in the log, the next that no push has brought it.
  await clock.advance(600);
  expect(b.stats().invalidations.other).toBe(1);
  await clock.advance(600);
  expect(subscriptions()).toBe(2);
  connections[1]?.dropPushes(false);
  await a.invalidate({ tag: "t" });
  await clock.advance(0);
  expect(b.stats().invalidations.other).toBe(2);
  await clock.advance(30_000);
  expect(subscriptions()).toBe(2);
});

it("one that is quiet because nothing happens, or because it was away, is left alone", async () => {
  const { caches, connections, clock, close } = await processes(2);
  onTestFinished(close);
  const [a] = caches as [(typeof caches)[0]];
  await clock.advance(10_000);
  connections[1]?.disconnect();
  await a.invalidate({ tag: "t" });
  await clock.advance(300);
  connections[1]?.reconnect();
  await clock.advance(10_000);
  await a.invalidate({ tag: "t" });
  await clock.advance(10_000);
  expect(connections[1]?.calls.subscribe).toBe(1);
});
