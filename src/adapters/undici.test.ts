import { finished } from "node:stream/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { createCache } from "../cache.js";
import { FakeClock } from "../testing/fake-clock.js";
import { undiciStore } from "./undici.js";

const key = { origin: "http://a.example", path: "/x", method: "GET" };

describe("the store for undici", () => {
  it("counts a response that is not stored as one miss, and one that is as one hit", async () => {
    const clock = new FakeClock();
    const cache = createCache({ clock });
    onTestFinished(() => cache.close());
    const store = undiciStore(cache, { clock });
    const now = clock.wall();
    for (const vary of [undefined, { "x-a": "1" }]) {
      const asked = vary === undefined ? key : { ...key, path: "/varies", headers: vary };
      const before = cache.stats().total;
      expect(await store.get(asked)).toBeUndefined();
      const stream = store.createWriteStream(asked, {
        statusCode: 200,
        statusMessage: "OK",
        headers: {},
        ...(vary === undefined ? {} : { vary }),
        cachedAt: now,
        staleAt: now + 60_000,
        deleteAt: now + 60_000,
      });
      stream?.end("body");
      await finished(stream as NonNullable<typeof stream>);
      expect(cache.stats().total.misses - before.misses).toBe(1);
      expect(await store.get(asked)).toMatchObject({ body: [Buffer.from("body")] });
      expect(cache.stats().total.misses - before.misses).toBe(1);
    }
  });

  it("is a store without responses when its cache is closed, or a URL is too long for a key", async () => {
    const cache = createCache();
    expect(await undiciStore(cache).get({ ...key, path: `/${"x".repeat(70_000)}` })).toBeUndefined();
    await cache.close();
    expect(await undiciStore(cache).get(key)).toBeUndefined();
  });
});
