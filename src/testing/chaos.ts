import type { Clock } from "../clock.js";
import type {
  LogSignal,
  ShardedTierFactory,
  SharedRead,
  SharedTier,
  SharedTierFactory,
  StoredValue,
} from "../tiers/shared.js";

/** The calls of a shared tier that chaos counts and disturbs. Fetching a large value is a `read`. */
export type SharedCall =
  | "read"
  | "put"
  | "invalidate"
  | "marks"
  | "rules"
  | "discard"
  | "list"
  | "acquire"
  | "renew"
  | "fill"
  | "commit"
  | "release"
  | "head"
  | "since"
  | "subscribe";

/** What can go wrong with connections. What is told holds for calls made from then on, of every tier opened. */
export interface Disturbances {
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

/** A shared tier that fails as told. */
export interface Chaos extends Disturbances {
  readonly factory: SharedTierFactory;
}

/** A shared tier of several shards that fails as told: each shard alone, or all of them. */
export interface ShardedChaos extends Disturbances {
  readonly factory: ShardedTierFactory;
  /** What can go wrong with the connections to one shard. */
  shard(index: number): Disturbances;
}

/** Puts chaos before a shared tier. It begins healthy. */
export function chaos(inner: SharedTierFactory): Chaos;
export function chaos(inner: ShardedTierFactory): ShardedChaos;
export function chaos(inner: SharedTierFactory | ShardedTierFactory): Chaos | ShardedChaos {
  return "openShards" in inner ? ofShards(inner) : ofOne(inner);
}

function ofOne(inner: SharedTierFactory): Chaos {
  const connections = new Connections(noCalls());
  const factory: SharedTierFactory = {
    kind: inner.kind,
    open: (cacheName) => connections.wrap(inner.open(cacheName)),
  };
  return { factory, ...connections.disturbances() };
}

function ofShards(inner: ShardedTierFactory): ShardedChaos {
  const calls = noCalls();
  // Told what is told to all, so that shards met later begin with it.
  const all = new Connections(calls);
  const shards: Connections[] = [];
  const shard = (index: number): Connections => (shards[index] ??= new Connections(noCalls(), all));
  const factory: ShardedTierFactory = {
    kind: inner.kind,
    openShards(cacheName) {
      const tier = inner.openShards(cacheName);
      return {
        kind: tier.kind,
        shards: tier.shards.map((one, index) => shard(index).wrap(one)),
        shardOf: (key) => tier.shardOf(key),
        close: () => tier.close(),
      };
    },
  };
  const each = (tell: (connections: Connections) => void): void => {
    // Not all of them need have been met in order.
    for (const connections of [all, ...shards]) if (connections !== undefined) tell(connections);
  };
  return {
    factory,
    shard: (index) => shard(index).disturbances(),
    calls,
    hang: () => each((connections) => connections.hang()),
    loseAnswers: () => each((connections) => connections.loseAnswers()),
    fail: (error) => each((connections) => connections.fail(error)),
    slow: (ms, clock) => each((connections) => connections.slow(ms, clock)),
    heal: () => each((connections) => connections.heal()),
    dropPushes: (on) => each((connections) => connections.dropPushes(on)),
    disconnect: () => each((connections) => connections.disconnect()),
    reconnect: () => each((connections) => connections.reconnect()),
  };
}

type Disturbance = <T>(call: () => Promise<T>) => Promise<T>;

const healthy: Disturbance = (call) => call();

/** The connections to one server, and what is wrong with them. */
class Connections {
  readonly #calls: Record<SharedCall, number>;
  /** Those that count its calls as well. */
  readonly #parent: Connections | undefined;
  readonly #listeners = new Set<(signal: LogSignal) => void>();
  #disturb = healthy;
  #dropping = false;
  #connected = true;

  constructor(calls: Record<SharedCall, number>, parent?: Connections) {
    this.#calls = calls;
    this.#parent = parent;
    if (parent === undefined) return;
    this.#disturb = parent.#disturb;
    this.#dropping = parent.#dropping;
    this.#connected = parent.#connected;
  }

  disturbances(): Disturbances {
    return {
      calls: this.#calls,
      hang: () => this.hang(),
      loseAnswers: () => this.loseAnswers(),
      fail: (error) => this.fail(error),
      slow: (ms, clock) => this.slow(ms, clock),
      heal: () => this.heal(),
      dropPushes: (on) => this.dropPushes(on),
      disconnect: () => this.disconnect(),
      reconnect: () => this.reconnect(),
    };
  }

  wrap(tier: SharedTier): SharedTier {
    const through = <T>(name: SharedCall, call: () => Promise<T>): Promise<T> => this.#through(name, call);
    const list = tier.store.list?.bind(tier.store);
    return {
      kind: tier.kind,
      store: {
        read: (keys) => through("read", () => tier.store.read(keys)).then((read) => this.#withFetches(read)),
        put: (entries, origin) => through("put", () => tier.store.put(entries, origin)),
        invalidate: (marks, soft, origin) => through("invalidate", () => tier.store.invalidate(marks, soft, origin)),
        marks: (marks) => through("marks", () => tier.store.marks(marks)),
        rules: () => through("rules", () => tier.store.rules()),
        discard: (key, stamp) => through("discard", () => tier.store.discard(key, stamp)),
        ...(list && { list: (step) => through("list", () => list(step)) }),
      },
      leases: {
        acquire: (key, options) =>
          through("acquire", () => tier.leases.acquire(key, options)).then((answer) =>
            answer.state === "filled" ? { ...answer, value: this.#withFetch(answer.value) } : answer,
          ),
        renew: (key, token, ttl) => through("renew", () => tier.leases.renew(key, token, ttl)),
        fill: (key, token, value, ttl) => through("fill", () => tier.leases.fill(key, token, value, ttl)),
        commit: (key, token, value, ttl, origin) =>
          through("commit", () => tier.leases.commit(key, token, value, ttl, origin)),
        release: (key, token) => through("release", () => tier.leases.release(key, token)),
      },
      log: {
        head: () => through("head", () => tier.log.head()),
        since: (position, limit) => through("since", () => tier.log.since(position, limit)),
        subscribe: (listener) => through("subscribe", () => this.#subscribe(tier, listener)),
      },
      close: () => tier.close(),
    };
  }

  hang(): void {
    this.#disturb = never;
  }

  loseAnswers(): void {
    this.#disturb = (call) => {
      // Its outcome is what gets lost, a failure too.
      call().catch(() => undefined);
      return never();
    };
  }

  fail(error: unknown = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })): void {
    this.#disturb = () => Promise.reject(error);
  }

  slow(ms: number, clock: Clock): void {
    this.#disturb = (call) =>
      new Promise((resolve, reject) => {
        clock.after(ms, () => void call().then(resolve, reject));
      });
  }

  heal(): void {
    this.#disturb = healthy;
    this.#dropping = false;
  }

  dropPushes(on: boolean): void {
    this.#dropping = on;
  }

  disconnect(): void {
    if (this.#connected) this.#tell({ type: "down" });
    this.#connected = false;
  }

  reconnect(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.#tell({ type: "up" });
  }

  #through<T>(name: SharedCall, call: () => Promise<T>): Promise<T> {
    this.#count(name);
    return this.#disturb(call);
  }

  #count(name: SharedCall): void {
    this.#calls[name] += 1;
    if (this.#parent !== undefined) this.#parent.#count(name);
  }

  async #subscribe(tier: SharedTier, listener: (signal: LogSignal) => void): Promise<() => Promise<void>> {
    // A listener of its own, so that the same function subscribed twice is heard, and ended, twice.
    const own = (signal: LogSignal): void => listener(signal);
    this.#listeners.add(own);
    try {
      const end = await tier.log.subscribe((signal) => {
        const pushed = signal.type !== "up" && signal.type !== "down";
        if (this.#connected && !(pushed && this.#dropping)) own(signal);
      });
      return async () => {
        this.#listeners.delete(own);
        await end();
      };
    } catch (error) {
      this.#listeners.delete(own);
      throw error;
    }
  }

  #tell(signal: LogSignal): void {
    for (const listener of this.#listeners) listener(signal);
  }

  #withFetches(read: SharedRead): SharedRead {
    return { ...read, values: read.values.map((value) => value && this.#withFetch(value)) };
  }

  #withFetch(value: StoredValue): StoredValue {
    if (value instanceof Uint8Array) return value;
    return { size: value.size, head: value.head, fetch: () => this.#through("read", () => value.fetch()) };
  }
}

function noCalls(): Record<SharedCall, number> {
  return {
    read: 0,
    put: 0,
    invalidate: 0,
    marks: 0,
    rules: 0,
    discard: 0,
    list: 0,
    acquire: 0,
    renew: 0,
    fill: 0,
    commit: 0,
    release: 0,
    head: 0,
    since: 0,
    subscribe: 0,
  };
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
