import { afterEach, describe, expect, it } from "vitest";

import { createCache, memory, repository, type Cache } from "../src/index.js";
import type { Entity, EntityDefinition, StandardSchema } from "../src/api.js";
import { FLAG_COMPRESSED, FLAG_ENCRYPTED } from "../src/entries/envelope.js";
import type { CacheOptions } from "../src/options.js";
import { FakeClock, SharedMemory } from "../src/testing/index.js";

/** Values as they lie in a shared tier: compressed, encrypted, without what must not be there. */

interface Person {
  readonly id: number;
  readonly email?: string;
  readonly name: string;
  readonly orgId?: number;
}

const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);
const K1 = { id: "k1", secret: SECRET };
const K2 = { id: "k2", secret: SECRET.map((byte) => byte ^ 1) };
const encryption = { keys: [K1] };
const person = (id: number): Person => ({ id, email: `p${id}@example.com`, name: "Ada", orgId: 5 });
const kept = (id: number): Person => ({ id, name: "Ada", orgId: 5 });

let clock = new FakeClock();
let server = new SharedMemory({ clock });
let open: Cache[] = [];

/** A cache as another process would have it, on the same shared tier. */
function process(options: CacheOptions = {}): Cache {
  const cache = createCache({ name: "test", tiers: [memory(), server.factory()], clock, jitter: 0, ...options });
  open.push(cache);
  return cache;
}

afterEach(async () => {
  const closing = Promise.all(open.map((cache) => cache.close()));
  await clock.advance(10_000);
  await closing;
  open = [];
  clock = new FakeClock();
  server = new SharedMemory({ clock });
});

/** What lies in the shared tier. */
async function stored(key: string, cacheName = "test"): Promise<Buffer> {
  const tier = server.factory().open(cacheName);
  const { values } = await tier.store.read([key]);
  await tier.close();
  return Buffer.from(values[0] as Uint8Array);
}

async function put(key: string, bytes: Uint8Array): Promise<void> {
  const tier = server.factory().open("test");
  await tier.leases.acquire(key, { token: "somebody", ttl: 1_000, takeOver: true });
  expect(await tier.leases.fill(key, "somebody", bytes, 3_600_000)).toBe(true);
  await tier.close();
}

function flagsOf(bytes: Buffer): number {
  return bytes.readUInt32LE(16) & (FLAG_COMPRESSED | FLAG_ENCRYPTED);
}

/** Why the cache took what it found in the shared tier for nothing of its own. */
function corruptions(cache: Cache): string[] {
  const messages: string[] = [];
  cache.on("corrupt", ({ error }) => messages.push(String(error)));
  return messages;
}

const never = (): never => expect.unreachable("it was loaded again");

describe("compression", () => {
  const long = "a page of text, which says the same thing again. ".repeat(400);

  it.each(["gzip", "brotli"] as const)(
    "by %s makes large values smaller in the shared tier, and nothing else",
    async (algorithm) => {
      const a = process({ compression: { algorithm } });
      const b = process();
      expect(await a.getOrLoad("page", () => ({ long }))).toEqual({ long });
      const bytes = await stored("page");
      expect(flagsOf(bytes)).toBe(FLAG_COMPRESSED);
      expect(bytes.length).toBeLessThan(long.length / 10);
      expect(await b.getOrLoad("page", never)).toEqual({ long });
      await a.set("line", "short");
      expect(flagsOf(await stored("line"))).toBe(0);
      expect(b.stats().shared?.corrupt).toBe(0);
    },
  );

  it("of values large enough for another thread, by every way in and out", async () => {
    const a = process({ compression: true });
    const b = process();
    const value = (n: number): string => `${n} ${long.repeat(20)}`;
    await a.set("set", value(1));
    await a.setMany([
      ["many:1", value(2)],
      ["many:2", value(3)],
    ]);
    await a.writeThrough("through", async () => value(4));
    await a.getOrLoad("load", () => value(5));
    await a.refresh("load", () => value(6));
    await a.getOrLoadMany(
      [7, 8],
      (n) => `batch:${n}`,
      async (ns) => ns.map(value),
    );
    for (const key of ["set", "many:1", "many:2", "through", "load", "batch:7", "batch:8"])
      expect(flagsOf(await stored(key))).toBe(FLAG_COMPRESSED);
    expect(await b.get("set")).toBe(value(1));
    expect(await b.getMany(["many:1", "many:2"])).toEqual([value(2), value(3)]);
    expect(await b.getOrLoad("through", never)).toBe(value(4));
    expect(await b.getOrLoad("load", never)).toBe(value(6));
    expect(await b.getOrLoadMany([8, 7], (n) => `batch:${n}`, never)).toEqual([value(8), value(7)]);
    expect((await b.explain("set")).tiers.map(({ state }) => state)).toEqual(["fresh", "fresh"]);
  });

  it("of an entity is its own", async () => {
    const a = process({ compression: { threshold: "1mb" } });
    const pages = a.entity<number, string>({ name: "page", load: () => long, compression: { threshold: "1kb" } });
    await pages.get(1);
    expect(flagsOf(await stored(pages.key(1)))).toBe(FLAG_COMPRESSED);
  });
});

describe("encryption", () => {
  const definition: EntityDefinition<number, Person> = { name: "person", load: person };

  it("of an entity: nothing of the value is readable in the shared tier, and it is the same in every process", async () => {
    const a = process({ encryption }).entity({ ...definition, encrypt: true, tags: () => ["secret-tag"] });
    const b = process({ encryption }).entity<number, Person>({ ...definition, encrypt: true, load: never });
    expect(await a.get(1)).toEqual(person(1));
    const bytes = await stored(a.key(1));
    expect(flagsOf(bytes)).toBe(FLAG_ENCRYPTED);
    for (const word of ["p1@example.com", "email", "Ada", "secret-tag"]) expect(bytes.includes(word)).toBe(false);
    expect(await b.get(1)).toEqual(person(1));
    await a.invalidateTag("secret-tag");
    await clock.advance(0);
    expect(b.peek(1)).toBeUndefined();
  });

  it("of fields: they are not readable, the others are, and the value is the same", async () => {
    const a = process({ encryption }).entity({ ...definition, encrypt: ["email"] });
    const b = process({ encryption }).entity<number, Person>({ ...definition, encrypt: ["email"], load: never });
    const loaded = await a.get(1);
    const bytes = await stored(a.key(1));
    expect(bytes.includes("p1@example.com")).toBe(false);
    expect(bytes.includes("Ada")).toBe(true);
    const read = await b.get(1);
    expect(Object.entries(read)).toEqual(Object.entries(loaded));
  });

  it("of all entries: raw keys and namespaces as well", async () => {
    const options: CacheOptions = { encryption: { keys: [K1], entries: "all" } };
    const a = process(options);
    const b = process(options);
    await a.set("k", "for us only");
    await a.namespace("room").set("k", "for us only");
    expect((await stored("k")).includes("for us only")).toBe(false);
    expect((await stored("/room:k")).includes("for us only")).toBe(false);
    expect([await b.get("k"), await b.namespace("room").get("k")]).toEqual(["for us only", "for us only"]);
    // Neither may be put where the other is.
    await put("k", await stored("/room:k"));
    expect(await process(options).get("k")).toBeUndefined();
  });

  it("keeps memory as fast as it is: there the value is the value", async () => {
    const entity = createCache({ clock }).entity({ ...definition, encrypt: true, sensitive: ["name"] });
    expect(await entity.get(1)).toEqual(person(1));
    expect(entity.peek(1)).toEqual(person(1));
  });

  it("an entry that was moved to another key is a miss that says why, and the next load heals it", async () => {
    const a = process({ encryption }).entity({ ...definition, encrypt: true });
    await a.get(1);
    await a.get(2);
    const cache = process({ encryption });
    const told = corruptions(cache);
    const b = cache.entity({ ...definition, encrypt: true });
    await put(b.key(2), await stored(b.key(1)));
    expect(await b.find(2)).toBeUndefined();
    expect(told).toEqual([expect.stringContaining("moved here")]);
    expect(cache.stats()).toMatchObject({ shared: { corrupt: 1 }, total: { missReasons: { corrupt: 1 } } });
    expect(await b.get(2)).toEqual(person(2));
  });

  it("an entry that somebody put there unencrypted is never taken", async () => {
    await process().entity<number, Person>({ name: "person" }).set(1, { id: 1, name: "Mallory" });
    const cache = process({ encryption });
    const told = corruptions(cache);
    const b = cache.entity({ ...definition, encrypt: ["email"] });
    expect(await b.get(1)).toEqual(person(1));
    expect(told).toEqual([expect.stringContaining("not encrypted")]);
  });

  it("a process without the key misses, counted, and loads", async () => {
    await process({ encryption })
      .entity({ ...definition, encrypt: true })
      .get(1);
    for (const [options, why] of [
      [{}, "has no keys"],
      [{ encryption: { keys: [K2] } }, 'the key "k1", which this cache does not have'],
      [{ encryption: { keys: [{ ...K2, id: "k1" }] } }, "another secret of that id"],
    ] as const) {
      const bytes = await stored("global:person:1:v1");
      const cache = process(options);
      const told = corruptions(cache);
      const entity = cache.entity({ name: "person", load: person });
      expect(await entity.find(1)).toBeUndefined();
      expect(told).toEqual([expect.stringContaining(why)]);
      await clock.advance(0);
      await put("global:person:1:v1", bytes);
    }
  });

  it.each([
    ["the new key is added behind the old one", [K1], [K1, K2]],
    ["it is put in front", [K1, K2], [K2, K1]],
    ["the old one is taken away", [K2, K1], [K2]],
  ])("while %s, processes before and after read each other's entries", async (_, before, after) => {
    const people = (keys: (typeof K1)[], load: (id: number) => Person): Entity<number, Person> =>
      process({ encryption: { keys } }).entity({ name: "person", encrypt: true, load });
    await people(before, person).get(1);
    expect(await people(after, never).get(1)).toEqual(person(1));
    await people(after, person).get(2);
    expect(await people(before, never).get(2)).toEqual(person(2));
  });
});

describe("excluded fields", () => {
  const definition: EntityDefinition<number, Person> = {
    name: "person",
    exclude: ["email"],
    load: person,
    tags: ({ orgId, email }) => [`org:${orgId}`, `seen:${email === undefined ? "without" : "with"}`],
  };

  it("are in no tier and in no answer, whichever way the value comes", async () => {
    const a = process().entity(definition);
    const b = process().entity<number, Person>({ ...definition, load: never });
    const both = async (id: number): Promise<void> => {
      expect(await a.find(id)).toEqual(kept(id));
      expect(a.peek(id)).toEqual(kept(id));
      expect((await stored(a.key(id))).includes("email")).toBe(false);
      expect(await b.get(id)).toEqual(kept(id));
    };
    expect(await a.get(1)).toEqual(kept(1));
    await both(1);
    expect(await a.getMany([2, 1])).toEqual([kept(2), kept(1)]);
    await both(2);
    await a.set(3, person(3));
    await both(3);
    expect(await a.writeThrough(4, async () => person(4))).toEqual(kept(4));
    await both(4);
    expect(await a.refresh(5)).toEqual(kept(5));
    await both(5);
    expect(await a.getOrLoad(6, async () => person(6))).toEqual(kept(6));
    await both(6);
  });

  it.each([
    ["an array", async (ids: readonly number[]) => ids.map(person)],
    ["a map", async (ids: readonly number[]) => new Map(ids.map((id) => [id, person(id)]))],
  ])("of a batch that answers with %s", async (_, loadMany) => {
    const a = process().entity({ ...definition, load: undefined, loadMany });
    expect(await a.getMany([1, 2])).toEqual([kept(1), kept(2)]);
    expect(await a.get(3)).toEqual(kept(3));
    expect((await stored(a.key(3))).includes("email")).toBe(false);
  });

  it("are left out of a list's items", async () => {
    const a = process().entity<number, Person[]>({
      name: "people",
      exclude: ["email"],
      load: (n) => [person(n), person(8)],
    });
    expect(await a.get(7)).toEqual([kept(7), kept(8)]);
  });

  it("are out before tags are asked for, and what a loader does not store is given without them, too", async () => {
    const a = process().entity({
      ...definition,
      load: (id, { skip }) => (id === 2 ? (skip(), person(id)) : person(id)),
    });
    await a.get(1);
    expect((await a.explain(1)).tiers[0]?.tags).toContain("global:seen:without");
    expect(await a.get(2)).toEqual(kept(2));
    expect(a.peek(2)).toBeUndefined();
  });

  it("are left out of what a process of an older declaration stored", async () => {
    await process().entity<number, Person>({ name: "person" }).set(1, person(1));
    expect(
      await process()
        .entity<number, Person>({ ...definition, load: never })
        .get(1),
    ).toEqual(kept(1));
  });

  it("do not come back by a schema", async () => {
    const schema: StandardSchema<Person> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => ({ value: { email: "nobody@example.com", ...(value as Person) } }),
      },
    };
    await process().entity(definition).get(1);
    expect(
      await process()
        .entity({ ...definition, schema, load: never })
        .get(1),
    ).toEqual(kept(1));
  });

  it("need not be there, and nothing need", async () => {
    const a = process().entity<number, Person | undefined>({
      name: "person",
      exclude: ["email"],
      load: () => undefined,
    });
    expect(await a.get(1)).toBeUndefined();
    expect(await a.has(1)).toBe(true);
  });
});

describe("sensitive fields", () => {
  it("must be encrypted or excluded where there is a shared tier; an entity refused may be declared again", async () => {
    const cache = process({ encryption });
    const declare = (more: Partial<EntityDefinition<number, Person>>): unknown =>
      cache.entity<number, Person>({ name: "person", load: person, sensitive: ["email", "name"], ...more });
    expect(() => declare({})).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining('"email"') }),
    );
    expect(() => declare({ encrypt: ["email"] })).toThrow(
      expect.objectContaining({ message: expect.stringContaining('"name"') }),
    );
    expect(cache.stats().entities["person"]).toBeUndefined();
    expect(() => declare({ encrypt: ["email"], exclude: ["name"] })).not.toThrow();
  });

  it("cannot be promised by a cache without keys", () => {
    expect(() => process().entity<number, Person>({ name: "person", encrypt: true })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining("encryption.keys") }),
    );
  });
});

it("an entry that only others can read is a miss that leaves it where it is", async () => {
  const [both, old] = [
    process({ encryption: { keys: [K2, K1], entries: "all" } }),
    process({ encryption: { keys: [K1], entries: "all" } }),
  ];
  await both.set("k", "secret");
  await clock.advance(0);
  const before = await stored("k");
  expect(await old.get("k")).toBeUndefined();
  expect(old.stats().shared?.corrupt).toBe(1);
  await clock.advance(1_000);
  expect(await stored("k")).toEqual(before);
  // What is damaged goes.
  await put(
    "k",
    before.map((byte, index) => (index === before.length - 1 ? byte ^ 1 : byte)),
  );
  expect(await old.get("k")).toBeUndefined();
  await clock.advance(1_000);
  await expect(stored("k")).rejects.toThrow("Received undefined");
});

it("a repository's rows, in lists too, are without what is excluded and need a key for what is encrypted", async () => {
  const rows = { byId: async (id: number) => person(id), all: async () => [person(1), person(2)] };
  const [a, b] = [process({ encryption }), process()];
  const people = repository(a, rows, {
    name: "person",
    reads: { byId: "id", all: "list" },
    sensitive: ["email", "name"],
    exclude: ["email"],
    encrypt: ["name"],
  });
  expect(await people.byId(1)).toEqual(kept(1));
  expect(await people.all()).toEqual([kept(1), kept(2)]);
  for (const key of [people.cache.key("byId", 1), people.cache.key("all")]) {
    expect((await stored(key)).includes("Ada")).toBe(false);
  }
  expect(() => repository(b, rows, { name: "person", reads: { byId: "id" }, encrypt: ["name"] })).toThrow(
    expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
  );
});
