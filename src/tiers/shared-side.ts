import { toMilliseconds } from "../duration.js";
import type { LogFollower } from "../invalidation/follower.js";
import type { LogKnowledge } from "../invalidation/knowledge.js";
import type { Outbox } from "../invalidation/outbox.js";
import type { Unsent } from "../invalidation/unsent.js";
import type { SharedLeases } from "../load/lease.js";
import type { SharedEntries } from "../load/shared-entries.js";
import type { CacheOptions, MemoryFactory, SharedOptions } from "../options.js";
import { knownOptions, optionError, wholeNumber } from "../policy.js";
import type { TierGuard } from "./guard.js";
import { memory } from "./memory/memory.js";
import type { ShardedTierFactory, SharedTier, SharedTierFactory } from "./shared.js";

/** A cache's side of its shared tier, or of one shard of it: one log, and everything that goes by it. */
export interface SharedSide extends LogKnowledge {
  /** The same for entries that the cache's feed vouches for. */
  readonly fed: LogKnowledge;
  /** Among the shards; 0 when there are none. */
  readonly shard: number;
  /** Random per cache instance: whose records are whose. */
  readonly origin: string;
  /** How long an answer to a write is waited for, in milliseconds: an invalidation is worth more patience than a read. */
  readonly patience: number;
  readonly tier: SharedTier;
  readonly guard: TierGuard;
  readonly follower: LogFollower;
  readonly entries: SharedEntries;
  readonly leases: SharedLeases;
  readonly unsent: Unsent;
  readonly outbox: Outbox;
}

/** `SharedOptions`, resolved; milliseconds. */
export interface SharedSettings {
  readonly timeout: number;
  readonly breakerFailures: number;
  readonly breakerCooldown: number;
  readonly leaseTtl: number;
  readonly heartbeat: number;
  readonly maxStaleness: number;
}

const FIELDS = ["timeout", "breakerFailures", "breakerCooldown", "leaseTtl", "heartbeat", "maxStaleness"];

/** @throws CacheError `ERR_CACHE_OPTION`. */
export function resolveShared(options: SharedOptions): SharedSettings {
  knownOptions(options, FIELDS, "shared");
  const maxStaleness =
    options.maxStaleness === undefined
      ? Number.POSITIVE_INFINITY
      : atLeast(options.maxStaleness, "shared.maxStaleness", 10);
  return {
    timeout: atLeast(options.timeout ?? 250, "shared.timeout", 1),
    breakerFailures: wholeNumber(options.breakerFailures ?? 5, "shared.breakerFailures", 1),
    breakerCooldown: atLeast(options.breakerCooldown ?? 1_000, "shared.breakerCooldown", 1),
    leaseTtl: atLeast(options.leaseTtl ?? 5_000, "shared.leaseTtl", 10),
    // A bound is kept only by looking more often than it lasts.
    heartbeat: Math.min(atLeast(options.heartbeat ?? 500, "shared.heartbeat", 1), maxStaleness / 3),
    maxStaleness,
  };
}

/** The tiers of a cache by their part. @throws CacheError `ERR_CACHE_OPTION`. */
export function tiersOf(options: CacheOptions): {
  memory: MemoryFactory | undefined;
  shared: SharedTierFactory | ShardedTierFactory | undefined;
} {
  const tiers: unknown = options.tiers ?? [memory()];
  if (!Array.isArray(tiers) || tiers.length === 0) throw optionError("tiers", "a list of one tier or two", tiers);
  let near: MemoryFactory | undefined;
  let shared: SharedTierFactory | ShardedTierFactory | undefined;
  for (const tier of tiers as readonly unknown[]) {
    if (isMemory(tier)) {
      if (near !== undefined || shared !== undefined)
        throw optionError("tiers", "at most one memory tier, first", tiers);
      near = tier;
    } else if (isShared(tier)) {
      if (shared !== undefined) throw optionError("tiers", "at most one shared tier, last", tiers);
      shared = tier;
    } else {
      throw optionError("tiers", "a list of memory() and a shared tier", tier);
    }
  }
  return { memory: near, shared };
}

function isMemory(tier: unknown): tier is MemoryFactory {
  return typeof tier === "object" && tier !== null && "kind" in tier && tier.kind === "memory" && "options" in tier;
}

function isShared(tier: unknown): tier is SharedTierFactory | ShardedTierFactory {
  if (typeof tier !== "object" || tier === null) return false;
  return ["open", "openShards"].some((name) => typeof Reflect.get(tier, name) === "function");
}

function atLeast(duration: number | string, option: string, least: number): number {
  const ms = toMilliseconds(duration, option);
  if (ms < least) throw optionError(option, `${least} ms or more`, duration);
  return ms;
}
