import type { Lock, LockOptions } from "./api.js";
import type { Clock, Timer } from "./clock.js";
import { toMilliseconds } from "./duration.js";
import { CacheError } from "./errors.js";
import { acquired } from "./load/lease.js";
import { knownOptions, optionError } from "./policy.js";
import type { SharedSide } from "./tiers/shared-side.js";

const DEFAULT_TTL = 10_000;
const DEFAULT_WAIT = 10_000;
/** How often a lock held elsewhere is asked for again when no word of it comes; milliseconds. */
const RECHECK = 100;

interface Settings {
  readonly ttl: number;
  readonly wait: number;
  readonly signal: AbortSignal | undefined;
}

/** Hands out the locks of one cache. */
export interface Locks {
  obtain(path: string, options: LockOptions): Promise<Lock>;
}

/** Mutexes of this process, first come first served. */
export function localLocks(clock: Clock): Locks {
  const queues = new Map<string, Set<() => void>>();
  let fence = 0;
  const free = (path: string): void => {
    const queue = queues.get(path);
    const [next] = queue ?? [];
    if (queue === undefined || next === undefined) {
      queues.delete(path);
      return;
    }
    queue.delete(next);
    next();
  };
  const turn = (path: string, settings: Settings): Promise<void> => {
    const queue = queues.get(path);
    if (queue === undefined) {
      queues.set(path, new Set());
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const end = (): void => {
        queue.delete(start);
        timer.cancel();
        settings.signal?.removeEventListener("abort", aborted);
      };
      const start = (): void => {
        end();
        resolve();
      };
      const aborted = (): void => {
        end();
        reject(settings.signal?.reason as Error);
      };
      const timer = clock.after(
        settings.wait,
        () => {
          end();
          reject(notObtained(path, settings));
        },
        true,
      );
      queue.add(start);
      settings.signal?.addEventListener("abort", aborted, { once: true });
    });
  };
  return {
    async obtain(path, options) {
      const settings = resolve(options);
      settings.signal?.throwIfAborted();
      await turn(path, settings);
      fence += 1;
      // Nobody else can take it away, so it is never lost and its ttl has nothing to end.
      return makeLock(fence, new AbortController(), () => {
        free(path);
        return Promise.resolve();
      });
    },
  };
}

/** Mutexes shared by all processes of a shared tier: leases on names no entry can have. */
export function sharedLocks(sideOf: (path: string) => SharedSide, clock: Clock): Locks {
  let granted = 0;
  return {
    async obtain(path, options) {
      const settings = resolve(options);
      const side = sideOf(path);
      const { tier, guard, follower, origin } = side;
      const token = `${origin}.lock.${(granted += 1)}`;
      const giveUpAt = clock.now() + settings.wait;
      for (;;) {
        settings.signal?.throwIfAborted();
        const sentAt = clock.now();
        const ending = follower.leaseEnds.listen(path);
        try {
          const answer = await acquired(guard, tier.leases, path, { token, ttl: settings.ttl });
          // One that is told of too late may be somebody else's by now, with a greater fence.
          const until = sentAt + settings.ttl;
          if (answer.state === "won" && clock.now() < until)
            return keepAlive(side, path, token, answer.fence, settings, until);
          const left = giveUpAt - clock.now();
          if (left <= 0) throw notObtained(path, settings);
          await ending.until(Math.max(1, Math.min(left, RECHECK)));
        } finally {
          ending.end();
        }
      }
    },
  };

  function keepAlive(
    { tier, guard }: SharedSide,
    path: string,
    token: string,
    fence: number,
    settings: Settings,
    until: number,
  ): Lock {
    const controller = new AbortController();
    let timer: Timer | undefined;
    let expiry: Timer | undefined;
    let ended = false;
    // Counted from when it was asked for: the server's count began no earlier.
    let provenUntil = until;
    const lost = (): void => {
      if (ended) return;
      ended = true;
      timer?.cancel();
      expiry?.cancel();
      controller.abort(new CacheError("ERR_CACHE_LOCK", `The lock ${path} was lost`));
    };
    const renew = (): void => {
      const sentAt = clock.now();
      guard
        .call("leases.renew", () => tier.leases.renew(path, token, settings.ttl))
        .then(
          (still) => {
            if (!still) return lost();
            provenUntil = sentAt + settings.ttl;
            prove();
            schedule();
          },
          // Unknown: it is held until what was last proven runs out.
          schedule,
        );
    };
    const schedule = (): void => {
      if (!ended) timer = clock.after(Math.min(settings.ttl / 3, provenUntil - clock.now()), renew);
    };
    // Of its own: a renewal that hangs must not keep the holder believing.
    const prove = (): void => {
      expiry?.cancel();
      if (!ended) expiry = clock.after(provenUntil - clock.now(), lost);
    };
    prove();
    schedule();
    return makeLock(fence, controller, async () => {
      timer?.cancel();
      expiry?.cancel();
      if (ended) throw new CacheError("ERR_CACHE_LOCK", `The lock ${path} was lost before it was released`);
      ended = true;
      const released = await guard.call("leases.release", () => tier.leases.release(path, token));
      if (!released) throw new CacheError("ERR_CACHE_LOCK", `The lock ${path} was lost before it was released`);
    });
  }
}

function makeLock(fence: number, controller: AbortController, release: () => Promise<void>): Lock {
  let released: Promise<void> | undefined;
  const once = (): Promise<void> => (released ??= release());
  return { fence, signal: controller.signal, release: once, [Symbol.asyncDispose]: once };
}

function resolve(options: LockOptions): Settings {
  knownOptions(options, ["ttl", "wait", "signal"], "lock");
  const ttl = toMilliseconds(options.ttl ?? DEFAULT_TTL, "ttl");
  if (ttl < 10) throw optionError("ttl", "10 ms or more", options.ttl);
  return { ttl, wait: toMilliseconds(options.wait ?? DEFAULT_WAIT, "wait"), signal: options.signal };
}

function notObtained(path: string, settings: Settings): CacheError {
  return new CacheError("ERR_CACHE_LOCK", `The lock ${path} was not obtained within ${settings.wait} ms`);
}
