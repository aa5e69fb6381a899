import type { Cache } from "../api.js";
import type { Operation } from "../watchers.js";
import type { MetricId } from "./metrics.js";

/** Told of everything that is measured, in seconds. */
export type Observe = (
  metric: Extract<MetricId, "operationDuration" | "loaderDuration" | "propagation" | "serveAge">,
  labels: Readonly<Record<string, string>>,
  value: number,
) => void;

/**
 * Has what a cache does measured, but for hits in memory, which take less than a look at the clock.
 *
 * @param entityOf the label of an entity.
 * @param now milliseconds.
 * @returns takes it back.
 */
export function measure(
  cache: Cache,
  observe: Observe,
  entityOf: (entity: string) => string,
  now: () => number,
): () => void {
  const { name } = cache;
  const loaded = (entity: string, result: string, took: number): void =>
    observe("loaderDuration", { cache: name, entity: entityOf(entity), result }, took / 1_000);
  const off = [
    cache.watch((operation, run) => {
      const began = now();
      const ended = (result: string): void => {
        const tier = operation.answer?.tier ?? "none";
        observe("operationDuration", { cache: name, operation: operation.kind, tier, result }, (now() - began) / 1_000);
      };
      run().then(
        () => ended(resultOf(operation)),
        () => ended("error"),
      );
    }),
    cache.on("loaded", ({ entity, took }) => loaded(entity, "ok", took)),
    cache.on("load-failed", ({ entity, took }) => loaded(entity, "error", took)),
    cache.on("invalidated", ({ delay }) => {
      if (delay !== undefined) observe("propagation", { cache: name }, delay / 1_000);
    }),
    cache.on("served", ({ tier, age }) => observe("serveAge", { cache: name, tier }, age / 1_000)),
  ];
  return () => {
    for (const one of off) one();
  };
}

function resultOf({ kind, answer }: Operation): string {
  if (kind !== "get") return "ok";
  if (answer === undefined) return "mixed";
  if (answer.stale) return "stale";
  return answer.hit ? "hit" : "miss";
}
