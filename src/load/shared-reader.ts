import type { LogFollower } from "../invalidation/follower.js";
import type { TierGuard } from "../tiers/guard.js";
import type { SharedTier, StoredValue } from "../tiers/shared.js";
import type { Head } from "../invalidation/record.js";

/** Keys asked for in one command. */
const BATCH = 256;

export interface SharedAnswer {
  readonly value: StoredValue | undefined;
  readonly head: Head | undefined;
  /** The position applied here when it was asked for. */
  readonly stood: number;
}

interface Asked {
  readonly key: string;
  readonly resolve: (answer: SharedAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads of the shared tier, those of one tick batched into one command with the head they were read at. */
export class SharedReader {
  readonly #tier: SharedTier;
  readonly #guard: TierGuard;
  readonly #follower: LogFollower;
  #asked: Asked[] = [];

  constructor(tier: SharedTier, guard: TierGuard, follower: LogFollower) {
    this.#tier = tier;
    this.#guard = guard;
    this.#follower = follower;
  }

  read(key: string): Promise<SharedAnswer> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ key, resolve, reject });
      if (this.#asked.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    if (asked.length <= BATCH) this.#send(asked);
    else for (let start = 0; start < asked.length; start += BATCH) this.#send(asked.slice(start, start + BATCH));
  }

  #send(batch: readonly Asked[]): void {
    const keys = batch.map((one) => one.key);
    const stood = this.#follower.position ?? 0;
    this.#guard
      .call("store.read", () => this.#tier.store.read(keys))
      .then(
        ({ values, head }) => {
          for (let index = 0; index < batch.length; index += 1)
            batch[index]?.resolve({ value: values[index], head, stood });
        },
        (error: unknown) => {
          for (const one of batch) one.reject(error);
        },
      );
  }
}
