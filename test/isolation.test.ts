import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";

import { createCache, key, memory, pattern, type Cache, type Entity, type ScopedEntity } from "../src/index.js";
import { FakeClock, SharedMemory } from "../src/testing/index.js";
import { processes, type Processes } from "./support/processes.js";

let running: Processes | undefined;

async function start(...args: Parameters<typeof processes>): Promise<Processes & { a: Cache; b: Cache }> {
  running = await processes(...args);
  const [a, b] = running.caches;
  return { ...running, a: a as Cache, b: (b ?? a) as Cache };
}

afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** Text that means something to keys, patterns, Redis, URLs, or nothing at all. */
const HOSTILE = [
  ":",
  "::",
  "a:b",
  "a",
  "b",
  "ab",
  "*",
  "**",
  "a*",
  "?",
  "[a]",
  "{}",
  "{a}",
  "}",
  "%",
  "%3A",
  "%25",
  "=",
  "a=b",
  "'",
  "'a",
  '"',
  "~",
  "~a",
  "!",
  "!lock",
  "#",
  "/",
  "/a",
  "@",
  "(",
  ")",
  "()",
  ",",
  "\\",
  " ",
  "\u0000",
  "\n",
  "global",
  "'global",
  "v1",
  "v2",
  "'v2",
  "true",
  "null",
  "undefined",
  "NaN",
  "0",
  "-0",
  "00",
  "1",
  "1.0",
  "1n",
  "__proto__",
  "constructor",
  "\ud800",
  "\udfff",
  "\ud800\udc00",
  "\ufffd",
  "é",
  "e\u0301",
  "𝒳",
  "x".repeat(10_000),
  `${"x".repeat(9_999)}y`,
];

const name = fc.oneof(
  { arbitrary: fc.constantFrom(...HOSTILE), weight: 3 },
  { arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), weight: 1 },
);
const two = fc.tuple(name, name).filter(([a, b]) => a !== b);

type Contacts = ScopedEntity<string, string>;

function contactsOf(cache: Cache): Contacts {
  return cache.entity<string, string>({ name: "contact", scope: "tenant", tags: (value) => [`by:${value.length}`] });
}

/** What one tenant keeps, by each way there is to keep tenants apart. */
async function fill(cache: Cache, contacts: Contacts, tenant: string, id: string, tag: string): Promise<void> {
  const value = `of ${tenant}`;
  await contacts.in(tenant).set(id, value, { tags: [[tag]] });
  await cache.namespace(tenant).set([id], value, { tags: [[tag]] });
  await cache.set(["raw", tenant, id], value, { tags: [[tenant, tag]] });
  await cache.set(key`templated:${tenant}:${id}`, value, { tags: [key`${tenant}:${tag}`] });
}

async function read(
  cache: Cache,
  contacts: Contacts,
  tenant: string,
  id: string,
): Promise<readonly (string | undefined)[]> {
  return Promise.all([
    contacts.in(tenant).find(id),
    cache.namespace(tenant).get<string>([id]),
    cache.get<string>(["raw", tenant, id]),
    cache.get<string>(key`templated:${tenant}:${id}`),
  ]);
}

/** Everything a tenant can say to forget what is its own. */
function forgettings(
  cache: Cache,
  contacts: Contacts,
  tenant: string,
  id: string,
  tag: string,
): readonly (() => Promise<unknown>)[] {
  const own: Entity<string, string> = contacts.in(tenant);
  const room = cache.namespace(tenant);
  return [
    () => own.invalidate(id),
    () => own.invalidateTag([tag]),
    () => own.invalidateAll(),
    () => cache.invalidate({ entity: "contact", scope: tenant }),
    () => cache.invalidate({ tag: [tag], scope: tenant }),
    () => cache.invalidate({ tags: [[tag], ["other"]], match: "any", scope: tenant }),
    () => cache.invalidate({ tags: [[tag], [tag]], match: "all", scope: tenant }),
    () => room.invalidate({ all: true }),
    () => room.invalidate({ key: [id] }),
    () => room.invalidate({ tag: [tag] }),
    () => cache.invalidate({ prefix: ["raw", tenant] }),
    () => cache.invalidate({ pattern: pattern`raw:${tenant}:*` }),
    () => cache.invalidate({ tag: [tenant, tag] }),
    () => cache.invalidate({ prefix: key`templated:${tenant}:` }),
    () => cache.invalidate({ pattern: pattern`templated:${tenant}:**` }),
    () => cache.invalidate({ tag: key`${tenant}:${tag}` }),
    () => cache.delete(["raw", tenant, id]),
    () => contacts.in(tenant).expire(id),
  ];
}

describe("two tenants with hostile names", () => {
  it("are never given what is the other's", async () => {
    const { a, b } = await start(2);
    const contacts = [contactsOf(a), contactsOf(b)] as const;
    await fc.assert(
      fc.asyncProperty(two, name, name, async ([mine, theirs], id, tag) => {
        await fill(a, contacts[0], mine, id, tag);
        for (const [at, cache] of [a, b].entries()) {
          expect(await read(cache, contacts[at] as Contacts, mine, id)).toEqual(
            Array.from({ length: 4 }, () => `of ${mine}`),
          );
          expect(await read(cache, contacts[at] as Contacts, theirs, id)).toEqual([
            undefined,
            undefined,
            undefined,
            undefined,
          ]);
        }
        await a.invalidate({ all: true });
      }),
      { numRuns: 150 },
    );
  });

  it("never lose what is theirs to the other's invalidations, whatever those name, and always lose their own", async () => {
    const { a, b, settle } = await start(2);
    const contacts = [contactsOf(a), contactsOf(b)] as const;
    await fc.assert(
      fc.asyncProperty(two, name, name, fc.nat(), async ([mine, theirs], id, tag, at) => {
        await fill(a, contacts[0], mine, id, tag);
        await fill(a, contacts[0], theirs, id, tag);
        const before = await read(b, contacts[1], mine, id);
        expect(before).toEqual(Array.from({ length: 4 }, () => `of ${mine}`));
        const theirForgetting = forgettings(b, contacts[1], theirs, id, tag);
        await theirForgetting[at % theirForgetting.length]?.();
        for (const forget of theirForgetting) await forget();
        await settle();
        expect(await read(a, contacts[0], mine, id)).toEqual(before);
        expect(await read(b, contacts[1], mine, id)).toEqual(before);
        expect(await read(a, contacts[0], theirs, id)).toEqual([undefined, undefined, undefined, undefined]);
        expect(await read(b, contacts[1], theirs, id)).toEqual([undefined, undefined, undefined, undefined]);
        await a.invalidate({ all: true });
      }),
      { numRuns: 60 },
    );
  });

  it.each(["~contact", "~contact:x", "contact", "global", "*", "**"])(
    "nor when a tag is called %s, as the cache's own might be",
    async (tag) => {
      const { a } = await start(1);
      const contacts = contactsOf(a);
      await contacts.in("acme").set("1", "v");
      await contacts.in("evil").set("1", "v", { tags: [[tag]] });
      await contacts.in("evil").invalidateTag([tag]);
      await contacts.in("evil").invalidateTag(tag);
      await a.invalidate({ tag: [tag] });
      expect(await contacts.in("acme").find("1")).toBe("v");
    },
  );
});

describe("distinct keys", () => {
  it("are distinct entries, in memory and in the shared tier, whatever they hold", async () => {
    const { a, b } = await start(2);
    for (const [n, text] of HOSTILE.entries()) await a.set(["k", text], n);
    for (const [n, text] of HOSTILE.entries()) {
      expect(await a.get(["k", text])).toBe(n);
      expect(await b.get(["k", text])).toBe(n);
    }
    for (const text of HOSTILE) {
      await b.delete(["k", text]);
      expect(await a.has(["k", text])).toBe(false);
    }
  });

  it("tell numbers from strings, bigints, booleans and null in an array, and segments from text", async () => {
    const { a } = await start(1);
    const keys = [
      ["k", 1],
      ["k", "1"],
      ["k", 1n],
      ["k", true],
      ["k", "true"],
      ["k", null],
      ["k", "null"],
      ["k", "v2"],
      ["k:1"],
      ["k", "", 1],
      ["k", "", "1"],
      [["k"], 1].flat(2),
    ];
    const distinct = keys.slice(0, -1);
    for (const [n, one] of distinct.entries()) await a.set(one, n);
    for (const [n, one] of distinct.entries()) expect(await a.get(one)).toBe(n);
    expect(await a.get(keys.at(-1) as never)).toBe(0);
    expect(await a.get("k:1")).toBe(0);
  });

  it.each([
    [""],
    [[]],
    [{}],
    [undefined],
    [null],
    [Number.NaN],
    [Symbol("s")],
    [["k", undefined]],
    [["k", () => 1]],
    [["k", Number.POSITIVE_INFINITY]],
  ])("%o names nothing, and nothing is done with it", async (input) => {
    const { a } = await start(1);
    await a.set("k", "v");
    const bad = input as unknown as string;
    const refusal = { code: "ERR_CACHE_KEY" };
    await expect(a.get(bad)).rejects.toMatchObject(refusal);
    await expect(a.set(bad, 1)).rejects.toMatchObject(refusal);
    await expect(a.delete(bad)).rejects.toMatchObject(refusal);
    await expect(a.getOrLoad(bad, () => 1)).rejects.toMatchObject(refusal);
    for (const target of [
      { key: bad },
      { keys: ["other", bad] },
      { tag: bad },
      { tags: [bad] },
      { prefix: bad },
      { pattern: bad },
    ]) {
      await expect(a.invalidate(target)).rejects.toMatchObject(refusal);
    }
    expect(a.peek("k")).toBe("v");
  });

  it("longer than the limit are refused before anything is asked of a tier", async () => {
    const { a, connections } = await start(1, { maxKeyLength: 100 });
    const before = { ...connections[0]?.calls };
    await expect(a.set("x".repeat(101), 1)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    expect(connections[0]?.calls).toEqual(before);
  });
});

describe("an invalidation", () => {
  it.each([{ all: false }, { all: undefined }, { all: 1 }, {}, null, undefined, "k", [undefined]])(
    "%o empties nothing and rejects",
    async (target) => {
      const { a } = await start(1);
      await a.set("k", "v");
      await expect(a.invalidate(target as never)).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
      expect(a.peek("k")).toBe("v");
    },
  );

  it("of no tags at all hits nothing, matched any or all", async () => {
    const { a } = await start(1);
    await a.set("k", "v", { tags: ["t"] });
    await a.invalidate({ tags: [] });
    await a.invalidate({ tags: [], match: "all" });
    await a.invalidate([]);
    expect(await a.get("k")).toBe("v");
  });

  it.each(["*", "**", "**:*", "*:**", "*:*"])(
    "by the pattern %s is refused: everything is only meant by all",
    async (text) => {
      const { a } = await start(1);
      await a.set("k", "v");
      await a.set("k:l", "v");
      await expect(a.invalidate({ pattern: text })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
      expect(a.peek("k")).toBe("v");
    },
  );

  it("by a prefix takes whole segments, and a star in a value is no star", async () => {
    const { a } = await start(1);
    for (const one of ["user:1", "user:1:x", "user:12", "user:12:x", "user"]) await a.set(one, "v");
    await a.set(["user", "*", "x"], "v");
    await a.invalidate({ prefix: "user:1" });
    expect(await a.getMany(["user:1", "user:1:x", "user:12", "user:12:x", "user"])).toEqual([
      undefined,
      undefined,
      "v",
      "v",
      "v",
    ]);
    await a.invalidate({ pattern: pattern`user:${"*"}:x` });
    expect(await a.getMany([["user", "*", "x"], "user:12:x"])).toEqual([undefined, "v"]);
  });
});

describe("namespaces", () => {
  it("are rooms of their own for keys, tags, prefixes, patterns, all, entities and locks", async () => {
    const { a, b, settle } = await start(2);
    const rooms = ["x", "y", "x/y", "/x", "*"].map((room) => [a.namespace(room), b.namespace(room)] as const);
    const plain = [a, b] as const;
    const every = [...rooms, plain, [a.namespace("x").namespace("y"), b.namespace("x").namespace("y")] as const];
    for (const [n, [one]] of every.entries()) await one.set("k:1", n, { tags: ["t"] });
    for (const [n, [, other]] of every.entries()) expect(await other.get("k:1")).toBe(n);
    const targets = [{ key: "k:1" }, { tag: "t" }, { prefix: "k" }, { pattern: "k:*" }] as const;
    for (const target of targets) {
      await rooms[0]?.[0].invalidate(target);
      await settle();
      expect(await rooms[0]?.[1].get("k:1")).toBeUndefined();
      for (const [n, [, other]] of every.entries()) if (n > 0) expect(await other.get("k:1")).toBe(n);
      await rooms[0]?.[0].set("k:1", 0, { tags: ["t"] });
    }
    // The room "y" inside "x" is a room of its own as well.
    await rooms[0]?.[0].invalidate({ all: true });
    await settle();
    expect(await Promise.all(every.map(([, other]) => other.get("k:1")))).toEqual([undefined, 1, 2, 3, 4, 5, 6]);
  });

  it("take no name that is not one", async () => {
    const { a } = await start(1);
    for (const bad of ["", undefined, null, 1])
      expect(() => a.namespace(bad as string)).toThrow(expect.objectContaining({ code: "ERR_CACHE_KEY" }));
  });
});

describe("caches with different names", () => {
  it.each([
    ["a", "b"],
    ["a", "a:b"],
    ["a", "a*"],
    ["a:", "a"],
    ["{a}", "a"],
    ["a/b", "a"],
    ["\ud800", "\ud801"],
    ["a", "A"],
  ])("%j and %j share nothing", async (one, other) => {
    const clock = new FakeClock();
    const server = new SharedMemory({ clock });
    const caches = [one, other].map((called) =>
      createCache({ name: called, tiers: [memory(), server.factory()], clock }),
    );
    const [a, b] = caches as [Cache, Cache];
    await a.set("k", "a's", { tags: ["t"] });
    expect(await b.get("k")).toBeUndefined();
    await b.set("k", "b's", { tags: ["t"] });
    await b.invalidate({ tag: "t" });
    await b.invalidate({ all: true });
    await clock.advance(1_000);
    expect(await a.get("k")).toBe("a's");
    await Promise.all(caches.map((cache) => cache.close()));
  });
});

describe("a scoped entity", () => {
  it.each([undefined, null, "", [], {}, Number.NaN, true, [undefined], [{}]])(
    "throws for the scope %o, in every way to name it",
    async (scope) => {
      const { a } = await start(1);
      const contacts = contactsOf(a);
      const bad = scope as string;
      expect(() => contacts.in(bad)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_CACHE_(?:ENTITY|KEY)$/) }),
      );
      if (scope !== undefined) {
        await expect(a.invalidate({ entity: "contact", scope: bad })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
        await expect(a.invalidate({ tag: "t", scope: bad })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
      }
    },
  );

  it("has no way round its scope", async () => {
    const { a } = await start(1);
    const contacts = contactsOf(a) as unknown as Record<string, unknown>;
    for (const method of ["get", "find", "set", "getMany", "peek", "refresh", "invalidate"])
      expect(contacts[method]).toBeUndefined();
  });

  it("keeps a scope of parts from one text that looks like it", async () => {
    const { a } = await start(1);
    const contacts = contactsOf(a);
    const scopes = ["a,b", ["a", "b"], ["a,b"], "(a,b)", "a:b", ["ab"], "ab", 7, ["7"], [7, null]] as const;
    for (const [n, scope] of scopes.entries()) await contacts.in(scope).set("id", String(n));
    for (const [n, scope] of scopes.entries()) expect(await contacts.in(scope).find("id")).toBe(String(n));
  });

  it("stays in the scope it was asked in, whatever its caller makes of the list afterwards", async () => {
    const { a } = await start(1);
    const owners = a.entity<string, string>({
      name: "owner",
      scope: "tenant",
      load: (_id, { scope }) => String(scope),
    });
    const scope = ["acme", 1];
    const acme = owners.in(scope);
    scope[1] = 2;
    expect(await acme.get("mine")).toBe("acme,1");
    expect(await owners.in(["acme", 1]).get("theirs")).toBe("acme,1");
    expect(await owners.in(scope).get("mine")).toBe("acme,2");
  });

  it("with everything of it invalidated, loses it in every scope, and no other entity does", async () => {
    const { a, b, settle } = await start(2);
    const [mine, theirs] = [contactsOf(a), contactsOf(b)];
    const deals = a.entity<string, string>({ name: "contact:deal", scope: "tenant" });
    await mine.in("x").set("1", "v");
    await mine.in("y").set("1", "v");
    await deals.in("x").set("1", "v");
    await theirs.invalidateAll();
    await settle();
    expect(await mine.in("x").find("1")).toBeUndefined();
    expect(await mine.in("y").find("1")).toBeUndefined();
    expect(await deals.in("x").find("1")).toBe("v");
  });
});
