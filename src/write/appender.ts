import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Appended, JournalLog, JournalOperation } from "./journal.js";
import { sleep, within } from "./within.js";

/** What happens to a write that finds the journal full. */
export type WhenFull = "write-through" | "reject" | "wait";

export interface AppenderSettings {
  readonly name: string;
  /** Most operations and letters in the log. */
  readonly maxPending: number;
  readonly whenFull: WhenFull;
  /** How long one call of the journal may take; milliseconds. */
  readonly timeout: number;
  /** How long a write may wait for room; milliseconds. */
  readonly patience: number;
}

interface Waiting {
  readonly operation: JournalOperation;
  readonly giveUpAt: number;
  /** Whether it found no room once. */
  full: boolean;
  readonly resolve: () => void;
  readonly reject: (error: CacheError) => void;
}

/** Operations appended by one call, at most. */
const MAX_TOGETHER = 500;
const MAX_BYTES_TOGETHER = 4 << 20;
/** Waits before an append that was not answered is sent again; milliseconds. */
const RETRIES: readonly number[] = [20, 100, 400];
/** Writes of this process that may wait to be appended, however few the journal takes. */
const LEAST_WAITING = 1_000;
/** How often room is looked for; milliseconds. */
const LOOK_EVERY = 20;

/**
 * The way into the log: one call at a time, so what one process writes is appended in the order it was written in, and what
 * comes while a call is under way goes together with the next.
 */
export class Appender {
  readonly #log: JournalLog;
  readonly #clock: Clock;
  readonly #settings: AppenderSettings;
  /** Applies what is pending; rejects when that does not go. */
  readonly #flush: () => Promise<void>;
  readonly #onAppended: (depth: number) => void;
  readonly #queue: Waiting[] = [];
  #draining: Promise<void> | undefined;

  constructor(parts: {
    log: JournalLog;
    clock: Clock;
    settings: AppenderSettings;
    flush: () => Promise<void>;
    onAppended: (depth: number) => void;
  }) {
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#settings = parts.settings;
    this.#flush = parts.flush;
    this.#onAppended = parts.onAppended;
  }

  /**
   * Resolves when the operation is in the log; where it found that full and `whenFull` is "write-through", when it is applied.
   *
   * @throws CacheError `ERR_CACHE_OVERLOADED`: it is not in the log. `ERR_CACHE_TIER`: it may be.
   */
  append(operation: JournalOperation): Promise<void> {
    const { maxPending, patience } = this.#settings;
    if (this.#queue.length >= Math.max(maxPending, LEAST_WAITING)) return Promise.reject(this.#overloaded());
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, giveUpAt: this.#clock.now() + patience, full: false, resolve, reject });
      this.#draining ??= this.#drain().finally(() => {
        this.#draining = undefined;
      });
    });
  }

  /** When nothing is on its way any more. */
  async ended(): Promise<void> {
    while (this.#draining !== undefined) await this.#draining;
  }

  async #drain(): Promise<void> {
    // What is written in the same turn goes together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const part = this.#together();
      let appended: Appended;
      try {
        appended = await this.#send(part.map(({ operation }) => operation));
      } catch (cause) {
        for (const { operation, reject } of this.#queue.splice(0, part.length)) {
          reject(this.#unknown(operation.opId, cause));
        }
        continue;
      }
      for (const waiting of this.#queue.splice(0, appended.added)) this.#placed(waiting);
      this.#onAppended(appended.depth);
      if (appended.added < part.length) await this.#withoutRoom(part.length - appended.added);
    }
  }

  #together(): readonly Waiting[] {
    let bytes = 0;
    const count = this.#queue.findIndex(({ operation }, index) => {
      bytes += operation.body.length;
      return index === MAX_TOGETHER || (index > 0 && bytes > MAX_BYTES_TOGETHER);
    });
    return count < 0 ? this.#queue.slice() : this.#queue.slice(0, count);
  }

  /** Sent again under the same ids when it was not answered: the log takes each once. */
  async #send(operations: readonly JournalOperation[]): Promise<Appended> {
    const { name, maxPending, timeout } = this.#settings;
    for (let tries = 0; ; tries++) {
      try {
        const sent = this.#log.append(operations, maxPending);
        return await within(this.#clock, timeout, `The journal of ${name}`, sent);
      } catch (error) {
        const wait = RETRIES[tries];
        if (wait === undefined) throw error;
        await sleep(this.#clock, wait);
      }
    }
  }

  #placed({ full, resolve }: Waiting): void {
    if (!full || this.#settings.whenFull !== "write-through") return resolve();
    // In the log it is safe: that it is not applied in time, because the source is away, is no failure of this write.
    const applied = within(this.#clock, this.#settings.patience, `The flush of ${this.#settings.name}`, this.#flush());
    applied.then(resolve, () => resolve());
  }

  /** @param count of the operations at the front of the queue that were refused */
  async #withoutRoom(count: number): Promise<void> {
    const { whenFull } = this.#settings;
    if (whenFull === "reject") {
      for (const { reject } of this.#queue.splice(0, count)) reject(this.#overloaded());
      return;
    }
    const now = this.#clock.now();
    // All wait equally long, so those whose time is over are at the front.
    const over = this.#queue.findIndex(({ giveUpAt }) => giveUpAt > now);
    const late = this.#queue.splice(0, over < 0 ? this.#queue.length : over);
    for (const { reject } of late) reject(this.#overloaded());
    for (const waiting of this.#queue) waiting.full = true;
    if (this.#queue.length === 0) return;
    const room = sleep(this.#clock, LOOK_EVERY);
    // Whoever finds no room makes some. That it failed was told by the flusher, and shows here as no room.
    if (whenFull === "write-through") await Promise.race([this.#flush().catch(() => room), sleep(this.#clock, 500)]);
    else await room;
  }

  #overloaded(): CacheError {
    const { name, maxPending } = this.#settings;
    return new CacheError("ERR_CACHE_OVERLOADED", `The journal of ${name} is full: ${maxPending} operations wait`);
  }

  #unknown(opId: string, cause: unknown): CacheError {
    return new CacheError(
      "ERR_CACHE_TIER",
      `The journal of ${this.#settings.name} did not acknowledge operation ${opId}: it may have it or not; write again with this \`opId\` to be sure`,
      { cause },
    );
  }
}
