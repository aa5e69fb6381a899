import { describe, expect, it } from "vitest";

import { deferred } from "../test/support/deferred.js";
import { oneCache } from "../test/support/one-cache.js";
import type { EntityDefinition, StandardSchema } from "./api.js";

const start = oneCache();
const down = new Error("the source is down");

interface Issue {
  readonly id: number;
  readonly projectId: number | null;
  readonly title: string;
}

const issue = (id: number, projectId: number | null = 1): Issue => ({ id, projectId, title: `Issue ${id}` });

describe("an entity", () => {
  it("loads by its declaration, once for all who overlap, and is a hit afterwards", async () => {
    const { cache } = start();
    const calls: number[] = [];
    const issues = cache.entity<number, Issue>({
      name: "issue",
      load: async (id) => {
        calls.push(id);
        return issue(id);
      },
    });
    expect(await Promise.all([issues.get(1), issues.get(1), issues.get(2)])).toEqual([issue(1), issue(1), issue(2)]);
    expect(await issues.get(1)).toEqual(issue(1));
    expect(calls).toEqual([1, 2]);
    expect(cache.stats().entities["issue"]).toMatchObject({ gets: 4, misses: 3, hits: { memory: 1 }, loads: 2 });
    expect(cache.stats().entities[""]?.gets).toBe(0);
  });

  it("loads by loadMany when that is all it has, and by several calls of load when that is", async () => {
    const { cache } = start();
    const many = cache.entity<number, Issue>({ name: "many", loadMany: async (ids) => ids.map((id) => issue(id)) });
    const single = cache.entity<number, Issue>({ name: "single", load: (id) => issue(id) });
    expect(await many.get(1)).toEqual(issue(1));
    expect(await many.refresh(1)).toEqual(issue(1));
    expect(await single.getMany([2, 1, 2])).toEqual([issue(2), issue(1), issue(2)]);
  });

  it("without a loader refuses get, and works by find, set and getOrLoad", async () => {
    const { cache } = start();
    const issues = cache.entity<number, Issue>({ name: "issue" });
    await expect(issues.get(1)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    await expect(issues.getMany([1])).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    await issues.set(1, issue(1));
    await expect(issues.get(1)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    await issues.find(1);
    await expect(issues.get(1)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    await issues.invalidate(1);
    await expect(issues.refresh(1)).rejects.toMatchObject({ code: "ERR_CACHE_ENTITY" });
    expect(await issues.find(1)).toBeUndefined();
    expect(await issues.getOrLoad(1, () => issue(1))).toEqual(issue(1));
    expect(await issues.find(1)).toEqual(issue(1));
    expect(issues.peek(1)).toEqual(issue(1));
    await issues.set(2, issue(2));
    expect(await issues.find(2)).toEqual(issue(2));
    expect(await issues.has(2)).toBe(true);
  });

  it("shares nothing with raw keys, other entities, or another version of itself", async () => {
    const { cache } = start();
    const one = cache.entity<string, number>({ name: "e", version: 1 });
    const two = cache.namespace("x").entity<string, number>({ name: "e", version: 2 });
    const other = cache.entity<string, number>({ name: "e2" });
    await one.set("k", 1);
    expect(await other.has("k")).toBe(false);
    expect(await two.has("k")).toBe(false);
    for (const raw of [one.key("k"), "global:e:k:v1", "global:e:k:1", "e:k"]) expect(await cache.has(raw)).toBe(false);
    await cache.set("global:e:k:v1", "raw");
    expect(await one.find("k")).toBe(1);
  });

  it("getMany: one call for all that is missing, each id once, in the order asked", async () => {
    const { cache } = start();
    const calls: (readonly number[])[] = [];
    const issues = cache.entity<number, Issue | undefined>({
      name: "issue",
      loadMany: async (ids) => {
        calls.push(ids);
        return new Map(ids.filter((id) => id < 10).map((id) => [id, issue(id)]));
      },
    });
    await issues.set(2, issue(2));
    expect(await issues.getMany([3, 2, 1, 3, 10])).toEqual([issue(3), issue(2), issue(1), issue(3), undefined]);
    expect(await issues.getMany([10, 3])).toEqual([undefined, issue(3)]);
    expect(await issues.getMany([])).toEqual([]);
    expect(calls).toEqual([[1, 3, 10]].map((ids) => expect.arrayContaining(ids)));
  });

  it("getMany loads the ids it was asked for, whatever its caller does with the list meanwhile", async () => {
    const { cache } = start();
    const rows = cache.entity<number, string>({
      name: "row",
      loadMany: async (ids) => ids.map((id) => `row ${id}`),
    });
    const asked = [1, 2];
    const answer = rows.getMany(asked);
    asked.splice(0, 2, 8, 9);
    expect(await answer).toEqual(["row 1", "row 2"]);
    expect(await rows.find(1)).toBe("row 1");
  });

  it("getMany: the batch's context sets tags and ttl of single ids, and has the scope", async () => {
    const { cache } = start();
    const issues = cache.entity<number, number>({
      name: "issue",
      scope: "tenant",
      loadMany: async (ids, { tags, ttl, scope }) => {
        expect(scope).toBe("acme");
        tags(1, "first");
        ttl(2, "9s");
        return ids;
      },
    });
    const acme = issues.in("acme");
    await acme.getMany([1, 2]);
    expect((await acme.explain(1)).tiers[0]?.tags).toContain("acme:first");
    expect((await acme.explain(2)).tiers[0]?.freshFor).toBe(9_000);
    expect(await acme.invalidateTag("first")).toBeDefined();
    expect(await acme.has(1)).toBe(false);
    expect(await acme.has(2)).toBe(true);
  });

  it("getMany refuses a loadMany that gives neither a list of the same length nor a map", async () => {
    const { cache } = start();
    for (const [name, given] of Object.entries({ short: [1], object: { 1: 1 }, nothing: undefined })) {
      const entity = cache.entity<number, number>({ name, loadMany: async () => given as never });
      await expect(entity.getMany([1, 2])).rejects.toMatchObject({ code: "ERR_CACHE_LOAD" });
    }
  });

  it("its loader is told as any loader is", async () => {
    const { cache, clock } = start({ ttl: 1_000, staleIfError: "1h" });
    const seen: unknown[] = [];
    const entity = cache.entity<string, number>({
      name: "e",
      load: (id, { previous, key, tags, notModified, scope }) => {
        seen.push([id, previous?.value, key, scope]);
        tags("mine");
        return previous === undefined ? 1 : notModified();
      },
    });
    await entity.get("k");
    await clock.advance(1_000);
    await entity.get("k");
    expect(seen).toEqual([
      ["k", undefined, entity.key("k"), undefined],
      ["k", 1, entity.key("k"), undefined],
    ]);
    expect((await entity.explain("k")).tiers[0]).toMatchObject({ state: "fresh", tags: ["~e", "global:mine"] });
  });

  it("peek tells the same reason of a miss as any read", async () => {
    const { cache } = start();
    const reasons: string[] = [];
    cache.on("miss", ({ reason }) => reasons.push(reason));
    const entity = cache.entity<string, number>({ name: "e", tags: () => ["t"] });
    await entity.set("k", 1);
    expect(entity.peek("k")).toBe(1);
    await entity.invalidateTag("t");
    expect(entity.peek("k")).toBeUndefined();
    expect(reasons).toEqual(["invalidated-tag"]);
  });

  it("a failure of its loader is the caller's by identity, or covered by its own staleIfError", async () => {
    const { cache, clock } = start();
    let fails = false;
    const entity = cache.entity<string, number>({
      name: "e",
      ttl: 1_000,
      staleIfError: "1m",
      load: () => {
        if (fails) throw down;
        return 1;
      },
    });
    await entity.get("k");
    fails = true;
    await clock.advance(1_000);
    expect(await entity.get("k")).toBe(1);
    await expect(entity.get("other")).rejects.toBe(down);
  });

  it("tags that throw: a loaded value is returned and not stored, a set is refused", async () => {
    const { cache } = start();
    const entity = cache.entity<string, number>({
      name: "e",
      load: () => 1,
      tags: () => {
        throw down;
      },
    });
    expect(await entity.get("k")).toBe(1);
    await expect(entity.set("k", 1)).rejects.toBe(down);
    expect(await entity.has("k")).toBe(false);
  });

  it("of a value that is not there, tags and parents are not asked", async () => {
    const { cache } = start();
    const entity = cache.entity<number, Issue | null>({
      name: "issue",
      load: () => null,
      tags: (value) => [`title:${(value as Issue).title}`],
      belongsTo: { project: (value) => (value as Issue).projectId },
    });
    expect(await entity.get(1)).toBeNull();
    expect(await entity.has(1)).toBe(true);
  });
});

describe("invalidating an entity", () => {
  it("by id, ids, tag or whole; soft is stale and hard is gone", async () => {
    const { cache } = start();
    const issues = cache.entity<number, Issue>({
      name: "issue",
      staleIfError: "1h",
      tags: (value) => [`project:${value.projectId}`],
    });
    const fill = async (): Promise<void> => {
      for (const id of [1, 2, 3]) await issues.set(id, issue(id, id < 3 ? 1 : 2));
    };
    const left = async (): Promise<number[]> =>
      (await Promise.all([1, 2, 3].map(async (id) => ((await issues.has(id)) ? [id] : [])))).flat();
    await fill();
    expect((await issues.invalidate(1)).hit).toBe(1);
    expect(await left()).toEqual([2, 3]);
    expect((await issues.invalidateMany([2, 3, 4])).hit).toBe(2);
    expect(await left()).toEqual([]);
    await fill();
    await issues.invalidateTag("project:1");
    expect(await left()).toEqual([3]);
    await fill();
    await issues.invalidateAll({ mode: "soft" });
    expect(await left()).toEqual([]);
    expect(await issues.find(1, { stale: true })).toEqual(issue(1));
    expect(await issues.expire(1)).toBe(true);
    expect(await issues.expire(9)).toBe(false);
    await issues.invalidateAll();
    expect(await issues.find(1, { stale: true })).toBeUndefined();
  });

  it("takes what belongs to it, and nothing that belongs to another; declared in whatever order", async () => {
    const { cache } = start();
    for (const childFirst of [true, false]) {
      const room = cache.namespace(childFirst ? "child" : "parent");
      const child = (): EntityDefinition<number, Issue> => ({
        name: "issue",
        belongsTo: { project: (value) => value.projectId },
      });
      const first = childFirst ? room.entity(child()) : undefined;
      const projects = room.entity<number, string>({ name: "project" });
      const issues = first ?? room.entity(child());
      await issues.set(1, issue(1, 7));
      await issues.set(2, issue(2, 8));
      await issues.set(3, issue(3, null));
      await projects.set(7, "seven");
      await projects.invalidate(7);
      expect([await issues.has(1), await issues.has(2), await issues.has(3), await projects.has(7)]).toEqual([
        false,
        true,
        true,
        false,
      ]);
    }
  });

  it("in one tenant leaves the other tenants' alone, parents too", async () => {
    const { cache } = start();
    const projects = cache.entity<number, string>({ name: "project", scope: "tenant" });
    const issues = cache.entity<number, Issue>({
      name: "issue",
      scope: "tenant",
      tags: () => ["all"],
      belongsTo: { project: (value) => value.projectId },
    });
    const fill = async (): Promise<void> => {
      for (const tenant of ["a", "b"]) await issues.in(tenant).set(1, issue(1, 7));
    };
    const left = async (): Promise<boolean[]> => [await issues.in("a").has(1), await issues.in("b").has(1)];
    await fill();
    await projects.in("a").invalidate(7);
    expect(await left()).toEqual([false, true]);
    await fill();
    await issues.in("a").invalidateTag("all");
    expect(await left()).toEqual([false, true]);
    await fill();
    await issues.in("a").invalidateAll();
    expect(await left()).toEqual([false, true]);
    await fill();
    await issues.in("a").invalidate(1);
    expect(await left()).toEqual([false, true]);
    await issues.invalidateAll();
    expect(await left()).toEqual([false, false]);
  });

  it("a tenant's issue may belong to a project that has no tenant", async () => {
    const { cache } = start();
    const issues = cache.entity<number, Issue>({
      name: "issue",
      scope: "tenant",
      belongsTo: { project: (value) => value.projectId },
    });
    const projects = cache.entity<number, string>({ name: "project" });
    await issues.in("a").set(1, issue(1, 7));
    await issues.in("b").set(1, issue(1, 8));
    await projects.invalidate(7);
    expect([await issues.in("a").has(1), await issues.in("b").has(1)]).toEqual([false, true]);
  });

  it("what has no tenant cannot belong to what has one: its project could not be told", () => {
    const { cache } = start();
    const refused = expect.objectContaining({ code: "ERR_CACHE_ENTITY" });
    cache.entity({ name: "project", scope: "tenant" });
    expect(() =>
      cache.entity<number, Issue>({ name: "issue", belongsTo: { project: (value) => value.projectId } }),
    ).toThrow(refused);
    const other = cache.namespace("other");
    other.entity<number, Issue>({ name: "issue", belongsTo: { project: (value) => value.projectId } });
    expect(() => other.entity({ name: "project", scope: "tenant" })).toThrow(refused);
    expect(other.entity({ name: "project" }).name).toBe("project");
  });

  it("writing one version invalidates its neighbours, which a deploy in progress still writes", async () => {
    const { cache } = start();
    const marks: number[] = [];
    cache.on("invalidated", (event) => marks.push(event.marks));
    const entity = cache.entity<string, number>({ name: "e", version: 2 });
    await entity.invalidate("k");
    expect(marks).toEqual([3]);
  });
});

describe("a scoped entity", () => {
  it.each([undefined, null, "", {}, [], Number.NaN, [{}]])("cannot be read in the scope %o", (scope) => {
    const { cache } = start();
    const entity = cache.entity<string, number>({ name: "e", scope: "tenant" });
    expect(() => entity.in(scope as never)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_CACHE_(ENTITY|KEY)$/) }),
    );
  });

  it("keeps tenants apart, whatever their names hold", async () => {
    const { cache } = start();
    const entity = cache.entity<string | readonly string[], string>({ name: "e", scope: "tenant" });
    const scopes = ["a", "a:e", "global", "~a", "/a", "*", "A", "42", ["a", "b"], ["a"], "a,b"];
    for (const scope of scopes) await entity.in(scope).set("k", JSON.stringify(scope));
    for (const scope of scopes) expect(await entity.in(scope).find("k")).toBe(JSON.stringify(scope));
    await entity.in("a").invalidateAll();
    for (const scope of scopes) expect(await entity.in(scope).has("k"), String(scope)).toBe(scope !== "a");
  });

  it("hands its loader the scope, and works for more tenants than it keeps at hand", async () => {
    const { cache } = start();
    const entity = cache.entity<number, string>({
      name: "e",
      scope: "tenant",
      load: (id, { scope }) => `${String(scope)} ${id}`,
    });
    for (let tenant = 0; tenant < 1_100; tenant += 1) await entity.in(`t${tenant}`).get(1);
    expect(await entity.in("t0").find(1)).toBe("t0 1");
    expect(entity.in("t1099")).toBe(entity.in("t1099"));
  });
});

describe("declaring an entity", () => {
  it("twice under one name is refused", () => {
    const { cache } = start();
    cache.entity({ name: "e" });
    expect(() => cache.entity({ name: "e" })).toThrow(expect.objectContaining({ code: "ERR_CACHE_ENTITY" }));
    expect(() => cache.entity({ name: "e", scope: "tenant" })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_ENTITY" }),
    );
  });

  it("that was refused leaves the name free", () => {
    const { cache } = start();
    expect(() => cache.entity({ name: "e", ttl: -1 })).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
    expect(cache.entity({ name: "e" }).name).toBe("e");
  });

  it.each([
    ["definition", null],
    ["definition", "issue"],
    ["entity option", { name: "e", loader: () => 1 }],
    ["name", {}],
    ["name", { name: "" }],
    ["name", { name: 5 }],
    ["version", { name: "e", version: -1 }],
    ["version", { name: "e", version: 1.5 }],
    ["version", { name: "e", version: "2" }],
    ["scope", { name: "e", scope: "" }],
    ["scope", { name: "e", scope: true }],
    ["load", { name: "e", load: "select" }],
    ["loadMany", { name: "e", loadMany: {} }],
    ["tags", { name: "e", tags: ["t"] }],
    ["migrate", { name: "e", migrate: 5 }],
    ["schema", { name: "e", schema: {} }],
    ["schema", { name: "e", schema: null }],
    ["belongsTo", { name: "e", belongsTo: { project: "projectId" } }],
    ["belongsTo", { name: "e", belongsTo: null }],
  ])("refuses a wrong %s: %o", (option, definition) => {
    const { cache } = start();
    expect(() => cache.entity(definition as never)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${option}\``) }),
    );
  });

  it("takes a Standard Schema, which memory's own values need not pass again", async () => {
    const { cache } = start();
    let checked = 0;
    const schema: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => {
          checked += 1;
          return { value: value as number };
        },
      },
    };
    const entity = cache.entity<string, number>({ name: "e", schema, load: () => 1 });
    expect([await entity.get("k"), await entity.get("k")]).toEqual([1, 1]);
    expect(checked).toBe(0);
  });
});

describe("writing an entity", () => {
  it("writeThrough stores under its declaration's policy and tags", async () => {
    const { cache } = start();
    const issues = cache.entity<number, Issue>({
      name: "issue",
      ttl: "7s",
      tags: (value, id) => [`id:${id}`, `title:${value.title.length}`],
    });
    expect(await issues.writeThrough(1, async () => issue(1))).toEqual(issue(1));
    expect((await issues.explain(1)).tiers[0]).toMatchObject({
      freshFor: 7_000,
      tags: ["~issue", "global:id:1", "global:title:7"],
    });
    await expect(issues.writeThrough(1, () => Promise.reject(down))).rejects.toBe(down);
    expect(await issues.has(1)).toBe(false);
  });

  it("set refuses what cannot be stored and changes nothing", async () => {
    const { cache } = start();
    const entity = cache.entity<string, unknown>({ name: "e" });
    await entity.set("k", 1);
    await expect(entity.set("k", () => 1)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect(entity.peek("k")).toBe(1);
  });

  it("a refresh joins no earlier load, and what it loads is served", async () => {
    const { cache, clock } = start();
    const loads = [deferred<number>(), deferred<number>()];
    let calls = 0;
    const entity = cache.entity<string, number>({
      name: "e",
      load: () => (loads[calls++] as (typeof loads)[0]).promise,
    });
    const first = entity.get("k");
    await clock.advance(0);
    const refreshed = entity.refresh("k");
    await clock.advance(0);
    loads[1]?.resolve(2);
    loads[0]?.resolve(1);
    expect(await Promise.all([first, refreshed])).toEqual([1, 2]);
    expect(entity.peek("k")).toBe(2);
  });
});
