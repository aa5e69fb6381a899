import KeyvRedis from "@keyv/redis";
import { Cacheable } from "cacheable";
import { Keyv } from "keyv";
import { createClient } from "redis";

import type { Row } from "../protocol.js";
import { oneServer, type Peer } from "./peer.js";

/** A message as its sync sends and takes it. */
interface Message {
  readonly id: string;
  readonly data: unknown;
  readonly providerId: string;
}

type Handler = { id?: string; handler: (message: Message) => Promise<void> };

/**
 * Memory, `@keyv/redis`, and its sync over Redis. The sync's own provider, `@qified/redis`, is not among this project's
 * dependencies; `redisMessages` does the same with the same client: one channel per topic, JSON, plain pub/sub.
 * Errors of the loader reach callers (`throwErrors: "function"`): by default they get `undefined`.
 */
export const cacheablePeer: Peer = {
  name: "cacheable",
  async open(settings) {
    const { url, busUrl } = oneServer(settings);
    const messages = await redisMessages(busUrl);
    const secondary = new Keyv({ store: new KeyvRedis(url), useKeyPrefix: false });
    secondary.on("error", () => undefined);
    const cache = new Cacheable({ secondary, ttl: settings.ttl, sync: { qified: messages as never } });
    cache.on("error", () => undefined);
    const read = async (key: string, load: () => Promise<unknown>): Promise<unknown> =>
      cache.getOrSet(key, load, { throwErrors: "function" });
    return {
      get: (key, { load }) => read(key, load) as Promise<Row>,
      value: read,
      async invalidate(how, target) {
        if (how === "key") await cache.delete(target);
        else await cache.clear();
      },
      async close() {
        await Promise.all([cache.disconnect(), messages.disconnect()]);
      },
    };
  },
};

async function redisMessages(url: string): Promise<{
  readonly id: string;
  readonly subscriptions: Map<string, Handler[]>;
  publish(topic: string, message: Omit<Message, "providerId">): Promise<void>;
  subscribe(topic: string, handler: Handler): Promise<void>;
  unsubscribe(topic: string): Promise<void>;
  disconnect(): Promise<void>;
}> {
  const publisher = createClient({ url });
  const subscriber = createClient({ url });
  for (const client of [publisher, subscriber]) client.on("error", () => undefined);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const subscriptions = new Map<string, Handler[]>();
  return {
    id: "redis",
    subscriptions,
    async publish(topic, message) {
      await publisher.publish(topic, JSON.stringify({ ...message, providerId: "redis" }));
    },
    async subscribe(topic, handler) {
      subscriptions.set(topic, [...(subscriptions.get(topic) ?? []), handler]);
      await subscriber.subscribe(topic, (text) => {
        void handler.handler(JSON.parse(text) as Message);
      });
    },
    async unsubscribe(topic) {
      subscriptions.delete(topic);
      await subscriber.unsubscribe(topic);
    },
    async disconnect() {
      publisher.destroy();
      subscriber.destroy();
    },
  };
}
