import { describe, expect, it } from "vitest";

import { createCache, memory, type Cache } from "../index.js";
import { FakeClock } from "./fake-clock.js";
import { MemoryFeed, type MemoryFeedOptions } from "./feed-memory.js";
import { SharedMemory } from "./shared-memory.js";

interface World {
  readonly clock: FakeClock;
  readonly cache: Cache;
  readonly feed: MemoryFeed;
  /** What a reader of the source sees. */
  readonly source: { value: number };
  readonly get: () => Promise<number>;
}

async function world(options: MemoryFeedOptions = {}): Promise<World> {
  const clock = new FakeClock();
  const feed = new MemoryFeed({ maxStaleness: 1_000, ...options });
  const shared = new SharedMemory({ clock });
  const cache = createCache({
    clock,
    feed,
    tiers: [memory(), shared.factory()],
    jitter: 0,
    random: () => 0.5,
    ttl: "1h",
  });
  await clock.advance(0);
  const source = { value: 1 };
  return { clock, cache, feed, source, get: () => cache.getOrLoad("key", async () => source.value) };
}

describe("a cache fed by a source", () => {
  it("serves what it has until the source says that it changed", async () => {
    const { cache, feed, source, get } = await world();
    expect(await get()).toBe(1);
    source.value = 2;
    expect(await get()).toBe(1);
    await feed.changed([{ key: "key" }]);
    expect(await get()).toBe(2);
    await cache.close();
  });

  it("does not keep an old row loaded between the event and its being seen", async () => {
    const { cache, clock, feed, source, get } = await world();
    await get();
    const commit = feed.commit([{ key: "key" }]);
    commit.deliver();
    await clock.advance(0);
    expect(await get()).toBe(1);
    source.value = 2;
    commit.reveal();
    await commit.published;
    expect(await get()).toBe(2);
    await cache.close();
  });

  it("keeps it for good when the feed does not wait: the event was its only invalidation", async () => {
    const { cache, clock, feed, source, get } = await world({ atOnce: true });
    await get();
    const commit = feed.commit([{ key: "key" }]);
    commit.deliver();
    await clock.advance(0);
    await get();
    source.value = 2;
    commit.reveal();
    await clock.advance(100);
    expect(await get()).toBe(1);
    await cache.close();
  });

  it("reads through when it has heard nothing for as long as an entry may be old", async () => {
    const { cache, clock, feed, source, get } = await world();
    await get();
    feed.pause();
    source.value = 2;
    await clock.advance(900);
    expect(await get()).toBe(1);
    await clock.advance(400);
    expect(await get()).toBe(2);
    feed.resume();
    await cache.close();
  });

  it("is complete only up to a barrier before which all that was seen is published", async () => {
    const { cache, clock, feed } = await world({ barriers: false });
    const ago = (): number => cache.stats().feed?.completeAgo ?? Number.NaN;
    const seen = feed.commit([{ key: "key" }]);
    seen.reveal();
    feed.barrier();
    await clock.advance(10);
    expect(ago()).toBe(Number.POSITIVE_INFINITY);
    const unseen = feed.commit([{ key: "other" }]);
    unseen.deliver();
    feed.barrier();
    await clock.advance(10);
    seen.deliver();
    await seen.published;
    await clock.advance(0);
    expect(ago()).toBe(10);
    await cache.close();
  });

  it("believes nothing that was stored before the feed lost its place", async () => {
    const { cache, feed, source, get } = await world();
    await get();
    source.value = 2;
    feed.commit([{ key: "key" }]).reveal();
    await feed.lose();
    expect(await get()).toBe(2);
    await cache.close();
  });

  it("leaves no timer behind", async () => {
    const { cache, clock } = await world();
    await cache.close();
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });
});
