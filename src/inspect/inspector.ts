import type { InvalidationTarget } from "../api.js";
import type { Engine } from "../engine.js";
import type { Mark } from "../invalidation/record.js";
import { marksOfTargets } from "../targets.js";
import { inspectEntry, sensitiveOf, type InspectedEntry } from "./inspect-entry.js";
import { takeMemoryCensus, type CensusOptions, type MemoryCensus } from "./memory-census.js";
import { pinboardOf, type Pinboard } from "./pinboard.js";
import { takeSharedCensus, type SharedCensus, type SharedCensusOptions } from "./shared-census.js";

/** An entity that was declared. */
export interface EntityFacts {
  readonly name: string;
  /** What its scope is; `undefined` for an unscoped one. */
  readonly scope: string | undefined;
  readonly version: number;
  /** Fields that must not be shown; `true` for all of the value. */
  readonly sensitive: true | readonly string[];
  /** What its declaration says of the life of its entries. */
  readonly declared: {
    readonly schema: boolean;
    readonly tags: boolean;
    /** Entities whose invalidation is this one's, too. */
    readonly parents: readonly string[];
    /** Whether the cache's feed of changes is believed about it. */
    readonly fed: boolean;
    /** Milliseconds. */
    readonly staleIfError: number;
  };
}

export interface Purged {
  readonly position: number;
  readonly hit: number;
}

/**
 * What an operator's tools ask of a cache, by canonical paths: those that events, explanations and the tiers themselves
 * name entries by. Nothing here is on the way of a read; what could be long is done a step at a time, and has a bound.
 */
export interface CacheInspector {
  readonly cacheName: string;
  readonly entities: readonly EntityFacts[];
  /** What an invalidation would name. @throws CacheError `ERR_CACHE_KEY` for what is no target. */
  marksOf(target: InvalidationTarget | readonly InvalidationTarget[]): readonly Mark[];
  /** What memory holds of it; `undefined` without a memory tier. */
  memory(options: CensusOptions): Promise<MemoryCensus | undefined>;
  /** What the shared tier holds of it. */
  shared(options: SharedCensusOptions): Promise<SharedCensus>;
  entry(path: string): Promise<InspectedEntry>;
  /** As `invalidate`, by marks. @throws CacheError `ERR_CACHE_TIER`, `ERR_CACHE_CLOSED`. */
  purge(marks: readonly Mark[], options: { readonly soft: boolean }): Promise<Purged>;
  /** Short texts that the cache's processes show each other. */
  readonly pinboard: Pinboard;
}

/** Asked of an engine that may be closed meanwhile: memory then holds nothing, and the shared tier is down. */
export function inspectorOf(engine: Engine): CacheInspector {
  return {
    cacheName: engine.name,
    get entities() {
      return engine.declared.all().map(({ definition, version, policy }) => ({
        name: definition.name,
        scope: "scope" in definition && typeof definition.scope === "string" ? definition.scope : undefined,
        version,
        sensitive: sensitiveOf(definition),
        declared: {
          schema: definition.schema !== undefined,
          tags: definition.tags !== undefined,
          parents: Object.keys(definition.belongsTo ?? {}),
          fed: policy.fed,
          staleIfError: policy.staleIfError,
        },
      }));
    },
    marksOf: (target) => marksOfTargets(target, "", engine.maxKeyLength, engine),
    async memory(options) {
      const entries = engine.memoryEntries();
      return entries && takeMemoryCensus(entries, engine.local, engine.clock, options);
    },
    shared: (options) => takeSharedCensus(engine.sides, engine.forms.default, options),
    entry: (path) => inspectEntry(engine, path),
    async purge(marks, { soft }) {
      engine.checkOpen();
      return engine.invalidations.invalidate(marks, soft);
    },
    pinboard: pinboardOf(engine),
  };
}
