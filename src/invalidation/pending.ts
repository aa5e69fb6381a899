/** One operation under way that may end in storing `key` in memory. */
export interface PendingOperation {
  /**
   * The newest invalidation of the key, or loss of the log, heard since the operation began: only an entry known
   * good at this position or later may be stored. 0 for none.
   */
  readonly fencedAt: number;
  /** The newest hard invalidation of the key: nothing older may be served any more, not even as stale. */
  readonly removedAt: number;
  /** The stored entry changed under it, by whomever: what it stores in memory must be compared with the tier again. */
  readonly touched: boolean;
  /** Ends it; each operation ends exactly once. */
  end(): void;
}

class Fence {
  fencedAt = 0;
  removedAt = 0;
  touched = false;
  operations = 0;
}

/** A class and not an object literal: V8 defines the getters of a literal anew each time, and each read has one. */
class Operation implements PendingOperation {
  readonly #fences: Map<string, Fence>;
  readonly #key: string;
  readonly #fence: Fence;
  #ended = false;

  constructor(fences: Map<string, Fence>, key: string, fence: Fence) {
    this.#fences = fences;
    this.#key = key;
    this.#fence = fence;
  }

  get fencedAt(): number {
    return this.#fence.fencedAt;
  }

  get removedAt(): number {
    return this.#fence.removedAt;
  }

  get touched(): boolean {
    return this.#fence.touched;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fence.operations -= 1;
    if (this.#fence.operations === 0) this.#fences.delete(this.#key);
  }
}

/**
 * The reads, loads and writes under way, by key: what an arriving invalidation must reach although nothing is
 * stored yet.
 *
 * The race it closes: B reads v1 from the shared tier → A invalidates and publishes → B hears of it, memory holds
 * nothing → B's reply arrives and B would store v1 for a whole ttl. With the fence B still returns v1, and
 * stores nothing.
 */
export class PendingOperations {
  readonly #fences = new Map<string, Fence>();

  get size(): number {
    return this.#fences.size;
  }

  begin(key: string): PendingOperation {
    let fence = this.#fences.get(key);
    if (fence === undefined) {
      fence = new Fence();
      this.#fences.set(key, fence);
    }
    fence.operations += 1;
    return new Operation(this.#fences, key, fence);
  }

  /** An invalidation of the key at `position` was heard. */
  fence(key: string, position: number, soft: boolean): void {
    const fence = this.#fences.get(key);
    if (fence === undefined) return;
    fence.fencedAt = Math.max(fence.fencedAt, position);
    if (!soft) fence.removedAt = Math.max(fence.removedAt, position);
  }

  /** Any of these keys may have been invalidated up to `position`: their log was lost. */
  fenceAll(position: number, isOfLog: (key: string) => boolean, isHard = false): void {
    for (const [key, fence] of this.#fences) {
      if (!isOfLog(key)) continue;
      fence.fencedAt = Math.max(fence.fencedAt, position);
      if (isHard) fence.removedAt = Math.max(fence.removedAt, position);
    }
  }

  /** The stored entry of the key changed. */
  touch(key: string): void {
    const fence = this.#fences.get(key);
    if (fence !== undefined) fence.touched = true;
  }

  /** Any stored entry may have changed. */
  touchAll(): void {
    for (const fence of this.#fences.values()) fence.touched = true;
  }
}
