import type { Clock, Timer } from "../clock.js";
import type { Held } from "../entries/held.js";
import type { LogFollower } from "../invalidation/follower.js";
import type { Head } from "../invalidation/record.js";
import type { Recorder } from "../stats.js";
import type { TierGuard } from "../tiers/guard.js";
import type { LeaseAnswer, Leases, SharedTier } from "../tiers/shared.js";
import type { Flight } from "./flight.js";
import type { ReadSpec, SharedEntries } from "./shared-entries.js";

/** Without a word from the holder, the lease is asked for again this often: the wake-up may have been lost. Milliseconds. */
const RECHECK = 250;

/** How often a lease is given back that the tier was not there to take; milliseconds. */
const GIVE_BACK_EVERY = 500;

/** The right to load a key, held by this process and renewed until it is filled or released. */
export interface Lease {
  /** The log's position when it was granted: before the load begins. */
  readonly position: number;
  readonly fence: number;
  /** Stores the entry if the lease still stands. `failed`: the tier did not say. Ends the lease. */
  fill(bytes: Uint8Array, ttl: number): Promise<"filled" | "refused" | "failed">;
  /** As `fill`, for a written value: other processes' copies go in the same step. The log's head after it. */
  commit(bytes: Uint8Array, ttl: number): Promise<Head | undefined>;
  /** Gives it back without a value, in the background; after an end it does nothing. */
  release(): void;
}

interface Answers {
  /** A stored value past its freshness was found on the way. */
  stale(held: Held): void;
  /** A fresh value was found: there is nothing to load. */
  fresh(held: Held): void;
  /** Somebody else loads, and is waited for. */
  waiting(): void;
}

/** Leases of one cache in its shared tier. */
export class SharedLeases {
  readonly #tier: SharedTier;
  readonly #guard: TierGuard;
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #follower: LogFollower;
  readonly #entries: SharedEntries;
  readonly #origin: string;
  readonly #ttl: number;
  #granted = 0;
  #closed = false;

  constructor(init: {
    tier: SharedTier;
    guard: TierGuard;
    clock: Clock;
    recorder: Recorder;
    follower: LogFollower;
    entries: SharedEntries;
    origin: string;
    ttl: number;
  }) {
    this.#tier = init.tier;
    this.#guard = init.guard;
    this.#clock = init.clock;
    this.#recorder = init.recorder;
    this.#follower = init.follower;
    this.#entries = init.entries;
    this.#origin = init.origin;
    this.#ttl = init.ttl;
  }

  /**
   * The lease; or "answered" when somebody else's fill (or a stale value) has answered the flight; or `undefined`
   * when the tier is down, or the wait has been as long as a load may take: then the load goes on without.
   *
   * A dead holder's lease runs out in the tier, so waiting always ends; a living one renews it, and its fill or
   * release wakes those who wait.
   */
  async obtain(
    flight: Flight,
    seen: Uint8Array | undefined,
    spec: ReadSpec,
    answers: Answers,
  ): Promise<Lease | "answered" | undefined> {
    const token = this.#token();
    const giveUpAt = this.#clock.now() + spec.policy.hardTimeout;
    let known = seen;
    let stood = 0;
    while (!flight.aborted) {
      const ending = this.#follower.leaseEnds.listen(flight.key);
      try {
        let answer: LeaseAnswer;
        try {
          stood = this.#follower.position ?? 0;
          answer = await acquired(
            this.#guard,
            this.#tier.leases,
            flight.key,
            { token, ttl: this.#ttl, seen: known },
            () => this.#giveBack(flight.key, token),
          );
        } catch {
          return undefined;
        }
        switch (answer.state) {
          case "won":
            return this.#held(flight.key, token, answer.head.position, answer.fence, spec.policy.hardTimeout);
          case "filled": {
            const found = await this.#entries.examine(flight.key, answer.value, answer.head, spec, stood);
            if (found.state === "down") return undefined;
            if (found.state === "fresh") {
              answers.fresh(found.held);
              return "answered";
            }
            if (found.state === "stale") answers.stale(found.held);
            known = found.state === "stale" ? found.held.fields.stamp : found.stamp;
            break;
          }
          case "held":
            // Somebody else refreshes what this flight has answered with: that is enough.
            if (flight.answered) return "answered";
            if (this.#clock.now() >= giveUpAt) return undefined;
            answers.waiting();
            await ending.until(Math.max(1, Math.min(answer.remaining + 1, RECHECK)));
        }
      } finally {
        ending.end();
      }
    }
    return undefined;
  }

  /** A writer's lease: granted whoever holds it, so that no load which began before can fill. */
  async takeOver(key: string, ttl: number): Promise<Lease | undefined> {
    const token = this.#token();
    try {
      const request = { token, ttl: this.#ttl, takeOver: true };
      const answer = await acquired(this.#guard, this.#tier.leases, key, request, () => this.#giveBack(key, token));
      return answer.state === "won" ? this.#held(key, token, answer.head.position, answer.fence, ttl) : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Ends a lease that the tier, when it was to be ended, was not there to hear of: a server that comes back, or that takes
   * another's place, still has it, and everybody would wait until it runs out.
   */
  #giveBack(key: string, token: string): void {
    const until = this.#clock.now() + this.#ttl;
    const again = (): void => {
      if (this.#closed || this.#clock.now() >= until) return;
      this.#guard
        .call("leases.release", () => this.#tier.leases.release(key, token))
        // Counted and told by the guard; in the end it runs out by itself.
        .catch(() => this.#clock.after(GIVE_BACK_EVERY, again));
    };
    this.#clock.after(GIVE_BACK_EVERY, again);
  }

  /** Leaves what is not given back yet to run out. */
  close(): void {
    this.#closed = true;
  }

  #token(): string {
    this.#granted += 1;
    return `${this.#origin}.${this.#granted}`;
  }

  #held(key: string, token: string, position: number, fence: number, longest: number): Lease {
    this.#follower.saw(position);
    const { leases } = this.#tier;
    const until = this.#clock.now() + longest;
    let ended = false;
    let timer: Timer | undefined;
    const renew = (): void => {
      if (ended || this.#clock.now() >= until) return;
      this.#guard
        .call("leases.renew", () => leases.renew(key, token, this.#ttl))
        .then(
          // Lost: the fill will be refused. There is nothing to tell the loader: its value still answers its callers.
          (still) => (still ? schedule() : undefined),
          () => schedule(),
        );
    };
    const schedule = (): void => {
      if (!ended) timer = this.#clock.after(this.#ttl / 3, renew);
    };
    const end = (): boolean => {
      if (ended) return false;
      ended = true;
      timer?.cancel();
      return true;
    };
    schedule();
    return {
      position,
      fence,
      fill: async (bytes, ttl) => {
        if (!end()) return "refused";
        try {
          const filled = await this.#guard.call(
            "leases.fill",
            () => leases.fill(key, token, bytes, ttl),
            this.#guard.timeoutFor(bytes.length),
          );
          return filled ? "filled" : "refused";
        } catch {
          // Counted and told by the guard. Whether it was stored is unknown; if it was, it passed the fence.
          this.#giveBack(key, token);
          return "failed";
        }
      },
      commit: async (bytes, ttl) => {
        if (!end()) return undefined;
        try {
          return await this.#guard.call(
            "leases.commit",
            () => leases.commit(key, token, bytes, ttl, this.#origin),
            this.#guard.timeoutFor(bytes.length),
          );
        } catch {
          // Counted and told by the guard. The writer invalidates, whatever came of it.
          this.#giveBack(key, token);
          return undefined;
        }
      },
      release: () => {
        if (!end()) return;
        this.#guard
          .call("leases.release", () => leases.release(key, token))
          .catch((error: unknown) => {
            this.#giveBack(key, token);
            this.#recorder.emit({ type: "background-failed", what: `release of the lease on ${key}`, error });
          });
      },
    };
  }
}

/**
 * Asks for a lease. One that is granted to a caller who has given up waiting for the answer is given back: nobody would
 * hold it, and everybody would wait for its end.
 *
 * @param onUnknown it was asked for and not answered: it may have been granted.
 */
export async function acquired(
  guard: TierGuard,
  leases: Leases,
  key: string,
  request: Parameters<Leases["acquire"]>[1],
  onUnknown: () => void = () => undefined,
): Promise<LeaseAnswer> {
  let isAwaited = true;
  let isSent = false;
  try {
    return await guard.call("leases.acquire", async () => {
      isSent = true;
      const answer = await leases.acquire(key, request);
      // A courtesy to others: at the latest it runs out by itself.
      if (!isAwaited && answer.state === "won") leases.release(key, request.token).catch(() => undefined);
      return answer;
    });
  } catch (error) {
    isAwaited = false;
    // One the breaker held back was granted to nobody.
    if (isSent) onUnknown();
    throw error;
  }
}
