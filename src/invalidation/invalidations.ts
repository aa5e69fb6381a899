import { CacheError } from "../errors.js";
import type { Flights } from "../load/flight.js";
import type { Recorder } from "../stats.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Marks } from "./marks.js";
import type { PendingOperations } from "./pending.js";
import type { Mark } from "./record.js";

/** Where an invalidation stands. */
export interface Delivered {
  readonly position: number;
  /** How many of the keys were stored. */
  readonly hit: number;
}

/**
 * The one way in which anything is invalidated in this process, by its own calls or by what it hears.
 *
 * An invalidation has three parts, and every one of them reaches all three: entries that are stored (judged by the
 * marks, or dropped by key), loads that callers could still join (detached), and operations under way that would
 * store something older (fenced).
 */
export class Invalidations {
  readonly #marks: Marks;
  readonly #pending: PendingOperations;
  readonly #flights: Flights;
  readonly #local: LocalEntries;
  readonly #recorder: Recorder;
  readonly #shared: () => SharedSide | undefined;
  /** Without a shared log: the position of the newest invalidation of this process. */
  #position = 1;

  constructor(parts: {
    marks: Marks;
    pending: PendingOperations;
    flights: Flights;
    local: LocalEntries;
    recorder: Recorder;
    shared: () => SharedSide | undefined;
  }) {
    this.#marks = parts.marks;
    this.#pending = parts.pending;
    this.#flights = parts.flights;
    this.#local = parts.local;
    this.#recorder = parts.recorder;
    this.#shared = parts.shared;
  }

  /** The position of a load that begins now and cannot ask the log. */
  get position(): number {
    return this.#shared()?.follower.known ?? this.#position;
  }

  /**
   * Invalidates in every tier and process.
   *
   * @throws CacheError `ERR_CACHE_TIER` when the shared tier has not acknowledged it: this process serves nothing
   * of it, and sends it again until it is acknowledged.
   */
  async invalidate(marks: readonly Mark[], soft: boolean): Promise<Delivered> {
    const shared = this.#shared();
    if (shared === undefined) {
      const hit = marks.filter((mark) => mark.kind === "key" && this.#local.holds(mark.key)).length;
      return { position: this.applyLocally(marks, soft), hit };
    }
    try {
      const { head, hit } = await shared.guard.call(
        "store.invalidate",
        () => shared.tier.store.invalidate(marks, soft, shared.origin),
        shared.patience,
      );
      shared.follower.applyOwn(marks, soft, head.position);
      return { position: head.position, hit };
    } catch (cause) {
      throw this.undelivered(marks, soft, cause);
    }
  }

  /** As `invalidate`, for callers to whom it is not the point: one that is not acknowledged is told, kept and sent. */
  async invalidateSoon(marks: readonly Mark[], soft: boolean): Promise<void> {
    try {
      await this.invalidate(marks, soft);
    } catch (error) {
      if (!(error instanceof CacheError && error.code === "ERR_CACHE_TIER")) throw error;
    }
  }

  /** Without a shared tier: this process's own log, in which everything is applied at once. The new position. */
  applyLocally(marks: readonly Mark[], soft: boolean): number {
    this.#position += 1;
    this.#marks.apply({ marks, soft, position: this.#position });
    for (const mark of marks) if (mark.kind === "key") this.keyInvalidated(mark.key, soft, this.#position);
    const kinds = [...new Set(marks.map((mark) => mark.kind))].join(",");
    this.#recorder.invalidated(marks.length, kinds, soft, this.#position, "own");
    return this.#position;
  }

  /** Without a shared tier, a writer's lease: loads and writers that began before it will not store. Its position. */
  takeOverLocally(path: string): number {
    this.#position += 1;
    this.#pending.fence(path, this.#position, true);
    this.#flights.detach(path);
    return this.#position;
  }

  /** A record that names the key is applied. */
  keyInvalidated(key: string, soft: boolean, position: number): void {
    this.#pending.fence(key, position, soft);
    this.#flights.detach(key);
    this.#local.invalidate(key, soft, position);
  }

  /** The log could not be followed up to `position`: any key may have been invalidated. */
  lost(position: number): void {
    this.#pending.fenceAll(position);
    this.#flights.detachAll();
  }

  /** The shared tier has not acknowledged: nothing of it is served here, and it is sent again until it does. */
  undelivered(marks: readonly Mark[], soft: boolean, cause: unknown): CacheError {
    const shared = this.#shared();
    if (shared !== undefined) {
      shared.unsent.add(marks, soft);
      shared.follower.applyOwn(marks, soft, shared.follower.known + 1);
    }
    return new CacheError(
      "ERR_CACHE_TIER",
      "The shared tier did not acknowledge an invalidation: this process serves nothing of it and keeps sending it, others may serve the old value until then",
      { cause },
    );
  }

  /** The log is heard: what waits is sent. */
  resend(): void {
    const shared = this.#shared();
    if (shared === undefined || shared.unsent.size === 0) return;
    shared.unsent
      .flush(async (marks, soft) => {
        const { head } = await shared.guard.call(
          "store.invalidate",
          () => shared.tier.store.invalidate(marks, soft, shared.origin),
          shared.patience,
        );
        shared.follower.applyOwn(marks, soft, head.position);
      })
      // Counted and told by the guard; the next heartbeat tries again.
      .catch(() => undefined);
  }
}
