import { CacheError } from "../errors.js";
import { Settlement, type Push, type PushListener } from "./connection.js";

/**
 * Subscriptions where the server that has a channel may change: in a cluster, behind sentinels. For implementers:
 *
 * - One connection for each master that has a channel of ours, opened beside the caller's client. None reconnects by
 *   itself: once lost it is thrown away, and each of its channels looks for its master anew. So whatever happened, a
 *   channel is `up` only after a server has just confirmed it, and `down` from the moment that is in doubt.
 * - Where a channel is, the caller's client knows, as it does for commands. When that proves wrong a command is sent
 *   on the channel's slot, so the client finds out in its own way.
 * - A slot that moves takes its channels from their subscribers (`moved`). A master that was replaced while the connection
 *   to it hangs says nothing: therefore the places are compared from time to time.
 */
export interface Masters {
  /** Rejects as long as nothing may be subscribed; with a CacheError `ERR_CACHE_OPTION` if never. */
  admit(): Promise<void>;
  /** The address of the channel's master as far as the client knows. */
  addressOf(channel: string): string | undefined;
  /** Makes the client find out. */
  refresh(channel: string): Promise<unknown>;
  /** A connection to the master at the address, not yet connected. */
  open(address: string, hears: MasterListener): Promise<MasterConnection>;
  /** Whether the caller has closed the client. */
  isOver(): boolean;
}

export interface MasterConnection {
  connect(): Promise<unknown>;
  /** Resolves when the server has the subscription, though it may have had it before. */
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): void;
  /** Twice is once. */
  close(): void;
}

export interface MasterListener {
  message(channel: string, text: string): void;
  /** The server took the subscription to this channel away. */
  moved(channel: string): void;
  /** The connection is of no use any more. */
  lost(): void;
}

/** How long a server may take to answer; milliseconds. Then it is as good as lost. */
const ANSWER_TIMEOUT = 5_000;
/** How long the client may take to find out where a master is, before it is asked what it knows. */
const REFRESH_TIMEOUT = 1_000;
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1_000;
/** How often subscriptions are compared with the places the client knows. */
const WATCH_INTERVAL = 5_000;

/** A connection to a master, and who listens on it by channel. */
class Station {
  readonly address: string;
  readonly listeners: Map<string, Set<Subscription>> = new Map();
  connection!: MasterConnection;
  lost = false;

  constructor(address: string) {
    this.address = address;
  }

  on(channel: string): readonly Subscription[] {
    return [...(this.listeners.get(channel) ?? [])];
  }

  add(subscription: Subscription): void {
    const set = this.listeners.get(subscription.channel);
    if (set === undefined) this.listeners.set(subscription.channel, new Set([subscription]));
    else set.add(subscription);
  }

  /** @returns whether the channel has no other listener. */
  remove(subscription: Subscription): boolean {
    const set = this.listeners.get(subscription.channel);
    if (set?.delete(subscription) !== true || set.size > 0) return false;
    return this.listeners.delete(subscription.channel);
  }
}

class Subscription {
  readonly channel: string;
  readonly hears: PushListener;
  readonly stands: Settlement = new Settlement();
  /** Where it is, or was last. */
  station: Station | undefined;
  closed = false;
  #up = false;

  constructor(channel: string, hears: PushListener) {
    this.channel = channel;
    this.hears = hears;
  }

  get isUp(): boolean {
    return this.#up;
  }

  up(): void {
    this.#up = true;
    this.hears.up();
    this.stands.resolve();
  }

  down(): void {
    this.#up = false;
    this.hears.down();
  }

  message(text: string): void {
    if (this.#up && !this.closed) this.hears.message(text);
  }
}

export class MasterSubscriptions {
  readonly #masters: Masters;
  readonly #stations = new Map<string, Promise<Station>>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #watchInterval: number;
  #watch: NodeJS.Timeout | undefined;

  /** @param watchInterval milliseconds. */
  constructor(masters: Masters, watchInterval: number = WATCH_INTERVAL) {
    this.#masters = masters;
    this.#watchInterval = watchInterval;
  }

  subscribe(channel: string, hears: PushListener): Push {
    const subscription = new Subscription(channel, hears);
    this.#subscriptions.add(subscription);
    this.#watch ??= setInterval(() => this.#compare(), this.#watchInterval).unref();
    this.#seek(subscription, false);
    return { standing: subscription.stands.promise, close: () => this.#end(subscription, undefined) };
  }

  #seek(subscription: Subscription, anew: boolean): void {
    // It rejects only for good.
    this.#place(subscription, anew).catch((error: unknown) => this.#end(subscription, error));
  }

  /** Tries until the subscription stands or is closed. @throws what makes it useless to go on, before it ever stood. */
  async #place(subscription: Subscription, anew: boolean): Promise<void> {
    for (let tries = 0; !subscription.closed; tries++) {
      if (tries > 0) await pause(tries);
      try {
        await this.#masters.admit();
        const station = await this.#stationOf(subscription.channel, anew || tries > 0);
        await this.#join(station, subscription);
        return;
      } catch (error) {
        if (!subscription.stands.settled && (isRefusal(error) || this.#masters.isOver())) throw error;
      }
    }
  }

  async #stationOf(channel: string, anew: boolean): Promise<Station> {
    if (anew) {
      // Whether that worked or not, what the client knows then is the best there is.
      await within(REFRESH_TIMEOUT, this.#masters.refresh(channel)).catch(() => undefined);
    }
    const address = this.#masters.addressOf(channel);
    if (address === undefined) throw new CacheError("ERR_CACHE_TIER", "No server is known for the channel's slot");
    const known = this.#stations.get(address);
    if (known !== undefined) return known;
    const opening = this.#open(new Station(address));
    this.#stations.set(address, opening);
    return opening;
  }

  async #open(station: Station): Promise<Station> {
    try {
      station.connection = await within(
        ANSWER_TIMEOUT,
        this.#masters.open(station.address, {
          message(channel, text) {
            for (const subscription of station.on(channel)) subscription.message(text);
          },
          moved: (channel) => this.#moved(station, channel),
          lost: () => this.#lose(station),
        }),
      );
      await within(ANSWER_TIMEOUT, station.connection.connect());
      return station;
    } catch (error) {
      this.#lose(station);
      throw error;
    }
  }

  async #join(station: Station, subscription: Subscription): Promise<void> {
    station.add(subscription);
    try {
      await within(ANSWER_TIMEOUT, station.connection.subscribe(subscription.channel));
      if (station.lost) throw new CacheError("ERR_CACHE_TIER", "The connection was lost");
    } catch (error) {
      this.#leave(station, subscription, false);
      if (error instanceof CacheError) this.#lose(station);
      throw error;
    }
    const before = subscription.station;
    subscription.station = station;
    if (before !== undefined && before !== station) this.#leave(before, subscription, false);
    // Closed while its place was looked for: the connection may have been opened for it alone.
    if (subscription.closed) this.#leave(station, subscription, true);
    else subscription.up();
  }

  /** Gives back a channel nobody else listens to, if the server has it, and with the last one the connection. */
  #leave(station: Station, subscription: Subscription, subscribed: boolean): void {
    if (!station.remove(subscription) || station.lost) return;
    if (station.listeners.size === 0) this.#lose(station);
    else if (subscribed) station.connection.unsubscribe(subscription.channel);
  }

  #moved(station: Station, channel: string): void {
    for (const subscription of station.on(channel)) {
      // One that is looking for its place learns it by itself.
      if (!subscription.isUp || subscription.station !== station) continue;
      subscription.down();
      this.#seek(subscription, true);
    }
  }

  #lose(station: Station): void {
    if (station.lost) return;
    station.lost = true;
    this.#stations.delete(station.address);
    // Not there when it was not even made.
    (station.connection as MasterConnection | undefined)?.close();
    for (const subscription of [...station.listeners.values()].flatMap((set) => [...set])) {
      if (!subscription.isUp || subscription.station !== station) continue;
      subscription.down();
      this.#seek(subscription, false);
    }
    station.listeners.clear();
  }

  #compare(): void {
    for (const subscription of this.#subscriptions) {
      const { station, channel } = subscription;
      if (!subscription.isUp || station === undefined) continue;
      const address = this.#masters.addressOf(channel);
      if (address !== undefined && address !== station.address) this.#moved(station, channel);
    }
  }

  #end(subscription: Subscription, cause: unknown): void {
    if (subscription.closed) return;
    subscription.closed = true;
    this.#subscriptions.delete(subscription);
    if (subscription.station !== undefined) this.#leave(subscription.station, subscription, true);
    subscription.stands.reject(cause);
    if (this.#subscriptions.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }
}

/** Whether no later try will fare better: no permission, no such command, an option. */
function isRefusal(error: unknown): boolean {
  if (error instanceof CacheError) return error.code === "ERR_CACHE_OPTION";
  return error instanceof Error && /^(?:NOPERM|NOAUTH|WRONGPASS|ERR unknown command)/.test(error.message);
}

/** @throws CacheError `ERR_CACHE_TIER` when it takes longer than `ms`. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new CacheError("ERR_CACHE_TIER", `The server did not answer within ${ms} ms`);
    timer = setTimeout(() => reject(error), ms).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Longer each time, and not the same for all that lost the same server. */
function pause(tries: number): Promise<void> {
  const longest = Math.min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE);
  return new Promise((resolve) => void setTimeout(resolve, longest * (0.5 + Math.random() / 2)).unref());
}
