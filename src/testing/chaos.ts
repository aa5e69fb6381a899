import type { Clock } from "../clock.js";
import type { LogSignal, SharedTier, SharedTierFactory } from "../tiers/shared.js";

/** The calls of a shared tier that chaos counts and disturbs. */
export type SharedCall =
  | "read"
  | "put"
  | "invalidate"
  | "marks"
  | "rules"
  | "discard"
  | "acquire"
  | "renew"
  | "fill"
  | "commit"
  | "release"
  | "head"
  | "since"
  | "subscribe";

/** A shared tier that fails as told. What is told holds for calls made from then on, of every tier opened. */
export interface Chaos {
  readonly factory: SharedTierFactory;
  /** Calls made, by method, whatever came of them. */
  readonly calls: Readonly<Record<SharedCall, number>>;
  /** Calls never settle and do nothing, even after `heal`: a stopped server, or requests that got lost. */
  hang(): void;
  /** Calls do their work and never settle: lost answers. */
  loseAnswers(): void;
  /** Calls reject and do nothing. @default an ECONNREFUSED error */
  fail(error?: unknown): void;
  /** Calls wait that many milliseconds on the clock before they are made. */
  slow(ms: number, clock: Clock): void;
  /** Calls are as the tier makes them. Pushes too. */
  heal(): void;
  /** While on, records and ended leases reach no subscriber, and nobody is told so: a half-open connection. */
  dropPushes(on: boolean): void;
  /** Every subscriber hears `down`, and from then on nothing. */
  disconnect(): void;
  /** Every subscriber hears `up`; what was pushed meanwhile is lost. */
  reconnect(): void;
}

type Disturbance = <T>(call: () => Promise<T>) => Promise<T>;

/** Puts chaos before a shared tier. It begins healthy. */
export function chaos(inner: SharedTierFactory): Chaos {
  const calls: Record<SharedCall, number> = {
    read: 0,
    put: 0,
    invalidate: 0,
    marks: 0,
    rules: 0,
    discard: 0,
    acquire: 0,
    renew: 0,
    fill: 0,
    commit: 0,
    release: 0,
    head: 0,
    since: 0,
    subscribe: 0,
  };
  const listeners = new Set<(signal: LogSignal) => void>();
  const healthy: Disturbance = (call) => call();
  let disturb = healthy;
  let dropping = false;
  let connected = true;

  const through = <T>(name: SharedCall, call: () => Promise<T>): Promise<T> => {
    calls[name] += 1;
    return disturb(call);
  };
  const tell = (signal: LogSignal): void => {
    for (const listener of listeners) listener(signal);
  };

  const wrap = (tier: SharedTier): SharedTier => ({
    kind: tier.kind,
    store: {
      read: (keys) => through("read", () => tier.store.read(keys)),
      put: (entries, origin) => through("put", () => tier.store.put(entries, origin)),
      invalidate: (marks, soft, origin) => through("invalidate", () => tier.store.invalidate(marks, soft, origin)),
      marks: (marks) => through("marks", () => tier.store.marks(marks)),
      rules: () => through("rules", () => tier.store.rules()),
      discard: (key, stamp) => through("discard", () => tier.store.discard(key, stamp)),
    },
    leases: {
      acquire: (key, options) => through("acquire", () => tier.leases.acquire(key, options)),
      renew: (key, token, ttl) => through("renew", () => tier.leases.renew(key, token, ttl)),
      fill: (key, token, value, ttl) => through("fill", () => tier.leases.fill(key, token, value, ttl)),
      commit: (key, token, value, ttl, origin) =>
        through("commit", () => tier.leases.commit(key, token, value, ttl, origin)),
      release: (key, token) => through("release", () => tier.leases.release(key, token)),
    },
    log: {
      head: () => through("head", () => tier.log.head()),
      since: (position, limit) => through("since", () => tier.log.since(position, limit)),
      subscribe: (listener) =>
        through("subscribe", async () => {
          // A listener of its own, so that the same function subscribed twice is heard, and ended, twice.
          const own = (signal: LogSignal): void => listener(signal);
          listeners.add(own);
          try {
            const end = await tier.log.subscribe((signal) => {
              const pushed = signal.type === "record" || signal.type === "settled";
              if (connected && !(pushed && dropping)) own(signal);
            });
            return async () => {
              listeners.delete(own);
              await end();
            };
          } catch (error) {
            listeners.delete(own);
            throw error;
          }
        }),
    },
    close: () => tier.close(),
  });

  return {
    calls,
    factory: { kind: inner.kind, open: (cacheName) => wrap(inner.open(cacheName)) },
    hang() {
      disturb = never;
    },
    loseAnswers() {
      disturb = (call) => {
        // Its outcome is what gets lost, a failure too.
        call().catch(() => undefined);
        return never();
      };
    },
    fail(error = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })) {
      disturb = () => Promise.reject(error);
    },
    slow(ms, clock) {
      disturb = (call) =>
        new Promise((resolve, reject) => {
          clock.after(ms, () => void call().then(resolve, reject));
        });
    },
    heal() {
      disturb = healthy;
      dropping = false;
    },
    dropPushes(on) {
      dropping = on;
    },
    disconnect() {
      if (connected) tell({ type: "down" });
      connected = false;
    },
    reconnect() {
      if (connected) return;
      connected = true;
      tell({ type: "up" });
    },
  };
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
