import type { NodeRedisLike } from "./client.js";
import {
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

/** Bulk strings ("$", 36) as buffers, all else as it comes; replaces whatever mapping the client was made with. */
const BYTES = { typeMapping: { 36: Buffer } } as const;
/**
 * As `BYTES`, without the client's own timeout (node-redis 6: five seconds until the command is written), which makes
 * an AbortSignal with a timer for each command and half of what a read costs. On a connection that is ready a command is
 * written at once, and the tier's guard bounds the wait; on another the client's timeout keeps its queue short.
 */
const BYTES_AT_ONCE = { ...BYTES, timeout: undefined } as const;

export function nodeRedisConnection(client: NodeRedisLike): Connection {
  const keyPrefix = optionText(client.options, "keyPrefix");
  const options = (): typeof BYTES => (client.isReady === true ? BYTES_AT_ONCE : BYTES);
  return {
    // The client adds its prefix to its typed commands only, and those would decode the values as text.
    keyPrefix,
    channelPrefix: channelPrefixOf(keyPrefix, optionText(client.options, "database")),
    async mget(keys) {
      return asValues(await client.sendCommand(["MGET", ...keys], options()));
    },
    async run(script, keys, args) {
      try {
        return await client.sendCommand(["EVALSHA", ...scriptArguments(script.sha, keys, args)], options());
      } catch (error) {
        if (!isScriptUnknown(error)) throw error;
        return client.sendCommand(["EVAL", ...scriptArguments(script.text, keys, args)], options());
      }
    },
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
