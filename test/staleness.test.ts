import { describe, expect, it, onTestFinished } from "vitest";

import { createCache, type Cache, type CacheEvent, type ChangeFeed, type ChangeSink } from "../src/index.js";
import type { CacheOptions } from "../src/options.js";
import { FakeClock } from "../src/testing/index.js";
import { resolveStaleness, StalenessMonitor } from "../src/feed/staleness-monitor.js";
import { Recorder } from "../src/stats.js";

const BOUND = 1_000;

interface World {
  readonly cache: Cache;
  readonly sink: ChangeSink;
  readonly clock: FakeClock;
  readonly events: CacheEvent[];
}

function world(options: CacheOptions): World {
  const clock = new FakeClock();
  let sink: ChangeSink | undefined;
  const feed: ChangeFeed = {
    kind: "test",
    maxStaleness: BOUND,
    open(given) {
      sink = given;
      return { stats: () => ({}), close: async () => undefined };
    },
  };
  const cache = createCache({ name: "s", clock, jitter: 0, feed, random: () => 0.5, ...options });
  onTestFinished(async () => {
    const closing = cache.close();
    await clock.advance(10_000);
    await closing;
  });
  const events: CacheEvent[] = [];
  cache.on("staleness", (event) => events.push(event));
  return { cache, sink: sink as ChangeSink, clock, events };
}

interface Row {
  readonly id: number;
  version: number;
}

function rows(cache: Cache, options: { readonly many?: boolean } = {}) {
  const source = { version: 1, loads: 0, fails: false };
  const row = (id: number): Row => {
    source.loads += 1;
    if (source.fails) throw new Error("the source is away");
    return { id, version: source.version };
  };
  const entity = cache.entity<number, Row>(
    options.many === true
      ? { name: "row", loadMany: async (ids) => ids.map(row) }
      : { name: "row", load: (id) => row(id) },
  );
  return { source, entity };
}

/** Twice: the first hit after a load is the one at which the entry is judged, and no sample. */
async function stored(entity: { get(id: number): Promise<unknown> }): Promise<void> {
  await entity.get(1);
  await entity.get(1);
}

/** Keeps the feed complete while time passes. */
async function pass({ sink, clock }: World, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    sink.complete(clock.now());
    await clock.advance(Math.min(left, 250));
  }
  sink.complete(clock.now());
}

describe("from the side of changes", () => {
  it("a changed thing is looked at after the bound and after each horizon, and found right", async () => {
    const made = world({ staleness: { changes: 1, after: ["10s", "1m"], reads: 0 } });
    const { entity, source } = rows(made.cache);
    await entity.get(1);
    source.version = 2;
    await made.sink.publish([{ of: entity, ids: [1] }]);
    await entity.get(1);
    await pass(made, 61_000);
    expect(made.cache.stats().staleness?.changes).toEqual([
      { after: 1_000, checked: 1, violations: 0, nines: Number.POSITIVE_INFINITY },
      { after: 10_000, checked: 1, violations: 0, nines: Number.POSITIVE_INFINITY },
      { after: 60_000, checked: 1, violations: 0, nines: Number.POSITIVE_INFINITY },
    ]);
    expect(made.events).toEqual([]);
  });

  it.each([
    ["older than its change is a violation", 9_000, 1],
    ["that may be younger than its change, as far as clocks agree, is none", 1_400, 0],
  ])("an entry served fresh that is %s", async (_name, age, violations) => {
    const clock = new FakeClock();
    const recorder = new Recorder();
    const told: CacheEvent[] = [];
    recorder.on("staleness", (event) => told.push(event));
    const monitor = new StalenessMonitor({
      settings: resolveStaleness({ changes: 1, after: [] }),
      bound: BOUND,
      clock,
      random: () => 0,
      recorder,
      local: undefined as never,
    });
    const tier = { reason: undefined, freshFor: 1, tags: [], bytes: 1, position: 1 };
    monitor.published("k", async () => ({
      key: "k",
      tiers: [
        { ...tier, tier: "memory", state: "dead", age: 99_000 },
        { ...tier, tier: "shared", state: "fresh", age },
      ],
      loading: false,
      failures: undefined,
      summary: "",
    }));
    await clock.advance(BOUND);
    expect(monitor.stats().changes).toMatchObject([{ after: BOUND, checked: 1, violations }]);
    expect(monitor.stats().found).toHaveLength(violations);
    expect(told).toHaveLength(violations);
    if (violations === 1)
      expect(told[0]).toMatchObject({ what: "violation", key: "k", tier: "shared", outdatedFor: BOUND });
  });

  it("is watched only as far as it is sampled, and not more at once than there may be", async () => {
    const made = world({ staleness: { changes: 0.4, after: [], reads: 0 } });
    const { entity } = rows(made.cache);
    await made.sink.publish([{ of: entity, ids: [1, 2, 3] }]);
    await pass(made, 2_000);
    expect(made.cache.stats().staleness?.changes[0]?.checked).toBe(0);
    const few = world({ staleness: { changes: 1, after: [], reads: 0, most: 2 } });
    const { entity: another } = rows(few.cache);
    await few.sink.publish([{ of: another, ids: [1, 2, 3] }]);
    await pass(few, 2_000);
    expect(few.cache.stats().staleness?.changes[0]?.checked).toBe(2);
  });
});

describe("from the side of reads", () => {
  const sampled: CacheOptions = { staleness: { changes: 0, after: [], reads: 1 } };

  it.each([false, true])(
    "a sampled hit that is the same as its source is counted so (by loadMany: %s)",
    async (many) => {
      const made = world(sampled);
      const { entity, source } = rows(made.cache, { many });
      await stored(entity);
      expect(source.loads).toBe(1);
      await entity.get(1);
      await made.clock.advance(0);
      expect(source.loads).toBe(2);
      expect(made.cache.stats().staleness?.reads).toMatchObject({ checked: 1, same: 1 });
    },
  );

  it("one that differs and is invalidated within the bound is legal", async () => {
    const made = world(sampled);
    const { entity, source } = rows(made.cache);
    await stored(entity);
    source.version = 2;
    await entity.get(1);
    await made.clock.advance(500);
    await made.sink.publish([{ of: entity, ids: [1] }]);
    await pass(made, 1_000);
    expect(made.cache.stats().staleness?.reads).toMatchObject({ checked: 1, legal: 1, unexplained: 0 });
  });

  it("one that differs and of which nobody tells is unexplained", async () => {
    const made = world(sampled);
    const { entity, source } = rows(made.cache);
    await stored(entity);
    source.version = 2;
    await entity.get(1);
    await pass(made, 2_000);
    expect(made.cache.stats().staleness?.reads).toMatchObject({ checked: 1, unexplained: 1, violations: 0 });
    expect(made.events).toEqual([
      { type: "staleness", what: "unexplained", key: entity.key(1), tier: "memory", outdatedFor: undefined },
    ]);
    expect(made.cache.stats().staleness?.found).toHaveLength(1);
  });

  it("a source that fails compares nothing", async () => {
    const made = world(sampled);
    const { entity, source } = rows(made.cache);
    await stored(entity);
    source.fails = true;
    await entity.get(1);
    await made.clock.advance(0);
    expect(made.cache.stats().staleness?.reads).toMatchObject({ checked: 0, failed: 1 });
  });

  it("is off unless asked for", async () => {
    const made = world({});
    const { entity, source } = rows(made.cache);
    for (let read = 0; read < 100; read += 1) await entity.get(1);
    expect(source.loads).toBe(1);
    expect(made.cache.stats().staleness).toBeUndefined();
  });
});

it.each([[{ changes: 2 }], [{ reads: -1 }], [{ after: "10s" }], [{ most: 0 }], [{ sample: 1 }]])(
  "refuses %j",
  (staleness) => {
    expect(() => createCache({ staleness: staleness as never })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
    );
  },
);
