import { CacheError } from "../errors.js";
import type { Flights } from "../load/flight.js";
import { eachPart } from "../parts.js";
import type { Recorder } from "../stats.js";
import type { LocalEntries } from "../tiers/local-entries.js";
import type { SharedSide } from "../tiers/shared-side.js";
import type { Sides } from "../tiers/sides.js";
import type { Marks } from "./marks.js";
import type { PendingOperations } from "./pending.js";
import type { Mark } from "./record.js";

/** Where an invalidation stands. */
export interface Delivered {
  /** In its log; in the one that came furthest, where there are several. */
  readonly position: number;
  /** How many of the keys were stored. */
  readonly hit: number;
}

/** Marks sent in one record when many are sent again. */
const AGAIN = 1_000;

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
  readonly #sides: () => Sides;
  /** Without a shared log: the position of the newest invalidation of this process. */
  #position = 1;

  constructor(parts: {
    /** What this process knows when it has no shared log. */
    marks: Marks;
    pending: PendingOperations;
    flights: Flights;
    local: LocalEntries;
    recorder: Recorder;
    sides: () => Sides;
  }) {
    this.#marks = parts.marks;
    this.#pending = parts.pending;
    this.#flights = parts.flights;
    this.#local = parts.local;
    this.#recorder = parts.recorder;
    this.#sides = parts.sides;
  }

  /** The position of a load of the key that begins now and cannot ask the log. */
  positionFor(path: string): number {
    return this.#sides().of(path)?.follower.known ?? this.#position;
  }

  /**
   * Invalidates in every tier and process. Marks other than keys go to every shard, and the promise waits for all of
   * them.
   *
   * @throws CacheError `ERR_CACHE_TIER` when the shared tier has not acknowledged it: this process serves nothing
   * of it, and sends it again until it is acknowledged.
   */
  invalidate(marks: readonly Mark[], soft: boolean): Promise<Delivered> {
    const { watchers } = this.#recorder;
    if (!watchers.watching) return this.#invalidate(marks, soft);
    const [first] = marks;
    const key = marks.length === 1 && first?.kind === "key" ? first.key : undefined;
    const operation = { kind: "invalidate", key, entity: "", count: marks.length, answer: undefined } as const;
    return watchers.run(operation, () => this.#invalidate(marks, soft));
  }

  async #invalidate(marks: readonly Mark[], soft: boolean): Promise<Delivered> {
    const sides = this.#sides();
    const [first] = sides.all;
    if (first === undefined) {
      const hit = marks.filter((mark) => mark.kind === "key" && this.#local.holds(mark.key)).length;
      return { position: this.applyLocally(marks, soft), hit };
    }
    if (sides.all.length === 1) return this.#send(first, marks, soft);
    const sent = await Promise.allSettled(
      Array.from(marksBySide(sides, marks), ([side, part]) => this.#send(side, part, soft)),
    );
    let position = 0;
    let hit = 0;
    for (const one of sent) {
      // Every shard has been asked by now; what did not arrive waits in its own queue.
      if (one.status === "rejected") throw one.reason;
      position = Math.max(position, one.value.position);
      hit += one.value.hit;
    }
    return { position, hit };
  }

  /**
   * As `invalidate`, of more than one step of the tier should take: a record for each part. Every part is sent, or kept to be sent again,
   * whatever becomes of one before it; then it rejects with the first failure.
   */
  async invalidateParts(parts: Iterable<readonly Mark[]>, soft: boolean): Promise<Delivered> {
    let [position, hit] = [0, 0];
    await eachPart(parts, async (marks) => {
      const delivered = await this.invalidate(marks, soft);
      position = Math.max(position, delivered.position);
      hit += delivered.hit;
    });
    return { position, hit };
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
    this.#recorder.invalidated(marks, soft, this.#position, "own", undefined);
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

  /** A log could not be followed up to `position`: any key of its side may have been invalidated. */
  lost(side: SharedSide, position: number): void {
    this.#pending.fenceAll(position, (key) => this.#sides().of(key) === side);
    this.#flights.detachAll();
  }

  /** The stored entry of the key changed, by whomever: at its next use memory asks the tier whether it is still the same. */
  changed(path: string): void {
    this.#pending.touch(path);
    this.#local.suspect(path);
  }

  /** Any stored entry may have changed. */
  changedAll(side: SharedSide): void {
    this.#pending.touchAll();
    this.#local.suspectAll();
    side.marks.touch();
  }

  /**
   * The server has another history than the one this process applied: it failed over to a replica that lagged behind. What
   * was acknowledged of late may be forgotten there, so it is sent again, by every process that knows it, and what it hits is
   * not believed until it is acknowledged.
   */
  sendAgain(side: SharedSide, marks: { readonly hard: readonly Mark[]; readonly soft: readonly Mark[] }): void {
    // Entries and operations of the lost history carry its positions, by which the new one cannot judge them.
    this.#local.dropAll(side.marks);
    this.#pending.fenceAll(Number.MAX_SAFE_INTEGER, (key) => this.#sides().of(key) === side, true);
    this.#flights.detachAll();
    for (const soft of [false, true]) {
      const all = soft ? marks.soft : marks.hard;
      for (let start = 0; start < all.length; start += AGAIN) side.unsent.add(all.slice(start, start + AGAIN), soft);
    }
    this.resend(side);
  }

  /** The shared tier has not acknowledged: nothing of it is served here, and it is sent again until it does. */
  undelivered(side: SharedSide, marks: readonly Mark[], soft: boolean, cause: unknown): CacheError {
    side.unsent.add(marks, soft);
    side.follower.applyUnacknowledged(marks, soft);
    return new CacheError(
      "ERR_CACHE_TIER",
      "The shared tier did not acknowledge an invalidation: this process serves nothing of it and keeps sending it, others may serve the old value until then",
      { cause },
    );
  }

  /** The log is heard: what waits is sent. */
  resend(side: SharedSide): void {
    if (side.unsent.size === 0) return;
    side.unsent
      .flush(async (marks, soft) => {
        await side.outbox.deliver(marks, soft);
      })
      // Counted and told by the guard; the next heartbeat tries again.
      .catch(() => undefined);
  }

  async #send(side: SharedSide, marks: readonly Mark[], soft: boolean): Promise<Delivered> {
    try {
      const { head, hit } = await side.outbox.send(marks, soft);
      return { position: head.position, hit };
    } catch (cause) {
      throw this.undelivered(side, marks, soft, cause);
    }
  }
}

/** A key's mark for the side that holds it, any other for every side. */
function marksBySide(sides: Sides, marks: readonly Mark[]): ReadonlyMap<SharedSide, readonly Mark[]> {
  const parts = new Map<SharedSide, Mark[]>();
  const add = (side: SharedSide | undefined, mark: Mark): void => {
    if (side === undefined) return;
    const part = parts.get(side);
    if (part === undefined) parts.set(side, [mark]);
    else part.push(mark);
  };
  for (const mark of marks) {
    if (mark.kind === "key") add(sides.of(mark.key), mark);
    else for (const side of sides.all) add(side, mark);
  }
  return parts;
}
