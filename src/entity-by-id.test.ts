import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createCache } from "./cache.js";
import type { CacheOptions, Entity } from "./api.js";
import type { CacheEvent } from "./events.js";
import { encodeEntityKey, type KeyInput, type Scalar } from "./keys.js";
import { FakeClock } from "./testing/fake-clock.js";

function start(options: CacheOptions = {}): { cache: ReturnType<typeof createCache>; clock: FakeClock } {
  const clock = new FakeClock();
  return { cache: createCache({ clock, ...options }), clock };
}

/** Ids are looked up without their key being put together: these are the ways in which that could go wrong. */
describe("an entity's entry, read by id", () => {
  it("is found by every id with the same key and by no other", async () => {
    const one: fc.Arbitrary<string | number | bigint> = fc.oneof(
      fc.nat(30),
      fc.integer({ min: -3, max: 3 }),
      fc.stringMatching(/^[a-c0-2.:v%=-]{0,4}$/),
      fc.constantFrom("true", "null", 7n, "7n", "1", 1, 1.5, "1.5", -0, "v1", "ä"),
    );
    const scalar: fc.Arbitrary<Scalar> = fc.oneof(one, fc.constantFrom(true, null));
    const tuple = fc.array(scalar, { minLength: 1, maxLength: 3 }).filter((parts) => parts.join("") !== "");
    const id: fc.Arbitrary<KeyInput> = fc.oneof(
      one.filter((text) => text !== ""),
      tuple,
    );
    const ids = fc.array(id, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(ids, ids, async (stored, asked) => {
        const { cache } = start();
        const things = cache.entity<KeyInput, string>({ name: "thing", scope: "tenant" }).in("acme");
        const expected = new Map<string, string>();
        for (const [index, one] of stored.entries()) {
          await things.set(one, `value ${index}`);
          expected.set(encodeEntityKey("acme", "thing", one, 1), `value ${index}`);
        }
        for (const one of [...stored, ...asked]) {
          const value = expected.get(encodeEntityKey("acme", "thing", one, 1));
          expect(things.peek(one)).toBe(value);
          expect(await things.getOrLoad(one, () => "loaded")).toBe(value ?? "loaded");
          expected.set(encodeEntityKey("acme", "thing", one, 1), value ?? "loaded");
        }
        await cache.close();
      }),
      { numRuns: 150 },
    );
  });

  it("belongs to its scope, namespace, entity and version", async () => {
    const { cache } = start();
    const declare = (view: typeof cache, name: string, version: number): Entity<number, string> =>
      view.entity<number, string>({ name, scope: "tenant", version }).in("acme");
    const scoped = cache.entity<number, string>({ name: "contact", scope: "tenant" });
    const rooms = [
      scoped.in("acme"),
      scoped.in("acme2"),
      scoped.in(["acme", 2]),
      scoped.in(7),
      cache.entity<number, string>({ name: "contact2" }),
      declare(cache, "other", 1),
      declare(cache.namespace("a"), "contact", 1),
      declare(cache.namespace("b"), "contact", 2),
    ];
    for (const [index, room] of rooms.entries()) await room.set(1, `value ${index}`);
    expect(rooms.map((room) => room.peek(1))).toEqual(rooms.map((_, index) => `value ${index}`));
    await scoped.in("acme").invalidate(1);
    expect(rooms.map((room) => room.peek(1) === undefined)).toEqual(rooms.map((_, index) => index === 0));
    expect(scoped.in("7").peek(1)).toBe("value 3");
    await cache.close();
  });

  it("is gone when it, its tag, its scope or everything was invalidated", async () => {
    const { cache } = start();
    const scoped = cache.entity<number, string>({ name: "contact", scope: "tenant", tags: () => ["vip"] });
    const contacts = scoped.in("acme");
    const ends = [
      () => contacts.invalidate(1),
      () => contacts.invalidateTag("vip"),
      () => contacts.invalidateAll(),
      () => scoped.invalidateAll(),
      () => cache.invalidate({ all: true }),
      () => cache.invalidate({ entity: "contact", scope: "acme" }),
    ];
    for (const end of ends) {
      await contacts.set(1, "Ann");
      expect(contacts.peek(1)).toBe("Ann");
      await end();
      expect(contacts.peek(1)).toBeUndefined();
      expect(await contacts.getOrLoad(1, () => "loaded")).toBe("loaded");
    }
    await cache.close();
  });

  it("is no answer of peek once it is stale, and no answer at all once its time is over", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleWhileRevalidate: 1_000, jitter: 0 });
    const contacts = cache.entity<number, string>({ name: "contact", load: () => "loaded" });
    await contacts.set(1, "Ann");
    await clock.advance(999);
    expect(contacts.peek(1)).toBe("Ann");
    await clock.advance(1);
    expect(contacts.peek(1)).toBeUndefined();
    expect(await contacts.get(1)).toBe("Ann");
    await contacts.set(1, "Ben");
    await contacts.expire(1);
    expect(contacts.peek(1)).toBeUndefined();
    await clock.advance(10_000);
    expect(contacts.peek(1)).toBeUndefined();
    await cache.close();
  });

  it("slides with each peek", async () => {
    const { cache, clock } = start({ ttl: 1_000, sliding: true, jitter: 0 });
    const contacts = cache.entity<number, string>({ name: "contact" });
    await contacts.set(1, "Ann");
    for (let read = 0; read < 5; read += 1) {
      await clock.advance(900);
      expect(contacts.peek(1)).toBe("Ann");
    }
    await clock.advance(1_000);
    expect(contacts.peek(1)).toBeUndefined();
    await cache.close();
  });

  it("is no answer to a strict reader's peek", async () => {
    const { cache } = start();
    const contacts = cache.entity<number, string>({ name: "contact", strict: true });
    await contacts.set(1, "Ann");
    expect(contacts.peek(1)).toBeUndefined();
    await cache.close();
  });

  it("is told of by its key, to those who listen", async () => {
    const { cache } = start();
    const contacts = cache.entity<number, string>({ name: "contact", scope: "tenant" }).in("acme");
    await contacts.set(1, "Ann");
    const keys: string[] = [];
    cache.on("hit", (event: Extract<CacheEvent, { type: "hit" }>) => keys.push(event.key));
    contacts.peek(1);
    await contacts.getOrLoad(1, () => "loaded");
    expect(keys).toEqual([contacts.key(1), contacts.key(1)]);
    expect(cache.stats().entities["contact"]?.hits.memory).toBe(2);
    await cache.close();
  });

  it("is what its reader cannot change", async () => {
    for (const isolation of ["freeze", "clone"] as const) {
      const { cache } = start({ isolation });
      const contacts = cache.entity<number, { list: number[]; at: Date }>({ name: "contact" });
      await contacts.set(1, { list: [1], at: new Date(1) });
      const read = contacts.peek(1);
      read?.at.setTime(2);
      if (isolation === "clone") read?.list.push(2);
      else expect(() => read?.list.push(2)).toThrow(TypeError);
      expect(contacts.peek(1)).toEqual({ list: [1], at: new Date(1) });
      await cache.close();
    }
  });

  it("refuses what is no id, wherever it is asked for", async () => {
    const { cache } = start();
    const contacts = cache.entity<KeyInput, string>({ name: "contact", load: () => "loaded" });
    for (const id of ["", [], Number.NaN, undefined, null, {}, [undefined], "x".repeat(70_000)] as KeyInput[]) {
      expect(() => contacts.peek(id)).toThrow(expect.objectContaining({ code: "ERR_CACHE_KEY" }));
      await expect(contacts.get(id)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
      await expect(contacts.getOrLoad(id, () => "v")).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    }
    await cache.close();
  });

  it("is found in more scopes than are kept ready", async () => {
    const { cache } = start();
    const scoped = cache.entity<number, string>({ name: "contact", scope: "tenant" });
    for (let tenant = 0; tenant < 1_200; tenant += 1) await scoped.in(tenant).set(1, `of ${tenant}`);
    for (const tenant of [0, 5, 700, 1_199]) expect(scoped.in(tenant).peek(1)).toBe(`of ${tenant}`);
    await cache.close();
  });

  it("lies in the scope that an array names now, whatever it named before", async () => {
    const { cache } = start();
    const scoped = cache.entity<number, string>({ name: "contact", scope: "tenant" });
    const scope = ["acme", 1];
    await scoped.in(scope).set(1, "Ann");
    scope[0] = "other";
    expect(scoped.in(scope).peek(1)).toBeUndefined();
    expect(scoped.in(["acme", 1]).peek(1)).toBe("Ann");
    await cache.close();
  });
});
