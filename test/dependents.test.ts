import { describe, expect, it, onTestFinished } from "vitest";

import { createCache, memory, type Cache, type ChangeFeed, type ChangeSink, type Mark } from "../src/index.js";
import { nextCacheHandler, type NextCacheHandler } from "../src/adapters/next.js";
import { cachedFetch, surrogateKey } from "../src/http/index.js";
import type { Entity, EntityDefinition, LoaderContext, ScopedEntity } from "../src/api.js";
import type { CacheOptions } from "../src/options.js";
import { FakeClock, SharedMemory } from "../src/testing/index.js";

interface User {
  readonly name: string;
}

const definition: EntityDefinition<number, User> = { name: "user", dependents: true };

/** As many processes on one shared tier; the first has what the test asks for. */
function processes(count: number, options: CacheOptions = {}, shards = 0): readonly Cache[] {
  const clock = new FakeClock();
  const server = new SharedMemory({ clock });
  const caches = Array.from({ length: count }, (_, index) =>
    createCache({
      name: "hanging",
      tiers: [memory(), shards === 0 ? server.factory() : server.shardedFactory(shards)],
      clock,
      jitter: 0,
      ...(index === 0 ? options : {}),
    }),
  );
  onTestFinished(async () => {
    const closing = Promise.all(caches.map((cache) => cache.close()));
    await clock.advance(10_000);
    await closing;
  });
  return caches;
}

/** What a process heard, one record each. */
function recordsOf(cache: Cache): readonly (readonly Mark[])[] {
  const heard: (readonly Mark[])[] = [];
  cache.on("invalidated", ({ names }) => heard.push(names));
  return heard;
}

describe("an entry that hangs on an entity's thing", () => {
  it.each<[string, () => readonly Cache[]]>([
    ["memory alone", () => [createCache()]],
    ["one shared tier", () => processes(2)],
    ["three shards", () => processes(2, {}, 3)],
  ])("is gone with it, in every process and no other: %s", async (_what, make) => {
    const [one, other = one] = make() as [Cache, Cache?];
    const users = one.entity(definition);
    const same = other === one ? users : other.entity(definition);
    await one.set("page:7", "of 7", { tags: [users.tag(7)] });
    await one.set("page:8", "of 8", { tags: [users.tag(8)] });
    expect(await other.get("page:7")).toBe("of 7");
    await same.invalidate(7);
    expect(await one.get("page:7")).toBeUndefined();
    expect(await other.get("page:7")).toBeUndefined();
    expect(await one.get("page:8")).toBe("of 8");
    if (other === one) await one.close();
  });

  it("is named in the record that names the thing, and in no other", async () => {
    const [one] = processes(1) as [Cache];
    const users = one.entity(definition);
    const heard = recordsOf(one);
    await users.invalidate(7);
    expect(heard).toEqual([
      [
        { kind: "key", key: users.key(7) },
        { kind: "key", key: "global:user:7:v2" },
        { kind: "tag", tag: "global:%7Eglobal:user:7" },
        { kind: "tag", tag: "global:%7Eglobal:user:%7Eany" },
      ],
    ]);
  });

  it("costs an entity without dependents no name in any record", async () => {
    const [one] = processes(1) as [Cache];
    const plain = one.entity<number, User>({ name: "user" });
    const heard = recordsOf(one);
    await plain.invalidate(7);
    await plain.set(7, { name: "Ann" });
    expect(new Set(heard.flat().map(({ kind }) => kind))).toEqual(new Set(["key"]));
    expect(() => plain.tag(7)).toThrow('The entity "user" does not say `dependents: true`');
  });

  it.each<[string, (users: Entity<number, User>) => Promise<unknown>]>([
    ["set", (users) => users.set(7, { name: "Bea" })],
    ["writeThrough", (users) => users.writeThrough(7, async () => ({ name: "Bea" }))],
    ["a write that failed, and may have committed", (users) => users.writeThrough(7, failing).catch(() => undefined)],
    ["invalidateMany", (users) => users.invalidateMany([6, 7])],
    ["invalidateAll", (users) => users.invalidateAll()],
    ["expire", (users) => users.expire(7)],
  ])("is gone when %s resolves", async (_what, change) => {
    const [one, other] = processes(2) as [Cache, Cache];
    const [users, others] = [usersOf(one), usersOf(other)];
    await one.set("page:7", "of 7", { tags: [users.tag(7)] });
    await one.set("list", "of all", { tags: [users.tag()] });
    expect(await other.get("page:7")).toBe("of 7");
    await change(others);
    expect([await one.get("page:7"), await other.get("page:7")]).toEqual([undefined, undefined]);
    expect([await one.get("list"), await other.get("list")]).toEqual([undefined, undefined]);
  });

  it("is gone with all of the entity, by its name as well, in one scope or in all", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const users = one.entity<number, User>({ ...definition, scope: "tenant" });
    const same = other.entity<number, User>({ ...definition, scope: "tenant" }).in("acme");
    const targets = [{ entity: "user", scope: "acme" }, { entity: "user" }, { tag: same.tag(7) }] as const;
    for (const target of targets) {
      await one.set("page:7", "of acme's 7", { tags: [users.in("acme").tag(7)] });
      await other.invalidate(target);
      expect(await one.get("page:7")).toBeUndefined();
    }
    for (const change of [() => users.in("acme").invalidateAll(), () => users.invalidateAll()]) {
      await one.set("page:7", "of acme's 7", { tags: [users.in("acme").tag(7)] });
      await change();
      expect(await other.get("page:7")).toBeUndefined();
    }
  });

  it("is one tenant's: another's thing of the same id leaves it alone", async () => {
    const [one] = processes(1) as [Cache];
    const users = one.entity<number, User>({ ...definition, scope: "tenant" });
    await one.set("page:7", "of acme's 7", { tags: [users.in("acme").tag(7)] });
    await one.set("list", "of acme's", { tags: [users.in("acme").tag()] });
    await users.in("globex").invalidate(7);
    await users.in("globex").invalidateAll();
    expect(await one.get("page:7")).toBe("of acme's 7");
    expect(await one.get("list")).toBe("of acme's");
    await users.in("acme").invalidate(7);
    expect(await one.get("page:7")).toBeUndefined();
    expect(await one.get("list")).toBeUndefined();
  });

  it("may lie in any namespace or scope, and be an entity's own, with tags of any kind", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const users = one.entity(definition);
    const room = one.namespace("pages");
    const issues = room.entity<number, { readonly owner: number }>({
      name: "issue",
      scope: "tenant",
      tags: ({ owner }) => [users.tag(owner)],
    });
    await issues.in("acme").set(1, { owner: 7 });
    await room.getOrLoad("page", ({ tags }) => {
      tags("front", users.tag(7));
      return "html";
    });
    await other.entity(definition).invalidate(7);
    expect(await issues.in("acme").find(1)).toBeUndefined();
    expect(await room.get("page")).toBeUndefined();
  });

  it("is stale after a soft invalidation, and still there to be served meanwhile", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const users = one.entity(definition);
    await one.set("page:7", "of 7", { tags: [users.tag(7)], staleWhileRevalidate: "1m" });
    await other.entity(definition).invalidate(7, { mode: "soft" });
    expect(await one.get("page:7")).toBeUndefined();
    expect(await one.get("page:7", { stale: true })).toBe("of 7");
  });

  it("is not stored as current by a load that began before the change", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const [users, others] = [usersOf(one), usersOf(other)];
    const load = async ({ tags }: LoaderContext): Promise<string> => {
      // Read before the change, named after it.
      await others.invalidate(7);
      tags(users.tag(7));
      return "old";
    };
    expect(await one.getOrLoad("page:7", load)).toBe("old");
    expect(await one.get("page:7")).toBeUndefined();
    expect(await other.get("page:7")).toBeUndefined();
  });

  it("hears of changes that a feed tells, in the feed's own record", async () => {
    let sink: ChangeSink | undefined;
    const feed: ChangeFeed = {
      kind: "test",
      maxStaleness: 10_000,
      open(given) {
        sink = given;
        return { stats: () => ({ lag: 0 }), close: async () => undefined };
      },
    };
    const [one, other] = processes(2, { feed }) as [Cache, Cache];
    const users = one.entity(definition);
    await other.set("page:7", "of 7", { tags: [other.entity(definition).tag(7)] });
    const heard = recordsOf(one);
    await sink?.publish([{ of: users, ids: [7] }]);
    expect(heard).toHaveLength(1);
    expect(await other.get("page:7")).toBeUndefined();
  });

  it("may name it by its text, which is its surrogate key", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const users = one.entity<string, User>({ name: "user", dependents: true, scope: "tenant" });
    const ids = ["7", "a b/ü", "x".repeat(300)];
    for (const id of ids) {
      const tag = users.in("acme").tag(id);
      expect(String(tag)).toBe(surrogateKey("user", id, "acme"));
      await other.set(["page", id], "html", { tags: [String(tag)] });
      await users.in("acme").invalidate(id);
      expect(await other.get(["page", id])).toBeUndefined();
    }
  });

  it("is not given the tag of all for an id that came out undefined", () => {
    const [one] = processes(1) as [Cache];
    expect(() => usersOf(one).tag(undefined as unknown as number)).toThrow("Expected the id to be");
  });

  it("is refused a tag of another cache's entity, which it would never hear of", async () => {
    const [one] = processes(1) as [Cache];
    const elsewhere = createCache().entity(definition);
    await expect(one.set("page", "html", { tags: [elsewhere.tag(7)] })).rejects.toThrow(
      "Expected a tag of this cache's own entities, got `~global:user:7` of another",
    );
    await expect(one.invalidate({ tag: elsewhere.tag(7) })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
  });
});

/** With characters that are escaped in keys, and again in tags. */
const SCOPE = "ac:me%";

describe("what only text names", () => {
  it("hangs on a thing as well: a page of Next.js, in the record of the thing", async () => {
    const [one, other] = processes(2) as [Cache, Cache];
    const users = usersOf(one);
    const handlerOf = (cache: Cache): NextCacheHandler => new (nextCacheHandler(cache))({ revalidatedTags: [] });
    const page = {
      kind: "APP_PAGE",
      html: "<p>Ann</p>",
      headers: { "x-next-cache-tags": `_N_T_/users,${String(users.tag(7))}` },
    };
    await handlerOf(one).set("/users/7", page, { cacheControl: { revalidate: 60 } });
    expect((await handlerOf(other).get("/users/7", { kind: "APP_PAGE" }))?.value.html).toBe("<p>Ann</p>");
    await usersOf(other).invalidate(7);
    expect(await handlerOf(one).get("/users/7", { kind: "APP_PAGE" })).toBeNull();
    expect(await handlerOf(other).get("/users/7", { kind: "APP_PAGE" })).toBeNull();
  });

  it.each<[string, (users: ScopedEntity<number, User>, cache: Cache) => Promise<unknown>]>([
    ["the thing", (users) => users.in(SCOPE).invalidate(7)],
    ["all of its scope", (users) => users.in(SCOPE).invalidateAll()],
    ["all of every scope", (users) => users.invalidateAll()],
    ["the entity by name", (_users, cache) => cache.invalidate({ entity: "user", scope: SCOPE })],
  ])("goes with %s, as the tag itself does", async (_what, change) => {
    const [one] = processes(1) as [Cache];
    const users = one.entity<number, User>({ ...definition, scope: "tenant" });
    await one.set("text", "html", { tags: [String(users.in(SCOPE).tag(7))] });
    await one.set("tag", "html", { tags: [users.in(SCOPE).tag(7)] });
    await one.set("other", "html", { tags: [String(users.in("globex").tag())] });
    await change(users, one);
    expect([await one.get("text"), await one.get("tag")]).toEqual([undefined, undefined]);
    await users.in("globex").invalidate(8);
    expect(await one.get("other")).toBeUndefined();
  });

  it("hangs on a thing as well: a response with its surrogate key", async () => {
    const [one] = processes(1) as [Cache];
    const users = usersOf(one);
    let answers = 0;
    const headers = { "cache-control": "max-age=60", "surrogate-key": String(users.tag(7)) };
    const http = cachedFetch(one, {
      fetch: async () => new Response(`answer ${(answers += 1)}`, { headers }),
    });
    const ask = async (): Promise<string> => (await http("http://a.example/users/7")).text();
    expect([await ask(), await ask()]).toEqual(["answer 1", "answer 1"]);
    await users.set(7, { name: "Bea" });
    expect(await ask()).toBe("answer 2");
  });
});

function usersOf(cache: Cache): Entity<number, User> {
  return cache.entity(definition);
}

function failing(): Promise<User> {
  return Promise.reject(new Error("the database broke off"));
}
