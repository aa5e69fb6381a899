import { expect, it, onTestFinished } from "vitest";

import { createCache, memory, type Cache } from "../src/index.js";
import { FakeClock, SharedMemory } from "../src/testing/index.js";
import type { LogSignal, SharedTierFactory } from "../src/tiers/shared.js";
import { deferred } from "./support/deferred.js";

/** A cache whose shared tier tells of changes as one that tracks foreign writers does. */
async function tracked(): Promise<{
  cache: Cache;
  clock: FakeClock;
  server: SharedMemory;
  tell: (signal: LogSignal) => void;
  reads: () => number;
  beforeReads: { wait: Promise<void> | undefined };
}> {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock });
  const listeners: ((signal: LogSignal) => void)[] = [];
  const beforeReads: { wait: Promise<void> | undefined } = { wait: undefined };
  let reads = 0;
  const factory: SharedTierFactory = {
    kind: "tracked",
    open(name) {
      const tier = server.factory().open(name);
      return {
        ...tier,
        store: {
          ...tier.store,
          async read(keys) {
            reads += 1;
            const answer = await tier.store.read(keys);
            await beforeReads.wait;
            return answer;
          },
        },
        log: {
          ...tier.log,
          subscribe(listener) {
            listeners.push(listener);
            return tier.log.subscribe(listener);
          },
        },
      };
    },
  };
  const cache = createCache({ name: "test", tiers: [memory(), factory], clock, jitter: 0, random: () => 0.5 });
  onTestFinished(async () => {
    const closing = cache.close();
    await clock.advance(10_000);
    await closing;
  });
  await clock.advance(0);
  return {
    cache,
    clock,
    server,
    tell: (signal) => {
      for (const listener of listeners) listener(signal);
    },
    reads: () => reads,
    beforeReads,
  };
}

/** Takes the entry away as somebody does who knows nothing of the log. */
async function removeBehind(server: SharedMemory, key: string): Promise<void> {
  const tier = server.factory().open("test");
  const read = (await tier.store.read([key])).values[0];
  if (read instanceof Uint8Array) await tier.store.discard(key, read.slice(4, 12));
  await tier.close();
}

it("memory asks the tier again about a key that somebody else changed", async () => {
  const { cache, server, tell } = await tracked();
  await cache.set("k", "old");
  await cache.set("other", "kept");
  await removeBehind(server, "k");
  expect(cache.peek("k")).toBe("old");
  tell({ type: "changed", key: "k" });
  expect(cache.peek("k")).toBeUndefined();
  expect(cache.peek("other")).toBe("kept");
  expect(await cache.getOrLoad("k", () => "new")).toBe("new");
});

it("an entry that did not change is good again after one read, without a load", async () => {
  const { cache, tell, reads } = await tracked();
  await cache.set("k", "v");
  tell({ type: "changed", key: "k" });
  const before = reads();
  expect(await cache.getOrLoad("k", () => "never")).toBe("v");
  expect(await cache.getOrLoad("k", () => "never")).toBe("v");
  expect(reads()).toBe(before + 1);
});

it("every entry is asked about when the feed was lost", async () => {
  const { cache, server, tell } = await tracked();
  await cache.setMany([
    ["k", "old"],
    ["other", "kept"],
  ]);
  await removeBehind(server, "k");
  tell({ type: "changed-all" });
  expect(cache.peek("other")).toBeUndefined();
  expect(await cache.get("other")).toBe("kept");
  expect(cache.peek("other")).toBe("kept");
  expect(await cache.get("k")).toBeUndefined();
});

it.each<LogSignal>([{ type: "changed", key: "k" }, { type: "changed-all" }])(
  "a read on its way when word comes ($type) is not believed for longer than itself",
  async (signal) => {
    const { cache, server, tell, beforeReads, clock } = await tracked();
    await cache.set("k", "old");
    tell({ type: "changed-all" });
    const held = deferred<void>();
    beforeReads.wait = held.promise;
    const reading = cache.get("k");
    await clock.advance(0);
    // The answer was read before the change, and arrives after the word of it.
    await removeBehind(server, "k");
    tell(signal);
    held.resolve();
    beforeReads.wait = undefined;
    expect(await reading).toBe("old");
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
  },
);
