import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createCache } from "./cache.js";
import { encodeKey } from "./keys.js";
import { FakeClock } from "./testing/fake-clock.js";

/** Text that is found in memory as it is, is not encoded again: these are the ways in which that could go wrong. */
describe("text that is its own path", () => {
  it("is read as itself however often, by getOrLoad and peek", async () => {
    const cache = createCache({ clock: new FakeClock() });
    await cache.set("user:42", "v1");
    const reads: unknown[] = [];
    for (let i = 0; i < 3; i += 1) reads.push(await cache.getOrLoad("user:42", () => "loaded"), cache.peek("user:42"));
    expect(reads).toEqual(Array.from({ length: 6 }, () => "v1"));
    expect(cache.stats().total.hits.memory).toBe(6);
    await cache.close();
  });

  it("never reads the entry whose encoding looks like it", async () => {
    const cache = createCache({ clock: new FakeClock() });
    // The path of the tuple is the text `user:a%3Ab`, which as a key of its own is another one.
    await cache.set(["user", "a:b"], "of the tuple");
    const text = encodeKey(["user", "a:b"]);
    for (let i = 0; i < 3; i += 1) {
      expect(cache.peek(["user", "a:b"])).toBe("of the tuple");
      expect(cache.peek(text)).toBeUndefined();
    }
    expect(await cache.getOrLoad(text, () => "of the text")).toBe("of the text");
    expect([cache.peek(["user", "a:b"]), cache.peek(text)]).toEqual(["of the tuple", "of the text"]);
    await cache.close();
  });

  it("never reads an entity's entry, nor one of another namespace", async () => {
    const cache = createCache({ clock: new FakeClock() });
    const users = cache.entity<number, string>({ name: "user", load: (id) => `user ${id}` });
    await users.get(1);
    await users.get(1);
    expect(cache.peek(users.key(1))).toBeUndefined();
    const room = cache.namespace("room");
    await cache.set("a", "outside");
    expect([cache.peek("a"), cache.peek("a"), room.peek("a")]).toEqual(["outside", "outside", undefined]);
    await room.set("a", "inside");
    expect([cache.peek("a"), room.peek("a"), cache.peek("/room:a")]).toEqual(["outside", "inside", undefined]);
    await cache.close();
  });

  it("is gone when it expires, is invalidated or replaced", async () => {
    const clock = new FakeClock();
    const cache = createCache({ clock, ttl: 1_000, jitter: 0 });
    const twice = (key: string): unknown[] => [cache.peek(key), cache.peek(key)];
    await cache.set("a", 1);
    expect(twice("a")).toEqual([1, 1]);
    await cache.set("a", 2);
    expect(twice("a")).toEqual([2, 2]);
    await clock.advance(1_000);
    expect(twice("a")).toEqual([undefined, undefined]);
    await cache.set("a", 3);
    expect(twice("a")).toEqual([3, 3]);
    await cache.invalidate({ prefix: "a" });
    expect(twice("a")).toEqual([undefined, undefined]);
    await cache.close();
  });

  it("is loaded again when that is asked for, though memory has it", async () => {
    const cache = createCache({ clock: new FakeClock() });
    await cache.set("a", "old");
    expect([cache.peek("a"), cache.peek("a")]).toEqual(["old", "old"]);
    expect(await cache.getOrLoad("a", () => "new", { forceFresh: true })).toBe("new");
    expect(cache.peek("a")).toBe("new");
    await cache.close();
  });

  it("answers each key with its own value, whatever keys there are", async () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "1", "v", ":", "%", "3", "A", "'", "=", "(", "/", "~", "é"),
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(text, { maxLength: 12 }), async (texts) => {
        const cache = createCache({ clock: new FakeClock() });
        // The same text as a whole key, as one segment, and as what either is encoded to.
        const keys = texts.flatMap((one) => [one, [one] as const, encodeKey([one]), encodeKey(one)]);
        const owner = new Map<string, unknown>();
        for (const [index, key] of keys.entries()) {
          await cache.set(key, index);
          owner.set(encodeKey(key), index);
        }
        for (const key of [...keys, ...keys]) {
          expect(cache.peek(key)).toBe(owner.get(encodeKey(key)));
          expect(await cache.getOrLoad(key, () => "not stored")).toBe(owner.get(encodeKey(key)));
        }
        await cache.close();
      }),
      { numRuns: 150 },
    );
  });
});
