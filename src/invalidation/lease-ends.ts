import type { Clock } from "../clock.js";

/** One who listens for the end of a lease. */
export interface Listening {
  /** Resolves when it has ended since the listening began, or after `ms`. */
  until(ms: number): Promise<void>;
  /** Stops; to be called once. */
  end(): void;
}

/**
 * The ends of leases, as they are heard. One listens *before* asking for the lease: the word of its end travels on another
 * connection than the answer that somebody holds it, and may come first.
 */
export class LeaseEnds {
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<() => void>>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  listen(key: string): Listening {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners);
    let heard = false;
    let wake: (() => void) | undefined;
    const hear = (): void => {
      heard = true;
      wake?.();
    };
    listeners.add(hear);
    return {
      until: (ms) =>
        new Promise((resolve) => {
          if (heard || this.#closed) return resolve();
          const timer = this.#clock.after(ms, resolve);
          wake = () => {
            timer.cancel();
            resolve();
          };
        }),
      end: () => {
        listeners.delete(hear);
        if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
      },
    };
  }

  /** The lease on the key has ended, as far as is heard. */
  tell(key: string): void {
    for (const hear of [...(this.#listeners.get(key) ?? [])]) hear();
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closed = true;
    for (const key of [...this.#listeners.keys()]) this.tell(key);
  }
}
