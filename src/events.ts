import type { Mark } from "./invalidation/record.js";
import type { RemovalCause } from "./tiers/memory/memory-tier.js";

/** A tier that can answer. */
export type TierName = "memory" | "shared";

/** Why a read was not answered from a tier. */
export type MissReason =
  /** Never stored, or so long ago that nothing is remembered of it. */
  | "cold"
  /** Its time was over. */
  | "expired"
  /** The policy had made room, or refused it. */
  | "evicted"
  | "invalidated-key"
  | "invalidated-tag"
  | "invalidated-prefix"
  | "invalidated-pattern"
  | "invalidated-all"
  /** Older than what the log still remembers: it may have been invalidated. */
  | "forgotten"
  /** The log was lost for a while: to be checked against the shared tier first. Or the feed does not vouch for it. */
  | "suspect"
  /** Another version of its entity, or refused by its schema. */
  | "version"
  /** Bytes that are not an entry of ours. */
  | "corrupt"
  /** An older row than this process has met: see `rowVersion`. */
  | "older"
  /** The caller asked for a fresh one. */
  | "bypass"
  /** The tier failed or did not answer in time. */
  | "error";

/** Why a value that was loaded or written is not stored. */
export type RefusalReason =
  /** Invalidated, or written by somebody else, while it was loaded. */
  | "fenced"
  /** An older row than the one that is known: see `rowVersion`. */
  | "older"
  /** The loader said so. */
  | "skipped"
  /** It cannot be stored (a function, a cycle, a class instance …). */
  | "unstorable"
  /** Larger than the tier takes. */
  | "too-large"
  /** The tier failed. */
  | "error";

/** Everything that happens in a cache; stats, metrics, traces and `explain` are folds over these. Times in milliseconds. */
export type CacheEvent =
  | {
      readonly type: "hit";
      readonly key: string;
      readonly entity: string;
      readonly tier: TierName;
      readonly stale: boolean;
    }
  /**
   * How old an answer of a tier was: of one hit in memory in about a thousand, and of every one from the shared tier. Only where somebody
   * listens to this very type.
   */
  | {
      readonly type: "served";
      readonly key: string;
      readonly entity: string;
      readonly tier: TierName;
      /** Since it was loaded or set; milliseconds. */
      readonly age: number;
    }
  | { readonly type: "miss"; readonly key: string; readonly entity: string; readonly reason: MissReason }
  | {
      readonly type: "coalesced";
      readonly key: string;
      readonly entity: string;
      readonly across: "process" | "cluster";
    }
  | {
      readonly type: "loaded";
      readonly key: string;
      readonly entity: string;
      readonly took: number;
      readonly background: boolean;
    }
  | {
      readonly type: "load-failed";
      readonly key: string;
      readonly entity: string;
      readonly took: number;
      readonly error: unknown;
      readonly background: boolean;
    }
  | {
      readonly type: "stored";
      readonly key: string;
      readonly entity: string;
      readonly tier: TierName;
      readonly bytes: number;
      readonly ttl: number;
    }
  | {
      readonly type: "refused";
      readonly key: string;
      readonly entity: string;
      readonly tier: TierName;
      readonly reason: RefusalReason;
      readonly error?: unknown;
    }
  | { readonly type: "removed"; readonly key: string; readonly cause: RemovalCause }
  | {
      readonly type: "invalidated";
      readonly marks: number;
      readonly what: string;
      readonly soft: boolean;
      readonly position: number;
      readonly origin: "own" | "other";
      /** All of the marks. */
      readonly names: readonly Mark[];
      /** The first few of the marks, as text: `tag global:project:7`. */
      readonly targets: readonly string[];
      /**
       * From its position, which is the time of the shared tier, to its application here; the difference of the two clocks is
       * in it. `undefined` of this process's own.
       */
      readonly delay: number | undefined;
    }
  | { readonly type: "corrupt"; readonly key: string; readonly error: unknown }
  | { readonly type: "tier-failed"; readonly operation: string; readonly error: unknown }
  | { readonly type: "tier-down"; readonly shard: number }
  | { readonly type: "tier-up"; readonly shard: number }
  /** Something on the bus was not signed as it must be. */
  | { readonly type: "message-refused"; readonly reason: string }
  | { readonly type: "log-gap"; readonly position: number }
  /** The key is read often, by this process: `perSecond` reads a second, about. */
  | { readonly type: "hot"; readonly key: string; readonly perSecond: number }
  /** It is not any more. */
  | { readonly type: "cooled"; readonly key: string }
  /** What happened to the cache's feed of changes. */
  | {
      readonly type: "feed";
      readonly kind: string;
      readonly what: string;
      readonly detail?: unknown;
      readonly error?: unknown;
    }
  /** A batch of a write-behind, or of a counter, was applied; `took` milliseconds. */
  | { readonly type: "flushed"; readonly name: string; readonly operations: number; readonly took: number }
  /** It was not; it is tried again. */
  | { readonly type: "flush-failed"; readonly name: string; readonly error: unknown }
  /** The source refused an operation: it waits among the dead letters. */
  | {
      readonly type: "parked";
      readonly name: string;
      readonly key: string;
      readonly opId: string;
      readonly kind: string;
      readonly reason: string;
    }
  /** The journal or the source had gone back in time; they agree again, each operation they still have applied once. */
  | { readonly type: "rewound"; readonly name: string; readonly what: "journal" | "source" }
  /** An entry was found outdated longer than it may be, or different from its source without a change that tells why. */
  | {
      readonly type: "staleness";
      readonly what: "violation" | "unexplained";
      readonly key: string;
      readonly tier: TierName;
      readonly outdatedFor: number | undefined;
    }
  | { readonly type: "background-failed"; readonly what: string; readonly error: unknown };

export type CacheEventType = CacheEvent["type"];
