import { isIoRedis, type RedisLike } from "./client.js";
import type { Connection } from "./connection.js";
import { ioRedisConnection } from "./ioredis.js";
import { nodeRedisConnection } from "./node-redis.js";

/** A connection beside the caller's client, for what must not make others wait. */
export interface OwnConnection {
  readonly connection: Connection;
  /** Settles when it stands for the first time, or will not. */
  readonly standing: Promise<unknown>;
  /** Whether it is lost and will not connect again. */
  isOver(): boolean;
  /** Ends it if it was opened for this. */
  close(): void;
}

/** A connection duplicated from `client`. */
export function ownConnection(client: RedisLike): OwnConnection {
  if (isIoRedis(client, "client")) {
    const own = client.duplicate({ lazyConnect: true });
    // Without a listener each error is printed; what it means shows in the commands.
    own.on("error", () => undefined);
    return {
      connection: ioRedisConnection(own),
      standing: own.connect(),
      isOver: () => own.status === "end",
      close: () => own.disconnect(),
    };
  }
  const own = client.duplicate();
  // Without a listener the emitter would throw; what it means shows in the commands.
  own.on("error", () => undefined);
  return {
    connection: nodeRedisConnection(own),
    standing: own.connect(),
    isOver: () => !own.isOpen,
    close() {
      if (own.isOpen) own.destroy();
    },
  };
}

/** A client of the caller's, which stays open. */
export function givenConnection(client: RedisLike): OwnConnection {
  return {
    connection: isIoRedis(client, "largeClient") ? ioRedisConnection(client) : nodeRedisConnection(client),
    standing: Promise.resolve(),
    isOver: () => false,
    close: () => undefined,
  };
}
