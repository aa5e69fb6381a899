import { describe, expect, it } from "vitest";
import { createCache } from "../cache.js";
import { repository } from "../repository.js";
import { SharedMemory } from "../testing/shared-memory.js";
import { memory } from "../tiers/memory/memory.js";
import { cachedIssues, callsOf, filled } from "../../test/support/cached-issues.js";
import { Issues, issue } from "../../test/support/issues.js";

describe("a repository's writes", () => {
  const page = { skip: 0, limit: 10 };

  async function warmed() {
    const context = await filled(["acme", "other"]);
    const { issues } = context;
    const readAll = async (): Promise<void> => {
      for (const tenant of ["acme", "other"]) {
        await issues.getById(tenant, 1);
        await issues.getById(tenant, 2);
        await issues.getByKey(tenant, "PROJ-1");
        await issues.getByKey(tenant, "PROJ-77");
        await issues.list(tenant, page);
        await issues.listByProject(tenant, 9);
        await issues.search(tenant, "Issue");
        await issues.count(tenant);
      }
    };
    await readAll();
    return { ...context, loadedAgain: () => callsOf(context.target, readAll) };
  }

  const lists = ["getByKey acme PROJ-77", "list acme 0 10", "listByProject acme 9", "search acme Issue", "count acme"];

  it("drop a changed row by id and by key, lists and absences, and no other row", async () => {
    const { issues, loadedAgain } = await warmed();
    await issues.update("acme", 1, { title: "new" });
    expect(await issues.getByKey("acme", "PROJ-1")).toMatchObject({ title: "new" });
    expect((await issues.list("acme", page))[0]).toMatchObject({ title: "new" });
    expect(await loadedAgain()).toEqual(["getById acme 1", ...lists.filter((call) => !call.startsWith("list acme"))]);
  });

  it("drop a removed row, named by the arguments", async () => {
    const { issues, loadedAgain } = await warmed();
    await issues.remove("acme", 1);
    expect(await loadedAgain()).toEqual(["getById acme 1", "getByKey acme PROJ-1", ...lists]);
  });

  it("drop lists and absences for a created row, and no row", async () => {
    const { issues, loadedAgain } = await warmed();
    await issues.create("acme", issue(77));
    expect(await issues.getByKey("acme", "PROJ-77")).toMatchObject({ id: 77 });
    expect(await issues.count("acme")).toBe(4);
    expect(await loadedAgain()).toEqual(lists.filter((call) => !/PROJ-77|count/.test(call)));
  });

  it("drop everything of the scope when they change any number of rows", async () => {
    const { issues, loadedAgain } = await warmed();
    await issues.renameAll("acme", "same");
    expect(await loadedAgain()).toEqual(["getById acme 1", "getById acme 2", "getByKey acme PROJ-1", ...lists]);
  });

  it("drop everything of the scope when nothing says which rows they changed", async () => {
    const { issues, loadedAgain } = await warmed();
    expect(await issues.update("acme", 404, {})).toBeNull();
    expect(await loadedAgain()).toHaveLength(8);
  });

  it("invalidate once they have resolved, and give what the target gave", async () => {
    const { issues, target } = await warmed();
    let answer = (): void => {};
    target.answer = () => new Promise((resolve) => (answer = resolve));
    const writing = issues.update("acme", 1, { title: "new" });
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "Issue 1 of acme" });
    answer();
    expect(await writing).toEqual({ ...issue(1), title: "new" });
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "new" });
  });

  it("keep out a load that began before them", async () => {
    const { issues, target } = await filled();
    let reply = (): void => {};
    target.reply = () => new Promise((resolve) => (reply = resolve));
    const reading = issues.getById("acme", 1);
    await expect.poll(() => target.calls).toContain("getById acme 1");
    target.reply = async () => {};
    await issues.update("acme", 1, { title: "new" });
    reply();
    expect(await reading).toMatchObject({ title: "Issue 1 of acme" });
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "new" });
  });

  it("invalidate when they reject after having committed, and give the target's own error", async () => {
    const { issues, target } = await warmed();
    const lost = new Error("the answer was lost");
    target.answer = () => Promise.reject(lost);
    await expect(issues.update("acme", 1, { title: "new" })).rejects.toBe(lost);
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "new" });
    await expect(issues.remove("acme", 2)).rejects.toBe(lost);
    expect(await issues.getById("acme", 2)).toBeNull();
    await expect(issues.create("acme", issue(77))).rejects.toBe(lost);
    expect(await issues.getByKey("acme", "PROJ-77")).toMatchObject({ id: 77 });
  });

  it("find their row whether its id is a number or the same as text", async () => {
    const rows = new Map([["7", { id: "7", title: "old" }]]);
    const cached = repository(
      createCache(),
      {
        get: async (id: number | string) => rows.get(String(id)) ?? null,
        update: async (id: number, title: string): Promise<boolean> =>
          Boolean(rows.set(String(id), { id: String(id), title })),
      },
      { name: "row", reads: { get: "id" }, writes: { update: { ids: (id) => [id] } } },
    );
    await cached.get(7);
    await cached.get("7");
    await cached.update(7, "new");
    expect(await cached.get(7)).toMatchObject({ title: "new" });
    expect(await cached.get("7")).toMatchObject({ title: "new" });
  });

  it("drop what holds a row without an id, whichever row they change", async () => {
    let total = 1;
    const cached = repository(
      createCache(),
      {
        summary: async (month: string) => ({ month, total }),
        add: async () => void (total += 1),
        at: async (id: number) => id,
      },
      { name: "sale", reads: { summary: "key" }, writes: { at: { ids: (id) => [id] }, add: "create" } },
    );
    expect(await cached.summary("May")).toEqual({ month: "May", total: 1 });
    await cached.add();
    expect(await cached.summary("May")).toEqual({ month: "May", total: 2 });
    total = 3;
    await cached.at(5);
    expect(await cached.summary("May")).toEqual({ month: "May", total: 3 });
  });

  it("drop everything when they resolve to what names no row, unless their arguments do, or they create", async () => {
    const calls: number[] = [];
    const cached = repository(
      createCache(),
      {
        get: async (id: number) => (calls.push(id), { id }),
        touch: async (_id: number) => ({ ok: true }),
        update: async (_id: number) => ({ ok: true }),
        create: async (_id: number) => ({ ok: true }),
      },
      {
        name: "row",
        reads: { get: "id" },
        writes: { touch: { ids: (id) => [id] }, update: "change", create: "create" },
      },
    );
    const loaded = async (): Promise<readonly number[]> => {
      calls.length = 0;
      await Promise.all([cached.get(1), cached.get(2)]);
      return [...calls];
    };
    expect(await loaded()).toEqual([1, 2]);
    await cached.create(3);
    expect(await loaded()).toEqual([]);
    await cached.touch(1);
    expect(await loaded()).toEqual([1]);
    await cached.update(1);
    expect(await loaded()).toEqual([1, 2]);
  });

  it("invalidate what else they say, with the result or without", async () => {
    const cache = createCache();
    const target = new Issues();
    const seen: unknown[] = [];
    const issues = repository(cache, target, {
      name: "issue",
      scope: "tenant",
      reads: { getById: "id" },
      writes: {
        create: {
          kind: "create",
          invalidates: (created, tenant, given) => {
            seen.push([created?.id, tenant, given.id]);
            return [{ key: ["dashboard", tenant] }];
          },
        },
      },
    });
    await cache.set(["dashboard", "acme"], "old");
    await issues.create("acme", issue(1));
    expect(await cache.has(["dashboard", "acme"])).toBe(false);
    await cache.set(["dashboard", "acme"], "old");
    target.answer = () => Promise.reject(new Error("lost"));
    await expect(issues.create("acme", issue(2))).rejects.toThrow("lost");
    expect(await cache.has(["dashboard", "acme"])).toBe(false);
    expect(seen).toEqual([
      [1, "acme", 1],
      [undefined, "acme", 2],
    ]);
  });

  it("drop everything, and say so, when a declaration of theirs throws", async () => {
    const target = new Issues();
    await target.create("acme", issue(1));
    const issues = repository(createCache(), target, {
      name: "issue",
      scope: "tenant",
      reads: { getById: "id" },
      writes: {
        update: {
          ids: () => {
            throw new RangeError("a mistake");
          },
        },
      },
    });
    await issues.getById("acme", 1);
    await expect(issues.update("acme", 1, { title: "new" })).rejects.toThrow(RangeError);
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "new" });
  });

  it("drop everything when they touch more rows than an invalidation should name", async () => {
    const { issues, target } = await filled();
    const read = () => Promise.all([issues.getById("acme", 1), issues.count("acme")]);
    await read();
    await issues.cache.in("acme").invalidate(...Array.from({ length: 20_000 }, (_, id) => 1_000 + id));
    expect(await callsOf(target, read)).toEqual(["getById acme 1", "count acme"]);
  });

  it("leave what says that it is dropped by its own rows only, until one of them is written", async () => {
    const cache = createCache();
    const target = new Issues();
    for (const id of [1, 2, 3]) await target.create("acme", issue(id, id));
    const issues = repository(cache, target, {
      name: "issue",
      scope: "tenant",
      reads: {
        listByProject: { kind: "list", droppedBy: "held" },
        count: { kind: "count", droppedBy: "held", tags: () => ["total"] },
      },
      writes: {
        create: { kind: "create", invalidates: (_issue, tenant) => [{ tag: "total", scope: tenant }] },
        update: "change",
      },
    });
    const readAll = () =>
      Promise.all([issues.listByProject("acme", 1), issues.listByProject("acme", 4), issues.count("acme")]);
    await readAll();
    await issues.update("acme", 2, { title: "new" });
    expect(await callsOf(target, readAll)).toEqual([]);
    await issues.create("acme", issue(4, 4));
    expect(await callsOf(target, readAll)).toEqual(["count acme"]);
    await issues.update("acme", 1, { title: "new" });
    expect(await callsOf(target, readAll)).toEqual(["listByProject acme 1"]);
  });

  it("reach every process that shares the tier", async () => {
    const shared = new SharedMemory();
    const target = new Issues();
    await target.create("acme", issue(1));
    const here = cachedIssues(createCache({ tiers: [memory(), shared.factory()] }), target);
    const there = cachedIssues(createCache({ tiers: [memory(), shared.factory()] }), target);
    await there.list("acme", page);
    await there.getById("acme", 1);
    await here.update("acme", 1, { title: "new" });
    await expect.poll(() => there.getById("acme", 1)).toMatchObject({ title: "new" });
    await expect.poll(() => there.list("acme", page)).toMatchObject([{ title: "new" }]);
  });
});

describe("a repository's parents", () => {
  async function family() {
    const { cache, target, issues } = await filled();
    const projects = repository(
      cache,
      {
        update: async (_tenant: string, id: number) => ({ id }),
        close: async (_tenant: string) => undefined,
        get: async (_tenant: string, id: number) => ({ id }),
      },
      { name: "project", scope: "tenant", reads: { get: "id" }, writes: { update: "change", close: "all" } },
    );
    const readAll = () =>
      Promise.all([
        issues.getById("acme", 1),
        issues.getById("acme", 3),
        issues.listByProject("acme", 1),
        issues.listByProject("acme", 9),
      ]);
    await readAll();
    return { issues, target, projects, loadedAgain: () => callsOf(target, readAll) };
  }

  it("take their children with them when they are written", async () => {
    const { projects, loadedAgain } = await family();
    await projects.update("acme", 9);
    expect(await loadedAgain()).toEqual(["getById acme 3", "listByProject acme 9"]);
  });

  it("take everybody's children when any number of them is written", async () => {
    const { projects, loadedAgain } = await family();
    await projects.close("acme");
    expect(await loadedAgain()).toHaveLength(4);
  });

  it("leave the children of another tenant's parents", async () => {
    const { projects, loadedAgain } = await family();
    await projects.update("other", 9);
    await projects.cache.in("other").invalidateAll();
    expect(await loadedAgain()).toEqual([]);
  });

  it("are found in lists of more rows than an entry has tags for", async () => {
    const target = new Issues();
    for (let id = 1; id <= 300; id++) await target.create("acme", issue(id, id));
    const cache = createCache();
    const issues = cachedIssues(cache, target);
    const projects = repository(
      cache,
      { update: async (_tenant: string, id: number) => ({ id }) },
      { name: "project", scope: "tenant", reads: {}, writes: { update: "change" } },
    );
    const list = () => issues.list("acme", { skip: 0, limit: 300 });
    await list();
    expect(await callsOf(target, list)).toEqual([]);
    await projects.update("acme", 250);
    expect(await callsOf(target, list)).toEqual(["list acme 0 300"]);
    await issues.update("acme", 299, { title: "new" });
    expect((await list())[298]).toMatchObject({ title: "new" });
  });
});
