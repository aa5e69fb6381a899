import type { Cache } from "../../api.js";
import type { PurgeTarget } from "../purge.js";

/** How a purge is meant. */
export interface PurgeOptions {
  /** `soft`: stale from now on, for vendors that can; the others do it hard. @default "hard" */
  readonly mode?: "hard" | "soft" | undefined;
}

/** A target that was not purged, and why: never an address with its secrets, a token or a header. */
export interface PurgeFailure {
  readonly target: PurgeTarget;
  readonly reason: string;
}

/** What came of one purge at one vendor. */
export interface PurgeReport {
  readonly purger: string;
  /** What the vendor has acknowledged, by every server of it that was asked. */
  readonly acknowledged: readonly PurgeTarget[];
  /** What it has not: refused, given up, or not even sent. */
  readonly failed: readonly PurgeFailure[];
}

/** Something that holds copies of responses and drops them when told: a CDN, a proxy, a cache of ours. */
export interface HttpPurger {
  /** Names it in reports and events. */
  readonly name: string;
  /** The cache it purges by its own tags, if it is one of ours: those need no forwarding to it. */
  readonly cache?: Cache | undefined;
  /**
   * Purges, and says honestly what came of it: it does not reject because a vendor failed.
   *
   * @throws CacheError `ERR_CACHE_KEY` for what is no target, `ERR_CACHE_CLOSED` when it was closed.
   */
  purge(targets: PurgeTarget | readonly PurgeTarget[], options?: PurgeOptions): Promise<PurgeReport>;
  /** Sends what waits, waits for it (bounded), and gives up the rest. Twice is once. */
  close(): Promise<void>;
}

/** What happens at a purger; `targets` counts them. Times in milliseconds. */
export type PurgeEvent =
  /** A request of so many targets was acknowledged. */
  | {
      readonly type: "purged";
      readonly purger: string;
      readonly targets: number;
      readonly attempt: number;
      readonly took: number;
    }
  /** A request failed and is sent again after `delay`. */
  | {
      readonly type: "retried";
      readonly purger: string;
      readonly targets: number;
      readonly attempt: number;
      readonly delay: number;
      readonly reason: string;
    }
  /** Targets were given up. */
  | { readonly type: "failed"; readonly purger: string; readonly targets: number; readonly reason: string };

/** A target in one form; `id` is equal exactly for equal targets. */
export type NormalTarget =
  | { readonly kind: "url"; readonly id: string; readonly url: URL }
  | { readonly kind: "prefix"; readonly id: string; readonly url: URL }
  | { readonly kind: "tag"; readonly id: string; readonly tag: string }
  | { readonly kind: "all"; readonly id: string };
