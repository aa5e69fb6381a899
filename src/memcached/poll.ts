import type { Clock, Timer } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Head, LogRecord } from "../invalidation/record.js";
import type { LogSignal } from "../tiers/shared.js";

/** Records asked for at once. */
const PAGE = 1_000;

interface Readable {
  head(): Promise<Head>;
  since(position: number, limit: number): Promise<{ records: readonly LogRecord[] | undefined; head: Head }>;
}

/**
 * Subscriptions to a log that is not pushed: it is read every `interval` milliseconds.
 *
 * The end of a lease is not in the log, so it is not heard. Where the log does not reach back, `up` is said once more,
 * after which a subscriber reads the log itself.
 */
export class LogPoll {
  readonly #log: Readable;
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(log: Readable, clock: Clock, interval: number) {
    this.#log = log;
    this.#clock = clock;
    this.#interval = interval;
  }

  /** Resolves when the log was reached. */
  async subscribe(listener: (signal: LogSignal) => void): Promise<() => Promise<void>> {
    if (this.#closed) throw closed();
    const subscription = new Subscription(this.#log, listener, this.#clock, this.#interval);
    const end = (): void => {
      subscription.end();
      this.#ends.delete(end);
    };
    this.#ends.add(end);
    await subscription.standing;
    return async () => end();
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }
}

class Subscription {
  readonly standing: Promise<void>;
  readonly #log: Readable;
  readonly #listener: (signal: LogSignal) => void;
  readonly #clock: Clock;
  readonly #interval: number;
  #position: number | undefined;
  #heard = false;
  #ended = false;
  #timer: Timer | undefined;
  #resolve!: () => void;
  #reject!: (error: CacheError) => void;

  constructor(log: Readable, listener: (signal: LogSignal) => void, clock: Clock, interval: number) {
    this.#log = log;
    this.#listener = listener;
    this.#clock = clock;
    this.#interval = interval;
    this.standing = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#poll();
  }

  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    // Without effect when it stood before.
    this.#reject(closed());
  }

  #poll(): void {
    const next = (): void => {
      if (!this.#ended) this.#timer = this.#clock.after(this.#interval, () => this.#poll());
    };
    this.#look().then(next, () => {
      // Told by `down`; who uses the tier otherwise hears of the failure itself.
      if (this.#heard) this.#say({ type: "down" });
      this.#heard = false;
      next();
    });
  }

  async #look(): Promise<void> {
    if (this.#position === undefined) {
      this.#position = (await this.#log.head()).position;
      this.#stands();
      return;
    }
    for (let more = true; more;) {
      const { records, head } = await this.#log.since(this.#position, PAGE);
      this.#stands();
      for (const record of records ?? []) this.#say({ type: "record", record });
      if (records === undefined) this.#say({ type: "up" });
      this.#position = records === undefined ? head.position : (records.at(-1)?.position ?? this.#position);
      more = records?.length === PAGE && !this.#ended;
    }
  }

  #stands(): void {
    if (this.#heard) return;
    this.#heard = true;
    this.#say({ type: "up" });
    this.#resolve();
  }

  #say(signal: LogSignal): void {
    if (!this.#ended) this.#listener(signal);
  }
}

function closed(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "The shared tier was closed");
}
