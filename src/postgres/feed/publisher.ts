import type { ChangeSink, ChangeTarget, FeedNews } from "../../feed/change-feed.js";
import { CacheError } from "../../errors.js";
import { Outdated } from "./outdated.js";
import { isVisible, widenXid, type Snapshot } from "./snapshot.js";
import type { Committed } from "./transactions.js";
import { pause, Waits } from "./within.js";

/** Things named in one call of the cache. */
const BATCH = 2_000;

interface Pending extends Committed {
  published: boolean;
}

/**
 * Publishes transactions once they are visible.
 *
 * Invariants, in the order of the log: everything below `received` has come; of that, all but the pending ones that are not
 * `published` is in every tier; nothing below `safe` is among those. A transaction that stays invisible (its commit waits for a
 * replica) holds up `safe`, and with it what the server may forget, but not those behind it.
 */
export class Publisher {
  readonly #sink: ChangeSink;
  readonly #snapshot: () => Promise<Snapshot>;
  readonly #tell: (news: FeedNews) => void;
  readonly #onProgress: () => void;
  readonly #signal: AbortSignal;
  #queue: Pending[] = [];
  #received = 0n;
  #safe = 0n;
  #size = 0;
  #running = false;
  /** Since when no publication has succeeded that was tried, on the monotonic clock. */
  failingSince: number | undefined;
  published = 0;

  constructor(parts: {
    sink: ChangeSink;
    snapshot: () => Promise<Snapshot>;
    tell: (news: FeedNews) => void;
    onProgress: () => void;
    signal: AbortSignal;
  }) {
    this.#sink = parts.sink;
    this.#snapshot = parts.snapshot;
    this.#tell = parts.tell;
    this.#onProgress = parts.onProgress;
    this.#signal = parts.signal;
  }

  get received(): bigint {
    return this.#received;
  }

  /** Everything below is published. */
  get safe(): bigint {
    return this.#safe;
  }

  /** How many things wait to be published. */
  get size(): number {
    return this.#size;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  add(transaction: Committed): void {
    this.#queue.push({ ...transaction, published: false });
    this.#size += transaction.outdated.size + 1;
    // A message that belongs to no transaction has no end of its own: it is where the stream is.
    if (transaction.endLsn > this.#received) this.#received = transaction.endLsn;
    void this.#run();
  }

  /** Everything that committed before has come. */
  reached(lsn: bigint): void {
    if (lsn > this.#received) this.#received = lsn;
    this.#advance();
  }

  /** Transactions that have come, ended before `lsn` and are not published; by their 64-bit ids. */
  unpublished(lsn: bigint, snapshot: Snapshot): bigint[] {
    return this.#queue
      .filter(({ published, endLsn }) => !published && endLsn <= lsn)
      .map(({ xid }) => (xid === undefined ? 0n : widenXid(xid, snapshot.xmax)));
  }

  /** One at a time: what comes meanwhile is taken by the next round. */
  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const waits = new Waits(1, 50);
    try {
      while (!this.#signal.aborted && this.#queue.length > 0) {
        const batch = await this.#visible();
        if (batch.length === 0) {
          await pause(this.#sink.clock, waits.next(), this.#signal);
          continue;
        }
        waits.reset();
        if (!(await this.#publish(batch))) return;
        for (const one of batch) one.published = true;
        this.published += batch.length;
        this.#advance();
      }
    } finally {
      this.#running = false;
    }
  }

  /** The next ones that a reader of the source would see. Empty as well when the source does not answer. */
  async #visible(): Promise<Pending[]> {
    const candidates = this.#queue.filter(({ published }) => !published);
    let snapshot: Snapshot | undefined;
    if (candidates.some(({ xid }) => xid !== undefined)) {
      try {
        snapshot = await this.#snapshot();
      } catch (error) {
        this.#tell({ what: "query-failed", error });
        return [];
      }
    }
    const batch: Pending[] = [];
    let size = 0;
    for (const one of candidates) {
      const seen =
        snapshot === undefined || one.xid === undefined || isVisible(widenXid(one.xid, snapshot.xmax), snapshot);
      if (!seen) continue;
      if (batch.length > 0 && size + one.outdated.size > BATCH) break;
      batch.push(one);
      size += one.outdated.size;
    }
    return batch;
  }

  /** Until every tier has it. @returns false when the feed ended before. */
  async #publish(batch: readonly Pending[]): Promise<boolean> {
    const outdated = new Outdated();
    for (const one of batch) outdated.merge(one.outdated);
    let targets = outdated.targets();
    const coarser: ChangeTarget[][] = [[{ all: true }], outdated.coarse];
    const waits = new Waits(20, 1_000);
    while (!this.#signal.aborted) {
      try {
        if (targets.length > 0) await this.#sink.publish(targets);
        this.failingSince = undefined;
        return true;
      } catch (error) {
        const code = error instanceof CacheError ? error.code : undefined;
        const next = code === "ERR_CACHE_KEY" || code === "ERR_CACHE_ENTITY" ? coarser.pop() : undefined;
        if (next !== undefined) {
          // What a mapping made is no target: all of its table instead.
          this.#tell({ what: "mapping-failed", error });
          targets = next;
          continue;
        }
        this.failingSince ??= this.#sink.clock.now();
        this.#tell({ what: "publish-failed", error });
        await pause(this.#sink.clock, waits.next(), this.#signal);
      }
    }
    return false;
  }

  #advance(): void {
    let done = 0;
    for (const one of this.#queue) {
      if (!one.published) break;
      done += 1;
      this.#size -= one.outdated.size + 1;
      if (one.endLsn > this.#safe) this.#safe = one.endLsn;
    }
    if (done > 0) this.#queue.splice(0, done);
    if (this.#queue.length === 0) this.#safe = this.#received;
    this.#onProgress();
  }
}
