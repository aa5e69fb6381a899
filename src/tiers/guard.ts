import type { Clock } from "../clock.js";
import { CacheError } from "../errors.js";
import type { Recorder } from "../stats.js";

export interface GuardOptions {
  readonly timeout: number;
  readonly breakerFailures: number;
  readonly breakerCooldown: number;
}

/** A breaker's state: `closed` lets calls through, `open` none, `half-open` one that tries. */
export type Circuit = "closed" | "half-open" | "open";

/** Commands left unanswered by a hung tier that may pile up in its client before patience with it ends. */
const MAX_ABANDONED = 1_000;
/** What a tier moves in a millisecond, at the least: 8 MB a second. */
const BYTES_PER_MS = 8_192;

/**
 * Bounds every call of a shared tier: each has a timeout, and after a few failures in a row a breaker opens, so
 * that a hung server costs its timeout a few times and then nothing.
 *
 * closed → (failures in a row) → open → (cooldown) → half-open: one call probes; its success closes, its failure
 * opens again. A client cannot take back a command it has sent, so the answers abandoned are counted and capped:
 * past the cap one failure opens the breaker. A probe that is answered ends the count: what has not come back by then is
 * lost in the client.
 */
export class TierGuard {
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #shard: number;
  readonly #options: GuardOptions;
  #failures = 0;
  #openUntil = Number.NEGATIVE_INFINITY;
  #probing = false;
  /** Of the time since a probe was last answered. */
  #abandoned = { count: 0 };
  #down = false;

  constructor(clock: Clock, recorder: Recorder, shard: number, options: GuardOptions) {
    this.#clock = clock;
    this.#recorder = recorder;
    this.#shard = shard;
    this.#options = options;
  }

  /** How long a call that moves so many bytes is waited for; milliseconds. */
  timeoutFor(bytes: number): number {
    return this.#options.timeout + Math.floor(bytes / BYTES_PER_MS);
  }

  /** Whether calls are let through as usual. */
  get up(): boolean {
    return !this.#down;
  }

  get circuit(): Circuit {
    if (!this.#down) return "closed";
    return this.#probing ? "half-open" : "open";
  }

  /**
   * @param timeout milliseconds, for calls that may take longer than the usual.
   * @throws CacheError `ERR_CACHE_TIER`, with the tier's own error as `cause`.
   */
  call<T>(operation: string, run: () => Promise<T>, timeout: number = this.#options.timeout): Promise<T> {
    // One promise for all of it: every read of the shared tier comes through here.
    return new Promise<T>((resolve, reject) => {
      const probe = this.#admit(operation);
      const begunAt = this.#clock.now();
      let abandoned: { count: number } | undefined;
      const timer = this.#clock.after(timeout, () => {
        abandoned = this.#abandoned;
        abandoned.count += 1;
        const cause = new CacheError(
          "ERR_CACHE_TIER",
          `The shared tier did not answer ${operation} within ${timeout} ms`,
        );
        reject(this.#failed(probe, operation, cause));
      });
      const settled = (): boolean => {
        timer.cancel();
        if (abandoned !== undefined) abandoned.count -= 1;
        return abandoned === undefined;
      };
      started(run).then(
        (value) => {
          if (!settled()) return;
          this.#succeeded(probe);
          this.#recorder.tierAnswered(this.#clock.now() - begunAt);
          resolve(value);
        },
        (cause: unknown) => {
          if (settled()) reject(this.#failed(probe, operation, cause));
        },
      );
    });
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

  #succeeded(probe: boolean): void {
    if (probe) this.#probing = false;
    this.#failures = 0;
    // Only a probe closes an open breaker: an answer to an older call says nothing of now.
    if (this.#down && probe) {
      this.#down = false;
      this.#abandoned = { count: 0 };
      this.#recorder.emit({ type: "tier-up", shard: this.#shard });
    }
  }

  /** Counts and tells a failure. @returns what the caller gets. */
  #failed(probe: boolean, operation: string, cause: unknown): CacheError {
    this.#count(probe);
    const error =
      cause instanceof CacheError && cause.code === "ERR_CACHE_TIER"
        ? cause
        : new CacheError("ERR_CACHE_TIER", `The shared tier failed at ${operation}`, { cause });
    this.#recorder.tierFailed(operation, error);
    return error;
  }

  #count(probe: boolean): void {
    if (probe) this.#probing = false;
    this.#failures += 1;
    const tooMany = this.#failures >= this.#options.breakerFailures || this.#abandoned.count >= MAX_ABANDONED;
    if (!probe && (this.#down || !tooMany)) return;
    this.#openUntil = this.#clock.now() + this.#options.breakerCooldown;
    if (this.#down) return;
    this.#down = true;
    this.#recorder.emit({ type: "tier-down", shard: this.#shard });
  }
}

/** The call under way, failed when it could not even be begun. */
function started<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run();
  } catch (error) {
    return Promise.reject(error);
  }
}
