import { Redis } from "ioredis";
import { createClient } from "redis";

import type { RedisServer } from "../../test/support/redis-server.js";

export type NodeRedis = ReturnType<typeof createClient>;

/** Connections to one server, each to a numbered database of its own, so that no library finds another's keys. */
export interface Rooms {
  nodeRedis(): Promise<NodeRedis>;
  ioRedis(): Promise<Redis>;
  /** A connection to the database of the last one, for the second of two instances. */
  nodeRedisBeside(): Promise<NodeRedis>;
  ioRedisBeside(): Promise<Redis>;
  close(): void;
}

/** Both clients are set up as they come. */
export function openRooms(server: RedisServer): Rooms {
  const closing: (() => void)[] = [];
  let room = -1;
  const url = (): string => `${server.url}/${room}`;
  const nodeRedis = async (): Promise<NodeRedis> => {
    const client = createClient({ url: url() });
    client.on("error", () => undefined);
    await client.connect();
    closing.push(() => client.destroy());
    return client as NodeRedis;
  };
  const ioRedis = async (): Promise<Redis> => {
    const client = new Redis(url(), { lazyConnect: true });
    client.on("error", () => undefined);
    await client.connect();
    closing.push(() => client.disconnect());
    return client;
  };
  return {
    nodeRedis() {
      room += 1;
      return nodeRedis();
    },
    ioRedis() {
      room += 1;
      return ioRedis();
    },
    nodeRedisBeside: nodeRedis,
    ioRedisBeside: ioRedis,
    close() {
      for (const close of closing) close();
    },
  };
}
