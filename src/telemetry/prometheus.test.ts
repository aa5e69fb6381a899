import { Gauge, Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";

import { processes } from "../../test/support/processes.js";
import { oneCache } from "../../test/support/one-cache.js";
import { createCache, memory } from "../index.js";
import { FakeClock, SharedMemory } from "../testing/index.js";
import { METRICS, prometheus, type PrometheusMetrics } from "./prometheus.js";

const start = oneCache();
const opened: PrometheusMetrics[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function metricsOf(options: Parameters<typeof prometheus>[0] = {}): PrometheusMetrics {
  const metrics = prometheus(options);
  opened.push(metrics);
  return metrics;
}

/** The series of a scrape that begin with a name, with their values. */
function series(text: string, name: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match?.[1]?.startsWith(name) === true) found[match[1]] = Number(match[2]);
  }
  return found;
}

describe("prometheus", () => {
  it("counts reads by what answered them, and why they missed", async () => {
    const { cache, clock } = start({ ttl: "10s", staleWhileRevalidate: "1m" });
    const users = cache.entity<number, string>({ name: "user", load: (id) => `user ${id}` });
    const metrics = metricsOf();
    metrics.watch(cache);
    await users.get(1);
    await users.get(1);
    await users.get(1, { forceFresh: true });
    await clock.advance(11_000);
    await users.get(1);
    await clock.advance(10);
    await cache.get("other");
    const text = metrics.text();
    expect(series(text, 'cache_requests_total{cache="cache",entity="user"')).toEqual({
      'cache_requests_total{cache="cache",entity="user",tier="memory",result="hit"}': 1,
      'cache_requests_total{cache="cache",entity="user",tier="memory",result="stale"}': 1,
      'cache_requests_total{cache="cache",entity="user",tier="shared",result="hit"}': 0,
      'cache_requests_total{cache="cache",entity="user",tier="shared",result="stale"}': 0,
      'cache_requests_total{cache="cache",entity="user",tier="none",result="miss"}': 1,
      'cache_requests_total{cache="cache",entity="user",tier="none",result="error"}': 0,
      'cache_requests_total{cache="cache",entity="user",tier="none",result="bypass"}': 1,
    });
    expect(series(text, "cache_miss_reasons_total")).toEqual({
      'cache_miss_reasons_total{cache="cache",entity="user",reason="cold"}': 1,
      'cache_miss_reasons_total{cache="cache",entity="user",reason="bypass"}': 1,
      'cache_miss_reasons_total{cache="cache",entity="",reason="cold"}': 1,
    });
    expect(series(text, 'cache_loader_calls_avoided_total{cache="cache",entity="user"')).toMatchObject({
      'cache_loader_calls_avoided_total{cache="cache",entity="user",why="memory"}': 1,
      'cache_loader_calls_avoided_total{cache="cache",entity="user",why="stale"}': 1,
    });
    expect(series(text, "cache_entries")).toEqual({ 'cache_entries{cache="cache",tier="memory"}': 1 });
  });

  it("tells loads that overlapping readers shared from those that were made", async () => {
    const { cache, clock } = start();
    const metrics = metricsOf();
    metrics.watch(cache);
    const load = (): Promise<number> => new Promise((resolve) => void clock.after(30, () => resolve(1)));
    const reads = [1, 2, 3].map(() => cache.getOrLoad("k", load));
    await clock.advance(30);
    await Promise.all(reads);
    await expect(cache.getOrLoad("bad", () => Promise.reject(new Error("down")))).rejects.toThrow("down");
    const text = metrics.text();
    expect(series(text, "cache_loader_calls_avoided_total")).toMatchObject({
      'cache_loader_calls_avoided_total{cache="cache",entity="",why="coalesced"}': 2,
    });
    expect(series(text, "cache_coalesced_waiters_total")).toMatchObject({
      'cache_coalesced_waiters_total{cache="cache",entity="",across="process"}': 2,
    });
    expect(series(text, 'cache_loader_duration_seconds_bucket{cache="cache",entity="",result="ok"')).toMatchObject({
      'cache_loader_duration_seconds_bucket{cache="cache",entity="",result="ok",le="0.025"}': 0,
      'cache_loader_duration_seconds_bucket{cache="cache",entity="",result="ok",le="0.05"}': 1,
      'cache_loader_duration_seconds_bucket{cache="cache",entity="",result="ok",le="+Inf"}': 1,
    });
    expect(series(text, "cache_loader_duration_seconds_sum")).toEqual({
      'cache_loader_duration_seconds_sum{cache="cache",entity="",result="ok"}': 0.03,
      'cache_loader_duration_seconds_sum{cache="cache",entity="",result="error"}': 0,
    });
  });

  it("times what memory does not answer at once, by how it ended", async () => {
    const clock = new FakeClock();
    const shared = new SharedMemory({ clock });
    const cache = createCache({ clock, tiers: [memory(), shared.factory()], jitter: 0 });
    const metrics = metricsOf({ now: () => clock.now() });
    metrics.watch(cache);
    await clock.advance(0);
    await cache.set("k", 1);
    await cache.get("k");
    await cache.get("none");
    await cache.getOrLoadMany(
      [1, 2],
      (n) => `n:${n}`,
      async (missing) => missing,
    );
    const read = cache.getOrLoad(
      "slow",
      () => new Promise<number>((resolve) => void clock.after(200, () => resolve(1))),
    );
    await clock.advance(200);
    await read;
    await cache.invalidate({ key: "k" });
    await cache.getOrLoad("bad", () => Promise.reject(new Error("down"))).catch(() => undefined);
    const counts = series(metrics.text(), "cache_operation_duration_seconds_count");
    expect(counts).toEqual({
      'cache_operation_duration_seconds_count{cache="cache",operation="set",tier="none",result="ok"}': 1,
      'cache_operation_duration_seconds_count{cache="cache",operation="get",tier="none",result="miss"}': 2,
      'cache_operation_duration_seconds_count{cache="cache",operation="get",tier="none",result="mixed"}': 1,
      'cache_operation_duration_seconds_count{cache="cache",operation="get",tier="none",result="error"}': 1,
      'cache_operation_duration_seconds_count{cache="cache",operation="load",tier="none",result="ok"}': 2,
      'cache_operation_duration_seconds_count{cache="cache",operation="load",tier="none",result="error"}': 1,
      'cache_operation_duration_seconds_count{cache="cache",operation="invalidate",tier="none",result="ok"}': 1,
    });
    expect(
      series(
        metrics.text(),
        'cache_operation_duration_seconds_sum{cache="cache",operation="get",tier="none",result="miss"',
      ),
    ).toEqual({
      'cache_operation_duration_seconds_sum{cache="cache",operation="get",tier="none",result="miss"}': 0.2,
    });
    await cache.close();
  });

  it("says what invalidations named, whose they were and how long they were on their way", async () => {
    const { caches, clock, settle, close } = await processes(2, { name: "crm" });
    const [one, two] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const metrics = metricsOf();
    metrics.watch(two);
    await one.set("k", 1);
    await one.invalidate([{ tag: "a" }, { tag: "b" }, { prefix: "p" }]);
    await two.invalidate({ all: true });
    await settle();
    await clock.advance(5_000);
    const text = metrics.text();
    expect(series(text, "cache_invalidations_total")).toEqual({
      'cache_invalidations_total{cache="crm",source="own",kind="all"}': 1,
      'cache_invalidations_total{cache="crm",source="other",kind="key"}': 1,
      'cache_invalidations_total{cache="crm",source="other",kind="tag"}': 2,
      'cache_invalidations_total{cache="crm",source="other",kind="prefix"}': 1,
    });
    expect(series(text, "cache_invalidation_propagation_seconds_count")).toEqual({
      'cache_invalidation_propagation_seconds_count{cache="crm"}': 2,
    });
    expect(Object.values(series(text, "cache_invalidation_propagation_seconds_sum"))[0]).toBeLessThan(1);
    expect(series(text, "cache_log_heard_ago_seconds")).toMatchObject({});
    await close();
  });

  it("tells the state of the shared tier and of its breaker", async () => {
    const { caches, clock, connections, close } = await processes(1, { name: "crm", shared: { timeout: 50 } });
    const [cache] = caches as [(typeof caches)[0]];
    const metrics = metricsOf();
    metrics.watch(cache);
    const of = (name: string): Record<string, number> => series(metrics.text(), name);
    const shard = 'cache="crm",tier="memory-shared",shard="0"';
    expect(of("cache_tier_up")).toEqual({ [`cache_tier_up{${shard}}`]: 1 });
    expect(of("cache_circuit_state")).toEqual({ [`cache_circuit_state{${shard}}`]: 0 });
    connections[0]?.fail();
    for (let n = 0; n < 10; n += 1) {
      const reading = cache.get(`k${n}`);
      await clock.advance(60);
      await reading;
    }
    expect(of("cache_tier_up")).toEqual({ [`cache_tier_up{${shard}}`]: 0 });
    expect(of("cache_circuit_state")).toEqual({ [`cache_circuit_state{${shard}}`]: 2 });
    expect(Object.values(of("cache_tier_failures_total"))[0]).toBeGreaterThan(0);
    await close();
  });

  it("tells stale answers by tier, and takes a look into the shared tier that readers shared for no load", async () => {
    const { caches, clock, close } = await processes(2, { name: "crm", ttl: "1s", staleWhileRevalidate: "1m" });
    const [one, two] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const metrics = metricsOf();
    metrics.watch(two);
    await one.set("old", 1);
    await clock.advance(2_000);
    await two.get("old", { stale: true });
    await one.set("new", 1);
    await Promise.all([1, 2, 3].map(() => two.getOrLoad("new", () => expect.unreachable())));
    const text = metrics.text();
    expect(series(text, 'cache_requests_total{cache="crm",entity="",tier="shared"')).toEqual({
      'cache_requests_total{cache="crm",entity="",tier="shared",result="hit"}': 3,
      'cache_requests_total{cache="crm",entity="",tier="shared",result="stale"}': 1,
    });
    expect(series(text, "cache_loader_calls_avoided_total")).toMatchObject({
      'cache_loader_calls_avoided_total{cache="crm",entity="",why="coalesced"}': 0,
      'cache_loader_calls_avoided_total{cache="crm",entity="",why="shared"}': 3,
    });
    expect(series(text, "cache_coalesced_waiters_total")).toMatchObject({
      'cache_coalesced_waiters_total{cache="crm",entity="",across="process"}': 2,
    });
    await close();
  });

  it("samples how old what memory serves is, and tells of every answer of the shared tier", async () => {
    const { caches, clock, close } = await processes(2, { name: "crm", ttl: "1h", hotKeys: false });
    const [one, two] = caches as [(typeof caches)[0], (typeof caches)[0]];
    const metrics = metricsOf();
    metrics.watch(two);
    await one.set("k", 1);
    await clock.advance(20_000);
    await two.get("k");
    await clock.advance(100_000);
    for (let n = 0; n < 20_000; n += 1) await two.get("k");
    const text = metrics.text();
    expect(series(text, 'cache_serve_age_seconds_bucket{cache="crm",tier="shared"')).toMatchObject({
      'cache_serve_age_seconds_bucket{cache="crm",tier="shared",le="15"}': 0,
      'cache_serve_age_seconds_bucket{cache="crm",tier="shared",le="60"}': 1,
      'cache_serve_age_seconds_bucket{cache="crm",tier="shared",le="+Inf"}': 1,
    });
    const memoryCount = series(text, 'cache_serve_age_seconds_count{cache="crm",tier="memory"');
    const [count] = Object.values(memoryCount);
    expect(count).toBeGreaterThan(3);
    expect(count).toBeLessThan(50);
    expect(series(text, 'cache_serve_age_seconds_bucket{cache="crm",tier="memory",le="60"')).toEqual({
      'cache_serve_age_seconds_bucket{cache="crm",tier="memory",le="60"}': 0,
    });
    await close();
  });

  it("gives the entities past its bound one label together, and never a key", async () => {
    const { cache } = start();
    const metrics = metricsOf({ entities: 2 });
    metrics.watch(cache);
    for (const name of ["a", "b", "c", "d"])
      await cache.entity<string, number>({ name, load: () => 1 }).get("secret-id");
    await cache.get("secret-key");
    const text = metrics.text();
    const misses = Object.entries(series(text, "cache_miss_reasons_total"));
    expect(Object.fromEntries(misses.map(([name, value]) => [/entity="(\w*)"/.exec(name)?.[1], value]))).toEqual({
      "": 1,
      a: 1,
      b: 1,
      other: 2,
    });
    expect(text).not.toContain("secret");
  });

  it("has the names of services without this package, where that is asked for", async () => {
    const { cache } = start();
    const metrics = metricsOf({ compatible: true });
    metrics.watch(cache);
    const users = cache.entity<number, number>({ name: "user", load: (id) => id });
    await users.get(1);
    await users.get(1);
    await cache.get("k");
    const text = metrics.text();
    expect(series(text, "cache_hits_total")).toEqual({
      'cache_hits_total{cache_type="user"}': 1,
      'cache_hits_total{cache_type="default"}': 0,
    });
    expect(series(text, "cache_misses_total")).toEqual({
      'cache_misses_total{cache_type="user"}': 1,
      'cache_misses_total{cache_type="default"}': 1,
    });
    expect(metricsOf().text()).not.toContain("cache_hits_total");
  });

  it("registers with prom-client, in both of its formats", async () => {
    const { cache } = start();
    const registry = new Registry();
    const metrics = metricsOf({ registry });
    metrics.watch(cache);
    await cache.getOrLoad("k", () => 1);
    const plain = series(await registry.metrics(), "cache_");
    expect(plain).toMatchObject({ 'cache_miss_reasons_total{cache="cache",entity="",reason="cold"}': 1 });
    expect(Object.keys(plain).toSorted()).toEqual(Object.keys(series(metrics.text(), "cache_")).toSorted());
    expect((await registry.getMetricsAsJSON()).map(({ name }) => name)).toEqual(
      Object.values(METRICS).map(({ name }) => name),
    );
    const merged = Registry.merge([registry]);
    expect(await merged.metrics()).toBe(await registry.metrics());
    const open = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const second = metricsOf({ registry: open });
    second.watch(cache);
    expect(await open.metrics()).toContain('cache_requests_total{cache="cache",entity="",tier="none",result="miss"} 1');
    registry.resetMetrics();
    metrics.close();
    expect(await registry.metrics()).toBe("\n");
  });

  it("leaves a registry as it was when one of its names is taken", async () => {
    const registry = new Registry();
    registry.registerMetric(new Gauge({ name: METRICS.entries.name, help: "somebody else's", registers: [] }));
    expect(() => prometheus({ registry })).toThrow(METRICS.entries.name);
    expect((await registry.getMetricsAsJSON()).map(({ help }) => help)).toEqual(["somebody else's"]);
  });

  it("forgets a cache that is taken out, and refuses two of one name", () => {
    const { cache } = start();
    const metrics = metricsOf();
    const unwatch = metrics.watch(cache);
    expect(() => metrics.watch(cache)).toThrow("a name of its own");
    unwatch();
    expect(series(metrics.text(), "cache_")).toEqual({});
    metrics.watch(cache);
    expect(Object.keys(series(metrics.text(), "cache_entries"))).toHaveLength(1);
  });

  it("is told of no hit, so that a hit costs what it costs without", async () => {
    const { cache } = start();
    const metrics = metricsOf();
    metrics.watch(cache);
    const told: string[] = [];
    cache.on("loaded", ({ type }) => told.push(type));
    let made = 0;
    cache.watch((_, run) => {
      made += 1;
      void run();
    });
    await cache.getOrLoad("k", () => 1);
    const before = made;
    for (let n = 0; n < 100; n += 1) await cache.getOrLoad("k", () => 1);
    expect(made).toBe(before);
  });

  it.each([
    ["entities", { entities: 0 }],
    ["registry", { registry: {} }],
    ["now", { now: 5 }],
    ["prometheus option", { prefix: "x" }],
  ])("refuses a wrong %s: %o", (option, options) => {
    expect(() => prometheus(options as object)).toThrow(`\`${option}\``);
  });

  it("refuses what is no cache", () => {
    expect(() => metricsOf().watch({} as never)).toThrow("`cache`");
  });
});
