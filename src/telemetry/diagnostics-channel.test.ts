import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";

import { describe, expect, it } from "vitest";

import { oneCache } from "../../test/support/one-cache.js";

const start = oneCache();

async function heard(name: string, during: () => Promise<void>): Promise<unknown[]> {
  const messages: unknown[] = [];
  const listener = (message: unknown): void => void messages.push(message);
  subscribe(name, listener);
  try {
    await during();
  } finally {
    unsubscribe(name, listener);
  }
  return messages;
}

describe("the channels of node:diagnostics_channel", () => {
  it("carry each event with the cache's name and without a value", async () => {
    const { cache } = start({ name: "crm" });
    const messages = await heard("tiercache:loaded", async () => {
      await cache.getOrLoad("k", () => "the value");
    });
    expect(messages).toEqual([{ cache: "crm", type: "loaded", key: "k", entity: "", took: 0, background: false }]);
    expect(JSON.stringify(messages)).not.toContain("the value");
  });

  it("carry hits, those of memory and of entities with their keys", async () => {
    const { cache } = start();
    const users = cache.entity<number, number>({ name: "user", load: (id) => id });
    await cache.set("k", 1);
    await users.get(7);
    const messages = await heard("tiercache:hit", async () => {
      await cache.get("k");
      cache.peek("k");
      await users.get(7);
    });
    expect(messages).toMatchObject([
      { type: "hit", key: "k", tier: "memory" },
      { type: "hit", key: "k", tier: "memory" },
      { type: "hit", key: users.key(7), entity: "user" },
    ]);
  });

  it("are not used while nobody subscribes", async () => {
    const { cache } = start();
    await cache.getOrLoad("k", () => 1);
    expect(channel("tiercache:hit").hasSubscribers).toBe(false);
    const messages = await heard("tiercache:miss", async () => {
      await cache.get("k");
      await cache.get("none");
    });
    expect(messages).toHaveLength(1);
    await cache.get("none");
    expect(messages).toHaveLength(1);
  });
});
