import {
  isIoRedis,
  isSentinel,
  type IoRedisLike,
  type NodeRedisLike,
  type NodeRedisSentinelLike,
  type RedisLike,
} from "./client.js";
import { Settlement } from "./connection.js";

/*
 * Hears of changes of entries by anybody: another service, redis-cli, expiry, eviction. For implementers:
 *
 * - `CLIENT TRACKING ON BCAST` makes the server send the names of keys that changed under a prefix (Redis documentation,
 *   "Client-side caching", broadcasting mode). It belongs to a connection and ends with it, so it is switched on again at
 *   every `ready`, and what happened between is covered by saying that everything may have changed.
 * - node-redis hears it by RESP3 only, as the event of an option that switches ordinary tracking on; the mode is changed
 *   afterwards. ioredis drops such pushes and hears it by RESP2 only, where the server publishes them to a subscriber,
 *   here to the very connection that tracks. node-redis' sentinel client does neither, but gives its master's client.
 * - The library's own fills are heard as well. Telling them apart would mean counting, and the server joins changes of
 *   one key: a foreign one could be taken for one's own.
 * - A connection may die without a word. So it is asked for a sign of life whenever the log was read on the other
 *   connection, and replaced when the log was read several times meanwhile.
 */

/** What a feed tells. */
export interface FeedListener {
  /** The key under this name changed. */
  changed(name: string): void;
  /** Any key may have changed: after a flush, and whenever the feed (again) stands. */
  changedAll(): void;
  /** It stood before, and now the server refuses it. */
  refused(reason: string): void;
}

export interface Feed {
  /** Resolves when it stands for the first time; rejects when it never will. */
  readonly standing: Promise<void>;
  /** The server has just answered elsewhere: so it should here. */
  check(): void;
  close(): void;
}

/** What a connection that tracks tells the feed. `name` is absent for a flush. */
interface Hears {
  invalidated(name: string | undefined): void;
  up(): void;
  lost(): void;
  /** The server is there and refuses. */
  failed(error: unknown): void;
  /** The client does not try to connect any more. */
  gaveUp(error: unknown): void;
}

interface Tracker {
  /** Settles when the server has answered. */
  ping(): Promise<unknown>;
  close(): void;
}

/** Answers elsewhere before the silence here is taken for a dead connection. */
const MAX_SILENCE = 8;
/** Before the next look for a master; milliseconds. */
const PAUSE = 200;
/** What makes node-redis hear of keys. Its own cache is for its own commands. */
const NODE_REDIS_TRACKING = { RESP: 3, emitInvalidate: true, clientSideCache: undefined } as const;
const CHANNEL = "__redis__:invalidate";

/** Hears of keys with these prefixes, on a connection duplicated from `client`. */
export function openFeed(
  client: RedisLike | NodeRedisSentinelLike,
  prefixes: readonly string[],
  hears: FeedListener,
): Feed {
  return new TrackingFeed((heard) => {
    if (isSentinel(client)) return sentinelTracker(client, prefixes, heard);
    if (isIoRedis(client, "client")) return ioRedisTracker(client, prefixes, heard);
    return nodeRedisTracker(client.duplicate(NODE_REDIS_TRACKING), prefixes, heard);
  }, hears);
}

class TrackingFeed implements Feed {
  readonly #open: (hears: Hears) => Tracker;
  readonly #hears: FeedListener;
  readonly #stands = new Settlement();
  #tracker: Tracker | undefined;
  #up = false;
  #refused = false;
  #asked = false;
  #silence = 0;

  constructor(open: (hears: Hears) => Tracker, hears: FeedListener) {
    this.#open = open;
    this.#hears = hears;
    this.#start();
  }

  get standing(): Promise<void> {
    return this.#stands.promise;
  }

  check(): void {
    const tracker = this.#tracker;
    if (tracker === undefined || !this.#up) return;
    if (this.#asked) {
      this.#silence += 1;
      if (this.#silence >= MAX_SILENCE) this.#start();
      return;
    }
    this.#asked = true;
    const answered = (): void => {
      if (this.#tracker !== tracker) return;
      this.#asked = false;
      this.#silence = 0;
    };
    // Refused for want of the right to ask is an answer, too; a connection that was lost says so itself.
    tracker.ping().then(answered, answered);
  }

  close(cause?: unknown): void {
    this.#tracker?.close();
    this.#tracker = undefined;
    if (!this.#stands.settled) this.#stands.reject(cause);
  }

  #start(): void {
    this.#tracker?.close();
    this.#up = false;
    this.#asked = false;
    this.#silence = 0;
    // What a connection says after it was replaced or closed is not heard.
    const isMine = (): boolean => this.#tracker === tracker;
    const tracker: Tracker = this.#open({
      invalidated: (name) => {
        if (!isMine()) return;
        if (name === undefined) this.#hears.changedAll();
        else this.#hears.changed(name);
      },
      up: () => {
        if (!isMine()) return;
        this.#up = true;
        this.#refused = false;
        this.#asked = false;
        this.#silence = 0;
        this.#hears.changedAll();
        this.#stands.resolve();
      },
      lost: () => {
        if (isMine()) this.#up = false;
      },
      failed: (error) => {
        if (!isMine()) return;
        if (!this.#stands.settled) this.close(error);
        else if (!this.#refused) this.#hears.refused(`tracking: ${messageOf(error)}`);
        // It may be tried again and again.
        this.#refused = true;
      },
      gaveUp: (error) => {
        if (isMine() && !this.#stands.settled) this.close(error);
      },
    });
    this.#tracker = tracker;
  }
}

/** @param own a client for this, not yet connected. */
function nodeRedisTracker(own: NodeRedisLike, prefixes: readonly string[], hears: Hears): Tracker {
  let connections = 0;
  let closed = false;
  const onReady = async (): Promise<void> => {
    const connection = ++connections;
    try {
      const [redirect] = await Promise.all([
        own.sendCommand(["CLIENT", "GETREDIR"]),
        own.sendCommand(["CLIENT", "TRACKING", "OFF"]),
        own.sendCommand(["CLIENT", "TRACKING", "ON", "BCAST", ...prefixArguments(prefixes)]),
      ]);
      if (closed || connection !== connections) return;
      // The library has not switched it on when it connected, so it will not say what the server tells.
      if (Number(redirect) === -1) hears.failed(new Error("Tracking needs node-redis 5.9 or later"));
      else hears.up();
    } catch (error) {
      if (!closed && connection === connections && own.isReady === true) hears.failed(error);
    }
  };
  const onLost = (): void => {
    connections += 1;
    if (!closed) hears.lost();
  };
  // Most of what it says shows as a loss, and the client goes on by its own strategy. It switches tracking on before it is
  // ready, so that is where a refusal is heard.
  own.on("error", (error) => {
    if (!closed && isRefusal(error)) hears.failed(error);
  });
  own.on("ready", () => void onReady());
  for (const event of ["reconnecting", "terminated", "end"]) own.on(event, onLost);
  own.on("invalidate", (key) => {
    if (!closed) hears.invalidated(nameOf(key));
  });
  own.connect().catch((error: unknown) => {
    if (!closed) hears.gaveUp(error);
  });
  return {
    ping: () => own.sendCommand(["PING"]),
    close() {
      closed = true;
      if (own.isOpen) own.destroy();
    },
  };
}

/** Each connection leads to the master of its moment; when it is lost the next is made to the master of then. */
function sentinelTracker(client: NodeRedisSentinelLike, prefixes: readonly string[], hears: Hears): Tracker {
  let current: Tracker | undefined;
  let waiting: NodeJS.Timeout | undefined;
  let closed = false;
  const drop = (): void => {
    current?.close();
    current = undefined;
    clearTimeout(waiting);
  };
  const again = (error: unknown): void => {
    drop();
    hears.lost();
    if (closed) return;
    if (client.isOpen) waiting = setTimeout(seek, PAUSE).unref();
    else hears.gaveUp(error);
  };
  const seek = (): void => {
    client
      ._execute(false, async (master) => {
        const socket: unknown = master.options && Reflect.get(master.options, "socket");
        const single = { ...(typeof socket === "object" ? socket : undefined), reconnectStrategy: false };
        return master.duplicate({ ...NODE_REDIS_TRACKING, socket: single });
      })
      .then((own) => {
        if (closed) return;
        current = nodeRedisTracker(own, prefixes, { ...hears, lost: () => again(undefined), gaveUp: again });
      })
      .catch(again);
  };
  seek();
  return {
    ping: () => current?.ping() ?? Promise.resolve(),
    close() {
      closed = true;
      drop();
    },
  };
}

function ioRedisTracker(client: IoRedisLike, prefixes: readonly string[], hears: Hears): Tracker {
  const own = client.duplicate({
    protocol: 2,
    lazyConnect: true,
    autoResubscribe: false,
    // A command of an earlier connection would name that one, or come before the others.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    // It loses the names of commands sent by `callBuffer`.
    enableAutoPipelining: false,
  });
  let connections = 0;
  const onReady = async (): Promise<void> => {
    const connection = ++connections;
    try {
      const id = String(await own.callBuffer("client", "id"));
      if (connection !== connections) return;
      await own.callBuffer("client", "tracking", "on", "redirect", id, "bcast", ...prefixArguments(prefixes));
      if (connection !== connections) return;
      await own.subscribe(CHANNEL);
      if (connection === connections) hears.up();
    } catch (error) {
      if (connection === connections && own.status === "ready") hears.failed(error);
    }
  };
  own.on("error", () => undefined);
  own.on("ready", () => void onReady());
  own.on("close", () => {
    connections += 1;
    hears.lost();
  });
  own.on("end", () => hears.gaveUp(new Error("The connection was given up")));
  own.on("messageBuffer", (channel, names) => {
    if (!(channel instanceof Uint8Array) || Buffer.from(channel).toString() !== CHANNEL) return;
    if (Array.isArray(names)) for (const name of names) hears.invalidated(nameOf(name));
    else hears.invalidated(undefined);
  });
  // A failed try is followed by others, or by "end".
  own.connect().catch(() => undefined);
  return {
    ping: () => own.callBuffer("ping"),
    close() {
      connections += 1;
      own.disconnect();
    },
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^(?:NOPERM|ERR)/.test(error.message);
}

function prefixArguments(prefixes: readonly string[]): string[] {
  return prefixes.flatMap((prefix) => ["PREFIX", prefix]);
}

function nameOf(key: unknown): string | undefined {
  if (key instanceof Uint8Array) return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("utf8");
  return typeof key === "string" ? key : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
