import { describe, expect, it } from "vitest";

import type { Cache } from "../api.js";
import { entityMarks } from "../entity.js";
import { createCache, memory, repository } from "../index.js";
import { inTransaction, transactional, type TransactionalCache } from "./transactional.js";

class Undo extends Error {}

function caches(): { plain: Cache; cache: TransactionalCache } {
  const plain = createCache({ tiers: [memory()] });
  return { plain, cache: transactional(plain) };
}

/** Runs the body in a transaction that is rolled back. */
async function undone(cache: TransactionalCache, body: () => Promise<void>): Promise<void> {
  const running = inTransaction(cache, async () => {
    await body();
    throw new Undo();
  });
  await expect(running).rejects.toBeInstanceOf(Undo);
}

describe("transactional", () => {
  it("is the cache itself outside of transactions", async () => {
    const { plain, cache } = caches();
    expect(await cache.getOrLoad("a", () => 1, { tags: ["t"] })).toBe(1);
    expect(plain.peek("a")).toBe(1);
    expect([cache.peek("a"), await cache.get("a"), await cache.has("a")]).toEqual([1, 1, true]);
    await cache.setMany([["b", 2]]);
    expect(await cache.getMany(["a", "b"])).toEqual([1, 2]);
    expect(
      await cache.getOrLoadMany(
        [1, 2],
        (n) => ["n", n],
        async (all) => all.map((n) => n * 2),
      ),
    ).toEqual([2, 4]);
    expect(await cache.refresh("a", () => 3)).toBe(3);
    expect(await cache.writeThrough("a", async () => 4)).toBe(4);
    expect(await cache.expire("a")).toBe(true);
    expect(await cache.delete("b")).toBe(true);
    expect(await cache.deleteMany(["a"])).toBe(1);
    expect((await cache.invalidate({ tag: "t" })).position).toBeGreaterThan(0);
    expect(cache.name).toBe(plain.name);
    expect(cache.stats()).toEqual(plain.stats());
    await cache.close();
    await expect(plain.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("is made once", () => {
    const { cache } = caches();
    expect(transactional(cache)).toBe(cache);
    expect(() => transactional({} as Cache)).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
  });

  it("reads past what is stored inside one, and stores nothing", async () => {
    const { plain, cache } = caches();
    await plain.set("a", "stored");
    await inTransaction(cache, async () => {
      expect([cache.peek("a"), await cache.get("a"), await cache.has("a")]).toEqual([undefined, undefined, false]);
      expect(await cache.getMany(["a", "b"])).toEqual([undefined, undefined]);
      expect(await cache.getOrLoad("a", () => "own")).toBe("own");
      expect(await cache.getOrLoad("b", () => "own")).toBe("own");
      expect(
        await cache.getOrLoadMany(
          ["c"],
          (key) => key,
          async () => ["own"],
        ),
      ).toEqual(["own"]);
      expect(
        await cache.getOrLoadMany(
          ["c"],
          (key) => key,
          async () => new Map([["c", "own"]]),
        ),
      ).toEqual(["own"]);
    });
    expect(await plain.getMany(["a", "b", "c"])).toEqual(["stored", undefined, undefined]);
  });

  it("asks the source each time inside one: two readers share nothing", async () => {
    const { cache } = caches();
    let loads = 0;
    await inTransaction(cache, async () => {
      await Promise.all([1, 2, 3].map(() => cache.getOrLoad("a", () => ++loads)));
    });
    expect(loads).toBe(3);
  });

  it("gives a load outside nothing that began inside, and the other way round", async () => {
    const { plain, cache } = caches();
    await undone(cache, async () => {
      const inside = cache.getOrLoad("a", async () => "uncommitted");
      const outside = plain.getOrLoad("a", async () => "committed");
      expect(await Promise.all([inside, outside])).toEqual(["uncommitted", "committed"]);
    });
    expect(plain.peek("a")).toBe("committed");
  });

  const invalidations: readonly (readonly [string, (cache: TransactionalCache) => Promise<unknown>, unknown])[] = [
    ["invalidate by key", (cache) => cache.invalidate({ key: "a" }), { position: 0, hit: 0 }],
    ["invalidate by tag, among others", (cache) => cache.invalidate([{ tag: "t" }, { key: "x" }]), expect.anything()],
    ["delete", (cache) => cache.delete("a"), false],
    ["deleteMany", (cache) => cache.deleteMany(["x", "a"]), 0],
    ["expire", (cache) => cache.expire("a"), false],
    ["set", (cache) => cache.set("a", "uncommitted"), undefined],
    ["setMany", (cache) => cache.setMany([["a", "uncommitted"]]), undefined],
    ["refresh", (cache) => cache.refresh("a", () => "uncommitted"), "uncommitted"],
    ["writeThrough", (cache) => cache.writeThrough("a", async () => "uncommitted"), "uncommitted"],
  ];

  it.each(invalidations)("holds back until the commit: %s", async (_, act, answer) => {
    const { plain, cache } = caches();
    await plain.set("a", "stored", { tags: ["t"] });
    await inTransaction(cache, async () => {
      expect(await act(cache)).toEqual(answer);
      expect(plain.peek("a")).toBe("stored");
    });
    expect(plain.peek("a")).toBeUndefined();
  });

  it.each(invalidations)("drops with a rollback: %s", async (_, act) => {
    const { plain, cache } = caches();
    await plain.set("a", "stored", { tags: ["t"] });
    await undone(cache, async () => void (await act(cache)));
    expect(plain.peek("a")).toBe("stored");
  });

  it("says at the call what is no target, and invalidates the rest at the commit", async () => {
    const { plain, cache } = caches();
    await plain.set("a", 1);
    await inTransaction(cache, async () => {
      await expect(cache.invalidate({ key: "" })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
      await expect(cache.invalidate({ key: "a" }, { mode: "mild" as "soft" })).rejects.toMatchObject({
        code: "ERR_CACHE_OPTION",
      });
      await expect(cache.getOrLoad("a", () => 1, { tll: 1 } as object)).rejects.toMatchObject({
        code: "ERR_CACHE_OPTION",
      });
      await cache.invalidate({ key: "a" });
    });
    expect(plain.peek("a")).toBeUndefined();
  });

  it("tells a loader what it tells it elsewhere, as far as there is anything to tell", async () => {
    const { cache } = caches();
    await inTransaction(cache, async () => {
      const value = cache.getOrLoad("a:1", ({ key, signal, previous, ttl, tags, etag, skip }) => {
        ttl("1s");
        tags("x");
        etag("e");
        skip();
        return [key, signal.aborted, previous];
      });
      expect(await value).toEqual(["a:1", false, undefined]);
      const error = new Error("mine");
      await expect(cache.getOrLoad("a", ({ fail }) => fail(error))).rejects.toBe(error);
      await expect(cache.getOrLoad("a", () => Promise.reject(error))).rejects.toBe(error);
      await expect(cache.getOrLoad("a", ({ notModified }) => notModified())).rejects.toMatchObject({
        code: "ERR_CACHE_LOAD",
      });
      const aborted = AbortSignal.abort(error);
      await expect(cache.getOrLoad("a", () => 1, { signal: aborted })).rejects.toBe(error);
    });
  });

  it("is as careful in a namespace, and with wrapped functions", async () => {
    const { plain, cache } = caches();
    const room = cache.namespace("room");
    const double = cache.wrap(async (n: number) => n * 2, { name: "double" });
    await double(1);
    await plain.namespace("room").set("a", 1);
    await undone(cache, async () => {
      await room.invalidate({ all: true });
      expect(await room.get("a")).toBeUndefined();
      expect(double.peek(1)).toBeUndefined();
      expect(await double(2)).toBe(4);
      await double.invalidateAll();
    });
    expect(plain.namespace("room").peek("a")).toBe(1);
    expect([double.peek(1), double.peek(2)]).toEqual([2, undefined]);
    expect(() => cache.wrap(async () => 1, { name: "" })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION" }),
    );
  });

  it("lets a commit stand whose invalidation was not acknowledged", async () => {
    const { cache } = caches();
    const running = inTransaction(cache, async () => {
      await cache.invalidate({ key: "a" });
      await cache.close();
      return "done";
    });
    await expect(running).resolves.toBe("done");
  });

  it("knows the transaction inside a transaction", async () => {
    const { plain, cache } = caches();
    await plain.setMany([
      ["a", 1],
      ["b", 1],
    ]);
    await inTransaction(cache, async () => {
      await cache.invalidate({ key: "a" });
      await undone(cache, async () => void (await cache.invalidate({ key: "b" })));
      expect(plain.peek("a")).toBe(1);
    });
    expect([plain.peek("a"), plain.peek("b")]).toEqual([undefined, 1]);
  });
});

describe("entities of a transactional cache", () => {
  interface Contact {
    readonly id: number;
    readonly name: string;
    readonly secret?: string;
  }

  it("load past the cache inside a transaction, in their scope and without what they exclude", async () => {
    const { cache } = caches();
    const seen: unknown[] = [];
    const contacts = cache.entity<number, Contact>({
      name: "contact",
      scope: "tenant",
      exclude: ["secret"],
      load: (id, { scope, key }) => {
        seen.push([scope, key]);
        return { id, name: "Ann", secret: "x" };
      },
    });
    const acme = contacts.in("acme");
    expect(contacts.in("acme")).toBe(acme);
    await acme.get(1);
    await inTransaction(cache, async () => {
      expect(await acme.get(1)).toEqual({ id: 1, name: "Ann" });
      expect(await acme.getMany([1, 2])).toEqual([
        { id: 1, name: "Ann" },
        { id: 2, name: "Ann" },
      ]);
      expect(await acme.getOrLoad(3, () => ({ id: 3, name: "Bob", secret: "y" }))).toEqual({ id: 3, name: "Bob" });
      expect([acme.peek(1), await acme.find(1), await acme.has(1)]).toEqual([undefined, undefined, false]);
    });
    expect(seen).toHaveLength(4);
    expect(seen).toEqual(Array.from(seen, () => expect.arrayContaining(["acme"])));
    expect([acme.peek(1), acme.peek(2), acme.peek(3)]).toEqual([{ id: 1, name: "Ann" }, undefined, undefined]);
  });

  it("load many past the cache", async () => {
    const { cache } = caches();
    const calls: unknown[] = [];
    const rows = cache.entity<number, string>({
      name: "row",
      loadMany: async (ids) => {
        calls.push(ids);
        return ids.map((id) => `row ${id}`);
      },
    });
    await rows.getMany([1]);
    await inTransaction(cache, async () => {
      expect(await rows.getMany([1, 2])).toEqual(["row 1", "row 2"]);
      expect(await rows.get(3)).toBe("row 3");
    });
    expect(calls).toEqual([[1], [1, 2], [3]]);
    const bare = cache.entity<number, string>({ name: "bare" });
    await inTransaction(cache, async () => {
      await expect(bare.get(1)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
      await expect(bare.getMany([1])).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    });
  });

  it.each([
    ["invalidate", (entity) => entity.invalidate(1)],
    ["invalidateMany", (entity) => entity.invalidateMany([1])],
    ["invalidateTag", (entity) => entity.invalidateTag("t")],
    ["invalidateAll", (entity) => entity.invalidateAll()],
    ["expire", (entity) => entity.expire(1)],
    ["set", (entity) => entity.set(1, "uncommitted")],
    ["refresh", (entity) => entity.refresh(1)],
    ["writeThrough", (entity) => entity.writeThrough(1, async () => "uncommitted")],
  ] satisfies [string, (entity: ReturnType<TransactionalCache["entity"]>) => Promise<unknown>][])(
    "hold back until the commit, and drop with a rollback: %s",
    async (_, act) => {
      const { plain, cache } = caches();
      const entity = cache.entity<number, string>({ name: "row", load: () => "loaded", tags: () => ["t"] });
      await entity.get(1);
      await undone(cache, async () => void (await act(entity)));
      expect(entity.peek(1)).toBe("loaded");
      await inTransaction(cache, async () => {
        await act(entity);
        expect(plain.peek("nothing")).toBeUndefined();
      });
      expect(entity.peek(1)).toBeUndefined();
    },
  );

  it("pass for the cache's own, for a change feed", () => {
    const { cache } = caches();
    const rows = cache.entity<number, string>({ name: "row" });
    const scoped = cache.entity<number, string>({ name: "scoped", scope: "tenant" });
    expect(entityMarks({ of: rows, ids: [1] })).toContainEqual({ kind: "key", key: rows.key(1) });
    expect(entityMarks({ of: scoped, ids: [1], scope: "a" })).toContainEqual({
      kind: "key",
      key: scoped.in("a").key(1),
    });
    expect(entityMarks({ of: scoped, all: true })).toContainEqual({ kind: "tag", tag: "~scoped" });
    expect([rows.name, scoped.name, scoped.in("a").name]).toEqual(["row", "scoped", "scoped"]);
  });

  it("take what hangs on them along, once the transaction is committed", async () => {
    const { cache } = caches();
    const rows = cache.entity<number, string>({ name: "row", dependents: true });
    await cache.set("page:7", "html", { tags: [rows.tag(7)] });
    await undone(cache, async () => void (await rows.invalidate(7)));
    expect(cache.peek("page:7")).toBe("html");
    await inTransaction(cache, async () => void (await rows.invalidate(7)));
    expect(cache.peek("page:7")).toBeUndefined();
  });

  it("of all scopes go together", async () => {
    const { cache } = caches();
    const rows = cache.entity<number, string>({ name: "row", scope: "tenant", load: () => "loaded" });
    await rows.in("a").get(1);
    await undone(cache, async () => void (await rows.invalidateAll()));
    expect(rows.in("a").peek(1)).toBe("loaded");
    await inTransaction(cache, async () => void (await rows.invalidateAll()));
    expect(rows.in("a").peek(1)).toBeUndefined();
  });

  it("are safe under a repository", async () => {
    const { cache } = caches();
    const rows = new Map([[1, { id: 1, title: "one" }]]);
    const target = {
      byId: async (id: number) => rows.get(id) ?? null,
      rename: async (id: number, title: string) => {
        rows.set(id, { id, title });
        return { id, title };
      },
    };
    const issues = repository(cache, target, {
      name: "issue",
      reads: { byId: "id" },
      writes: { rename: "change" },
    });
    expect(await issues.byId(1)).toEqual({ id: 1, title: "one" });
    await undone(cache, async () => {
      await issues.rename(1, "never");
      expect(await issues.byId(1)).toEqual({ id: 1, title: "never" });
      rows.set(1, { id: 1, title: "one" });
    });
    rows.set(1, { id: 1, title: "changed behind the cache's back" });
    // Still stored: the rollback has dropped its invalidation.
    expect(await issues.byId(1)).toEqual({ id: 1, title: "one" });
    await inTransaction(cache, async () => void (await issues.rename(1, "two")));
    expect(await issues.byId(1)).toEqual({ id: 1, title: "two" });
  });
});
