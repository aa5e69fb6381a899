import type { NodeRedisLike } from "./client.js";
import {
  asArgument,
  asValues,
  channelPrefixOf,
  isScriptUnknown,
  optionText,
  scriptArguments,
  Settlement,
  type Connection,
  type Push,
  type PushListener,
} from "./connection.js";

interface Options {
  readonly typeMapping: Readonly<Record<number, unknown>>;
  readonly timeout?: undefined;
}

/** Bulk strings ("$", 36) as buffers, all else as it comes; replaces whatever mapping the client was made with. */
const BYTES: Options = { typeMapping: { 36: Buffer } };
/**
 * As `BYTES`, without the client's own timeout (node-redis 6: five seconds until the command is written), which makes
 * an AbortSignal with a timer for each command and half of what a read costs. On a connection that is ready a command is
 * written at once, and the tier's guard bounds the wait; on another the client's timeout keeps its queue short.
 */
const BYTES_AT_ONCE: Options = { ...BYTES, timeout: undefined };

export function nodeRedisConnection(client: NodeRedisLike): Connection {
  const keyPrefix = optionText(client.options, "keyPrefix");
  return nodeRedisConnectionBy(
    (_key, args) => client.sendCommand(args, nodeRedisOptions(client.isReady === true)),
    keyPrefix,
    channelPrefixOf(keyPrefix, optionText(client.options, "database")),
  );
}

/** @param ready whether a command would be written at once. */
export function nodeRedisOptions(ready: boolean): Options {
  return ready ? BYTES_AT_ONCE : BYTES;
}

/**
 * @param send sends a command with the options above; given with it is its first key, which says where.
 * @param keyPrefix added here: the client adds it to its typed commands only, and those would decode the values as text.
 */
export function nodeRedisConnectionBy(
  send: (key: string, args: readonly (string | Uint8Array)[]) => Promise<unknown>,
  keyPrefix: string,
  channelPrefix: string,
): Connection {
  return {
    keyPrefix,
    channelPrefix,
    async mget(keys) {
      return asValues(await send(keys[0] ?? "", ["MGET", ...keys]));
    },
    async run(script, keys, args) {
      const key = keys[0] ?? "";
      try {
        return await send(key, ["EVALSHA", ...scriptArguments(script.sha, keys, args)]);
      } catch (error) {
        if (!isScriptUnknown(error)) throw error;
        return send(key, ["EVAL", ...scriptArguments(script.text, keys, args)]);
      }
    },
    send: (command, key, args) => send(key, [command, key, ...args.map(asArgument)]),
  };
}

/** Subscribes on a connection duplicated from `client`, closed again by `close`. */
export function nodeRedisPush(client: NodeRedisLike, channel: string, hears: PushListener): Push {
  const own = client.duplicate();
  // Without a listener the emitter would throw. What it says shows as `down`, and the client goes on by its own strategy.
  own.on("error", () => undefined);
  return subscribe(own, channel, hears, own.connect(), () => {
    if (own.isOpen) own.destroy();
  });
}

/** Subscribes on a connection of the caller's, which stays open. */
export function nodeRedisPushOn(subscriber: NodeRedisLike, channel: string, hears: PushListener): Push {
  return subscribe(subscriber, channel, hears, Promise.resolve(), (onMessage) => {
    // Whether the server still hears it does not matter: from here on nobody listens, and the connection is not ours.
    void subscriber.unsubscribe(channel, onMessage).catch(() => undefined);
  });
}

function subscribe(
  client: NodeRedisLike,
  channel: string,
  hears: PushListener,
  connected: Promise<unknown>,
  end: (onMessage: (message: string) => void) => void,
): Push {
  let closed = false;
  let subscribed = false;
  let standing = false;
  const up = (): void => {
    if (closed || standing) return;
    standing = true;
    hears.up();
  };
  const down = (): void => {
    if (closed || !standing) return;
    standing = false;
    hears.down();
  };
  const onMessage = (message: string): void => {
    if (!closed) hears.message(message);
  };
  // By the time it says "ready" again the client has taken up its subscriptions again.
  const onReady = (): void => {
    if (subscribed) up();
  };
  const onLost = ["reconnecting", "terminated", "end"];
  client.on("ready", onReady);
  for (const event of onLost) client.on(event, down);

  const stands = new Settlement();
  const close = (cause?: unknown): void => {
    if (closed) return;
    closed = true;
    client.off("ready", onReady);
    for (const event of onLost) client.off(event, down);
    end(onMessage);
    stands.reject(cause);
  };
  connected
    .then(() => client.subscribe(channel, onMessage))
    .then(() => {
      // Closed while the subscription was under way: on a connection that stays, it is ended now.
      if (closed) return end(onMessage);
      subscribed = true;
      up();
      stands.resolve();
    })
    .catch(close);
  return { standing: stands.promise, close };
}
