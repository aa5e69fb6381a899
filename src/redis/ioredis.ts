import type { IoRedisLike } from "./client.js";
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

type BufferCommand = (args: (string | Uint8Array)[]) => Promise<unknown>;

/** What a single client and a cluster have in common. */
type Commands = Pick<IoRedisLike, "options" | "mgetBuffer" | "callBuffer">;

/** A cluster client finds the server of each command itself, as it finds the keys. */
export function ioRedisConnection(client: Commands): Connection {
  const evalsha = bufferCommand(client, "evalsha");
  const evaluate = bufferCommand(client, "eval");
  return {
    // The client finds the keys of every command itself.
    keyPrefix: "",
    channelPrefix: channelPrefixOf(optionText(client.options, "keyPrefix"), optionText(client.options, "db")),
    async mget(keys) {
      return asValues(await client.mgetBuffer(keys));
    },
    async run(script, keys, args) {
      try {
        return await evalsha(scriptArguments(script.sha, keys, args));
      } catch (error) {
        if (!isScriptUnknown(error)) throw error;
        return evaluate(scriptArguments(script.text, keys, args));
      }
    },
    send(command, key, args) {
      return bufferCommand(client, command.toLowerCase())([key, ...args.map(asArgument)]);
    },
  };
}

/**
 * `evalshaBuffer` exists on every instance though its types leave it out; `callBuffer`, which they have, loses the
 * command's name when the client pipelines automatically.
 */
function bufferCommand(client: Commands, name: string): BufferCommand {
  const method: unknown = Reflect.get(client, `${name}Buffer`);
  return typeof method === "function"
    ? (args) => Reflect.apply(method, client, [args]) as Promise<unknown>
    : (args) => client.callBuffer(name, ...args);
}

/** Subscribes on a connection duplicated from `client`, closed again by `close`. */
export function ioRedisPush(client: IoRedisLike, channel: string, hears: PushListener): Push {
  // Its own resubscription is turned off: nobody could catch its failure, and nobody learns when it stands.
  const own = client.duplicate({ autoResubscribe: false, lazyConnect: true });
  // Without a listener each error is printed. What it says shows as `down`, and the client goes on by its own strategy.
  own.on("error", () => undefined);
  const push = subscribe(own, channel, hears, () => own.disconnect());
  // A failed try is followed by others, or by "end".
  own.connect().catch(() => undefined);
  return push;
}

/** Subscribes on a connection of the caller's, which stays open and, at the server, subscribed. */
export function ioRedisPushOn(subscriber: IoRedisLike, channel: string, hears: PushListener): Push {
  return subscribe(subscriber, channel, hears, () => undefined);
}

function subscribe(client: IoRedisLike, channel: string, hears: PushListener, end: () => void): Push {
  let closed = false;
  let standing = false;
  const stands = new Settlement();
  const onReady = (): void => {
    client.subscribe(channel).then(
      () => {
        if (closed || standing || client.status !== "ready") return;
        standing = true;
        hears.up();
        stands.resolve();
      },
      (error: unknown) => {
        // Refused by a server that is there (no permission): no later try will fare better.
        if (!stands.settled && client.status === "ready") close(error);
      },
    );
  };
  const onLost = (): void => {
    if (closed || !standing) return;
    standing = false;
    hears.down();
  };
  const onEnd = (): void => {
    onLost();
    if (!stands.settled) close();
  };
  const onMessage = (from: unknown, message: unknown): void => {
    if (!closed && from === channel && typeof message === "string") hears.message(message);
  };
  const close = (cause?: unknown): void => {
    if (closed) return;
    closed = true;
    client.off("ready", onReady);
    client.off("close", onLost);
    client.off("end", onEnd);
    client.off("message", onMessage);
    end();
    stands.reject(cause);
  };
  client.on("ready", onReady);
  client.on("close", onLost);
  client.on("end", onEnd);
  client.on("message", onMessage);
  if (client.status === "ready") onReady();
  return { standing: stands.promise, close };
}
