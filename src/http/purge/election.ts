import type { Cache, Lock } from "../../api.js";
import type { Clock, Timer } from "../../clock.js";

/** How long the elected one's lock outlives it, and how often the others ask for it; milliseconds. */
const LOCK_TTL = 10_000;
const ASK_EVERY = 3_000;
/** What was heard so long ago was sent by whoever was elected then, even if it died meanwhile; milliseconds. */
const REMEMBERED = 3 * LOCK_TTL;
const MAX_REMEMBERED = 10_000;

export interface ElectionEvents<T> {
  /** With what the one before may not have done any more. */
  readonly onElected: (missed: readonly T[]) => void;
  readonly onLost: () => void;
}

/**
 * One of the processes on a shared tier, by a lock of the cache's; without a shared tier, one in this process. Those that are not
 * elected remember what they hear, and do it again when the one that was has gone: so it is done twice rather than never.
 */
export class Election<T> {
  readonly #cache: Cache;
  readonly #clock: Clock;
  readonly #events: ElectionEvents<T>;
  readonly #remembered: { readonly at: number; readonly what: T }[] = [];
  #lock: Lock | undefined;
  #timer: Timer | undefined;
  #asking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(cache: Cache, clock: Clock, events: ElectionEvents<T>) {
    this.#cache = cache;
    this.#clock = clock;
    this.#events = events;
    this.#ask();
  }

  get isElected(): boolean {
    return this.#lock !== undefined && !this.#lock.signal.aborted;
  }

  /** What was heard while another is elected; the oldest goes first. */
  remember(what: T): void {
    this.#remembered.push({ at: this.#clock.now(), what });
    if (this.#remembered.length > MAX_REMEMBERED) this.#remembered.splice(0, MAX_REMEMBERED / 10);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#asking;
    const lock = this.#lock;
    this.#lock = undefined;
    // What cannot be released runs out by itself.
    await lock?.release().catch(() => undefined);
  }

  #ask(): void {
    this.#asking = this.#obtain();
  }

  async #obtain(): Promise<void> {
    let lock: Lock | undefined;
    try {
      lock = await this.#cache.lock(["tiercache", "purge-forwarding"], { ttl: LOCK_TTL, wait: 1 });
    } catch {
      // Somebody else has it, or the tier does not answer: asked for again below.
    }
    if (lock !== undefined) return this.#won(lock);
    if (this.#closed) return;
    this.#timer = this.#clock.after(ASK_EVERY, () => this.#ask());
  }

  #won(lock: Lock): void {
    this.#lock = lock;
    // `close` waits for this, and gives it back.
    if (this.#closed) return;
    lock.signal.addEventListener(
      "abort",
      () => {
        if (this.#lock !== lock) return;
        this.#lock = undefined;
        this.#events.onLost();
        if (!this.#closed) this.#ask();
      },
      { once: true },
    );
    const since = this.#clock.now() - REMEMBERED;
    const missed = this.#remembered.splice(0).filter(({ at }) => at >= since);
    this.#events.onElected(missed.map(({ what }) => what));
  }
}
