import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Recorder } from "../stats.js";

export interface GuardOptions {
  readonly timeout: number;
  readonly breakerFailures: number;
  readonly breakerCooldown: number;
}

/** Commands left unanswered by a hung tier that may pile up in its client before patience with it ends. */
const MAX_ABANDONED = 1_000;

/**
 * Bounds every call of a shared tier: each has a timeout, and after a few failures in a row a breaker opens, so
 * that a hung server costs its timeout a few times and then nothing.
 *
 * closed → (failures in a row) → open → (cooldown) → half-open: one call probes; its success closes, its failure
 * opens again. A client cannot take back a command it has sent, so the answers abandoned are counted and capped:
 * past the cap one failure opens the breaker. They need not all come back for it to close: a client may have lost them.
 */
export class TierGuard {
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #options: GuardOptions;
  #failures = 0;
  #openUntil = Number.NEGATIVE_INFINITY;
  #probing = false;
  #abandoned = 0;
  #down = false;

  constructor(clock: Clock, recorder: Recorder, options: GuardOptions) {
    this.#clock = clock;
    this.#recorder = recorder;
    this.#options = options;
  }

  /** Whether calls are let through as usual. */
  get up(): boolean {
    return !this.#down;
  }

  /**
   * @param timeout milliseconds, for calls that may take longer than the usual.
   * @throws CacheError `ERR_CACHE_TIER`, with the tier's own error as `cause`.
   */
  async call<T>(operation: string, run: () => Promise<T>, timeout: number = this.#options.timeout): Promise<T> {
    const probe = this.#admit(operation);
    let pending: Promise<T>;
    try {
      pending = run();
    } catch (error) {
      pending = Promise.reject(error);
    }
    try {
      const value = await this.#bounded(pending, operation, timeout);
      this.#succeeded(probe);
      return value;
    } catch (cause) {
      this.#failed(probe);
      const error =
        cause instanceof CacheError && cause.code === "ERR_CACHE_TIER"
          ? cause
          : new CacheError("ERR_CACHE_TIER", `The shared tier failed at ${operation}`, { cause });
      this.#recorder.tierFailed(operation, error);
      throw error;
    }
  }

  #admit(operation: string): boolean {
    if (!this.#down) return false;
    if (this.#probing || this.#clock.now() < this.#openUntil) throw this.#refusal(operation);
    this.#probing = true;
    return true;
  }

  #refusal(operation: string): CacheError {
    return new CacheError("ERR_CACHE_TIER", `The shared tier is down; ${operation} was not sent`);
  }

  #bounded<T>(pending: Promise<T>, operation: string, timeout: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let waiting = true;
      const timer = this.#clock.after(timeout, () => {
        waiting = false;
        this.#abandoned += 1;
        reject(new CacheError("ERR_CACHE_TIER", `The shared tier did not answer ${operation} within ${timeout} ms`));
      });
      const settled = (): boolean => {
        timer.cancel();
        if (!waiting) this.#abandoned -= 1;
        return waiting;
      };
      pending.then(
        (value) => {
          if (settled()) resolve(value);
        },
        (error: unknown) => {
          if (settled()) reject(error);
        },
      );
    });
  }

  #succeeded(probe: boolean): void {
    if (probe) this.#probing = false;
    this.#failures = 0;
    // Only a probe closes an open breaker: an answer to an older call says nothing of now.
    if (this.#down && probe) {
      this.#down = false;
      this.#recorder.emit({ type: "tier-up" });
    }
  }

  #failed(probe: boolean): void {
    if (probe) this.#probing = false;
    this.#failures += 1;
    const tooMany = this.#failures >= this.#options.breakerFailures || this.#abandoned >= MAX_ABANDONED;
    if (!probe && (this.#down || !tooMany)) return;
    this.#openUntil = this.#clock.now() + this.#options.breakerCooldown;
    if (this.#down) return;
    this.#down = true;
    this.#recorder.emit({ type: "tier-down" });
  }
}
