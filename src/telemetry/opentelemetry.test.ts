import { AsyncLocalStorage } from "node:async_hooks";

import * as api from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { oneCache } from "../../test/support/one-cache.js";
import { processes } from "../../test/support/processes.js";
import { meterCache, traceCache, type TelemetryMeter } from "./opentelemetry.js";

const start = oneCache();
const exporter = new InMemorySpanExporter();

/** Contexts that follow promises, as the SDK for Node has them. */
class StoredContexts implements api.ContextManager {
  readonly #store = new AsyncLocalStorage<api.Context>();
  active(): api.Context {
    return this.#store.getStore() ?? api.ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: api.Context,
    fn: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#store.run(context, () => fn.call(self, ...args));
  }
  bind<T>(_: api.Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
beforeAll(() => {
  api.context.setGlobalContextManager(new StoredContexts());
  api.trace.setGlobalTracerProvider(provider);
});
afterEach(() => exporter.reset());
afterAll(() => {
  api.trace.disable();
  api.context.disable();
});

/** The spans that ended, by name, with the name of the span each lies in. */
function spans(): { name: string; in: string | undefined; attributes: api.Attributes; failed: boolean }[] {
  const all = exporter.getFinishedSpans();
  return all.map((span) => ({
    name: span.name,
    in: all.find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId)?.name,
    attributes: span.attributes,
    failed: span.status.code === api.SpanStatusCode.ERROR,
  }));
}

describe("traceCache", () => {
  it("has the loader's work lie in the load, and the load in the read that began it", async () => {
    const { cache } = start({ name: "crm" });
    traceCache(cache, { api });
    const tracer = api.trace.getTracer("test");
    const users = cache.entity<number, string>({
      name: "user",
      async load(id) {
        await Promise.resolve();
        return tracer.startActiveSpan("select", (span) => {
          span.end();
          return `user ${id}`;
        });
      },
    });
    await tracer.startActiveSpan("request", async (request) => {
      await users.get(1);
      request.end();
    });
    await Promise.resolve();
    const found = spans();
    expect(found.map(({ name, in: parent }) => [name, parent])).toEqual([
      ["select", "cache.load"],
      ["cache.load", "cache.get"],
      ["cache.get", "request"],
      ["request", undefined],
    ]);
    expect(found[2]?.attributes).toEqual({
      "cache.name": "crm",
      "cache.entity": "user",
      "cache.hit": false,
      "cache.stale": false,
      "cache.item_size": expect.any(Number),
    });
  });

  it("says what tier answered a read, and how large the value is", async () => {
    const { caches, close } = await processes(2, { name: "crm" });
    const [one, two] = caches as [(typeof caches)[0], (typeof caches)[0]];
    traceCache(two, { api });
    await one.set("k", "v".repeat(1_000));
    await two.get("k");
    await two.get("k");
    expect(spans()).toMatchObject([
      { name: "cache.get", attributes: { "cache.hit": true, "cache.tier": "shared", "cache.stale": false } },
    ]);
    expect(spans()[0]?.attributes["cache.item_size"]).toBeGreaterThan(500);
    await close();
  });

  it("has a span for each write and invalidation, and one for a read of many", async () => {
    const { cache } = start();
    traceCache(cache, { api, keys: true });
    await cache.set("k", 1);
    await cache.setMany([
      ["a", 1],
      ["b", 2],
    ]);
    await cache.invalidate({ tag: "t" });
    await cache.writeThrough("w", async () => 5);
    await cache.getOrLoadMany(
      [1, 2, 3],
      (n) => `n:${n}`,
      async (missing) => missing,
    );
    expect(
      spans().map(({ name, in: parent, attributes }) => [name, parent, attributes["cache.item_count"] ?? 1]),
    ).toEqual([
      ["cache.set", undefined, 1],
      ["cache.set", undefined, 2],
      ["cache.invalidate", undefined, 1],
      ["cache.set", undefined, 1],
      ["cache.load", "cache.get", 3],
      ["cache.get", undefined, 3],
    ]);
    expect(spans()[0]?.attributes["cache.key"]).toBe("k");
  });

  it("marks what failed, and leaves the loader's error as it is", async () => {
    const { cache } = start();
    traceCache(cache, { api });
    const down = new Error("down");
    await expect(cache.getOrLoad("k", () => Promise.reject(down))).rejects.toBe(down);
    await Promise.resolve();
    expect(spans().map(({ name, failed }) => [name, failed])).toEqual([
      ["cache.load", true],
      ["cache.get", true],
    ]);
  });

  it("has no span for what memory answers, unless it is asked for, and then one", async () => {
    const { cache, clock } = start({ ttl: "1s", staleWhileRevalidate: "1m" });
    const off = traceCache(cache, { api });
    await cache.getOrLoad("k", () => 1);
    exporter.reset();
    await cache.getOrLoad("k", () => 1);
    expect(spans()).toEqual([]);
    off();
    traceCache(cache, { api, memoryHits: true });
    await cache.getOrLoad("k", () => 1);
    expect(spans()).toMatchObject([{ name: "cache.get", attributes: { "cache.hit": true, "cache.tier": "memory" } }]);
    exporter.reset();
    await clock.advance(2_000);
    // Found stale by a read that has a span of its own.
    await cache.get("k", { stale: true });
    expect(spans()).toMatchObject([{ name: "cache.get", attributes: { "cache.stale": true } }]);
  });

  it("names no key unless it is asked to", async () => {
    const { cache } = start();
    traceCache(cache, { api });
    await cache.getOrLoad("secret", () => 1);
    expect(JSON.stringify(spans())).not.toContain("secret");
  });

  it("stops when it is taken back", async () => {
    const { cache } = start();
    traceCache(cache, { api })();
    await cache.getOrLoad("k", () => 1);
    expect(spans()).toEqual([]);
  });

  it("refuses what is not the api", () => {
    const { cache } = start();
    expect(() => traceCache(cache, { api: {} } as never)).toThrow("`api`");
  });

  it("changes nothing where no tracer is registered", async () => {
    api.trace.disable();
    const { cache } = start();
    traceCache(cache, { api });
    expect(await cache.getOrLoad("k", () => api.trace.getActiveSpan() === undefined)).toBe(true);
    api.trace.setGlobalTracerProvider(provider);
  });
});

describe("meterCache", () => {
  it("gives the metrics by their names when the meter collects", async () => {
    const { cache } = start({ name: "crm" });
    const callbacks = new Map<string, (result: { observe(value: number, labels: object): void }) => void>();
    const recorded: [string, number, object][] = [];
    const observable = (name: string): ReturnType<TelemetryMeter["createObservableGauge"]> => ({
      addCallback: (callback) => void callbacks.set(name, callback),
      removeCallback: () => void callbacks.delete(name),
    });
    const meter: TelemetryMeter = {
      createObservableCounter: observable,
      createObservableGauge: observable,
      createHistogram: (name) => ({ record: (value, labels) => void recorded.push([name, value, labels]) }),
    };
    const off = meterCache(cache, { meter });
    await cache.entity<number, number>({ name: "user", load: (id) => id }).get(1);
    const observed: unknown[] = [];
    callbacks.get("cache_miss_reasons_total")?.({ observe: (value, labels) => void observed.push([value, labels]) });
    expect(observed).toEqual([[1, { cache: "crm", entity: "user", reason: "cold" }]]);
    expect(recorded.map(([name]) => name)).toContain("cache_loader_duration_seconds");
    off();
    expect(callbacks.size).toBe(0);
  });

  it("takes the api's own meter", () => {
    const { cache } = start();
    expect(() => meterCache(cache, { meter: api.metrics.getMeter("test") })()).not.toThrow();
  });
});
