import type { Cache } from "../api.js";
import { systemClock } from "../clock.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { Operation } from "../watchers.js";
import { EntityLabels } from "./entity-labels.js";
import { measure, type Observe } from "./measures.js";
import { METRICS, type MetricId } from "./metrics.js";
import { statsSamples } from "./stats-samples.js";

/* What is used of `@opentelemetry/api` (1.x): handed over by the caller, as there must be one copy of it in a process. */

export interface TelemetrySpan {
  setAttributes(attributes: Readonly<Record<string, string | number | boolean>>): unknown;
  recordException(error: Error): void;
  setStatus(status: { code: number; message?: string }): unknown;
  isRecording(): boolean;
  end(): void;
}

export interface TelemetryApi<Context, Span extends TelemetrySpan> {
  readonly trace: {
    getTracer(name: string): {
      startSpan(name: string, options: { kind?: number; attributes?: Record<string, string | number> }): Span;
    };
    setSpan(context: Context, span: Span): Context;
    getActiveSpan(): Span | undefined;
  };
  readonly context: { active(): Context; with<T>(context: Context, work: () => T): T };
}

export interface TraceOptions<Context, Span extends TelemetrySpan> {
  /** `import * as api from "@opentelemetry/api"`. */
  api: TelemetryApi<Context, Span>;
  /** Whether hits in memory have spans as well: a span costs many times what such a hit does. @default false */
  memoryHits?: boolean | undefined;
  /** Whether spans carry the key as `cache.key`: keys may name people. @default false */
  keys?: boolean | undefined;
}

const SCOPE = "tiercache";
/** `SpanStatusCode.ERROR`. */
const ERROR = 2;

/**
 * Spans for a cache's operations: `cache.get`, `cache.load` (a child of the read that began it, and the parent of what the loader
 * does), `cache.set`, `cache.invalidate`. What memory answers at once has none, and costs nothing.
 *
 * @returns takes it back.
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function traceCache<Context, Span extends TelemetrySpan>(
  cache: Cache,
  options: TraceOptions<Context, Span>,
): () => void {
  knownOptions(options, ["api", "memoryHits", "keys"], "traceCache");
  const { api, memoryHits = false, keys = false } = options;
  if (typeof api?.trace?.getTracer !== "function" || typeof api.context?.with !== "function")
    throw optionError("api", "the module @opentelemetry/api", api);
  const tracer = api.trace.getTracer(SCOPE);
  const reads = new WeakSet<Span>();
  const start = (kind: Operation["kind"], entity: string, key: string | undefined): Span =>
    tracer.startSpan(`cache.${kind}`, {
      attributes: {
        "cache.name": cache.name,
        ...(entity !== "" && { "cache.entity": entity }),
        ...(keys && key !== undefined && { "cache.key": key }),
      },
    });
  const off = [
    cache.watch((operation, run) => {
      const span = start(operation.kind, operation.entity, operation.key);
      if (operation.kind === "get") reads.add(span);
      // Where nobody records, there is nothing to be a parent of.
      const running = span.isRecording() ? api.context.with(api.trace.setSpan(api.context.active(), span), run) : run();
      running.then(
        () => ended(span, operation),
        (error: unknown) => failed(span, operation, error),
      );
    }),
  ];
  if (memoryHits) {
    off.push(
      cache.on("hit", ({ tier, entity, key, stale }) => {
        const active = api.trace.getActiveSpan();
        // The end of a read that has its span.
        if (tier !== "memory" || (active !== undefined && reads.has(active))) return;
        const span = start("get", entity, key);
        span.setAttributes({ "cache.hit": true, "cache.tier": tier, "cache.stale": stale });
        span.end();
      }),
    );
  }
  return () => {
    for (const one of off) one();
  };
}

function ended(span: TelemetrySpan, { count, answer }: Operation): void {
  if (count !== 1) span.setAttributes({ "cache.item_count": count });
  if (answer !== undefined) {
    const { hit, tier, stale, bytes } = answer;
    span.setAttributes({
      "cache.hit": hit,
      "cache.stale": stale,
      ...(tier !== undefined && { "cache.tier": tier }),
      ...(bytes !== undefined && { "cache.item_size": bytes }),
    });
  }
  span.end();
}

function failed(span: TelemetrySpan, operation: Operation, error: unknown): void {
  const thrown = error instanceof Error ? error : new Error(String(error));
  span.recordException(thrown);
  span.setStatus({ code: ERROR, message: thrown.message });
  ended(span, operation);
}

type Labels = Readonly<Record<string, string>>;

interface Observable {
  addCallback(callback: (result: { observe(value: number, labels: Labels): void }) => void): void;
  removeCallback(callback: (result: { observe(value: number, labels: Labels): void }) => void): void;
}

/** A meter of `@opentelemetry/api` (1.3 or later): `api.metrics.getMeter("…")`. */
export interface TelemetryMeter {
  createObservableCounter(name: string, options: { description?: string }): Observable;
  createObservableGauge(name: string, options: { description?: string }): Observable;
  createHistogram(
    name: string,
    options: { description?: string; unit?: string },
  ): { record(value: number, labels: Labels): void };
}

export interface MeterOptions {
  meter: TelemetryMeter;
  /** Most entities with a label of their own; those met later are counted together as `other`. @default 50 */
  entities?: number | undefined;
}

const DEFAULT_ENTITIES = 50;

/**
 * The metrics of "tiercache/prometheus" through a meter, by the same names: counters and gauges are read when the meter collects.
 *
 * @returns takes it back.
 * @throws CacheError `ERR_CACHE_OPTION`.
 */
export function meterCache(cache: Cache, options: MeterOptions): () => void {
  knownOptions(options, ["meter", "entities"], "meterCache");
  const { meter } = options;
  if (typeof meter?.createObservableCounter !== "function") throw optionError("meter", "a meter", meter);
  const entities = new EntityLabels(wholeNumber(options.entities ?? DEFAULT_ENTITIES, "entities", 1));
  const off: (() => void)[] = [];
  const histograms = new Map<string, ReturnType<TelemetryMeter["createHistogram"]>>();
  for (const id of Object.keys(METRICS) as MetricId[]) {
    const { name, help: description, type } = METRICS[id];
    if (type === "histogram") {
      histograms.set(id, meter.createHistogram(name, { description, unit: "s" }));
      continue;
    }
    const made =
      type === "counter"
        ? meter.createObservableCounter(name, { description })
        : meter.createObservableGauge(name, { description });
    const callback: Parameters<Observable["addCallback"]>[0] = (result) => {
      for (const { labels, value } of statsSamples([cache.stats()], entities)[id] ?? []) result.observe(value, labels);
    };
    made.addCallback(callback);
    off.push(() => made.removeCallback(callback));
  }
  const record: Observe = (metric, labels, value) => histograms.get(metric)?.record(value, labels);
  off.push(
    measure(
      cache,
      record,
      (entity) => entities.of(cache.name, entity),
      () => systemClock.now(),
    ),
  );
  return () => {
    for (const one of off) one();
  };
}
