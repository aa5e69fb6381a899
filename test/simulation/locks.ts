import type { Lock } from "../../src/index.js";
import type { Instance } from "./instance.js";
import type { World } from "./world.js";

interface Holder {
  readonly owner: Instance;
  readonly lock: Lock;
  readonly call: string;
}

const NAMES = ["lock:a", "lock:a", "lock:a", "lock:b"] as const;
/** Milliseconds; six times as long as an answer is waited for, or more: a holder learns of the end of a shorter one too late. */
const TTLS = [100, 400, 2_000] as const;

/**
 * Those who take locks. While no server loses anything, two never hold the same lock, as long as each heeds its `signal`,
 * and whoever gets it later gets a larger fence.
 */
export class LockUsers {
  readonly #world: World;
  readonly #holders = new Map<string, Holder[]>();
  readonly #newest = new Map<string, number>();
  /** A server has lost leases: locks may be broken. */
  #isExcused = false;

  constructor(world: World) {
    this.#world = world;
  }

  take(): void {
    const { random, tally } = this.#world;
    tally.locks += 1;
    const owner = random.pick(this.#world.living);
    const name = random.pick(NAMES);
    const ttl = random.pick(TTLS);
    const call = this.#world.name();
    this.#world.tell(`${owner.process} asks for ${name} for ${ttl} ms → ${call}`);
    this.#world.follow(
      owner,
      owner.cache.lock(name, { ttl, wait: random.pick([0, 500, 5_000]) }),
      (lock) => this.#taken(name, { owner, lock, call }),
      (error) => this.#excuse(call, error),
    );
  }

  /** A server forgot what it had: for the rest of the run nothing is promised. */
  broken(): void {
    this.#isExcused = true;
  }

  #taken(name: string, holder: Holder): void {
    const { owner, lock, call } = holder;
    this.#world.tell(`${call} has ${name} with fence ${lock.fence}`);
    const before = (this.#holders.get(name) ?? []).filter((other) => other.owner.isAlive && !other.lock.signal.aborted);
    const newest = this.#newest.get(name) ?? 0;
    if (!this.#isExcused && !lock.signal.aborted) {
      for (const other of before) this.#world.break(`${call} has ${name} while ${other.call} still has it`);
      if (lock.fence <= newest) this.#world.break(`${call} has ${name} with fence ${lock.fence} after ${newest}`);
    }
    this.#newest.set(name, Math.max(newest, lock.fence));
    this.#holders.set(name, [...before, holder]);
    this.#world.network.add({
      kind: "source",
      name: `${call} is done`,
      owner,
      shard: 0,
      run: () => this.#release(name, holder),
    });
  }

  #release(name: string, holder: Holder): void {
    const { call, lock, owner } = holder;
    this.#holders.set(name, this.#holders.get(name)?.filter((other) => other !== holder) ?? []);
    this.#world.follow(
      owner,
      lock.release(),
      () => this.#world.tell(`${call} is released`),
      (error) => this.#excuse(call, error),
    );
  }

  #excuse(call: string, error: unknown): void {
    const { code } = error as { code?: unknown };
    if (code !== "ERR_CACHE_LOCK" && code !== "ERR_CACHE_TIER") this.#world.break(`${call} failed: ${String(error)}`);
    this.#world.tell(`${call} fails: ${String(error)}`);
  }
}
