import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCache } from "./cache.js";
import { repository } from "./repository.js";
import { SharedMemory } from "./testing/shared-memory.js";
import { cachedIssues, callsOf, codeOf, filled } from "../test/support/cached-issues.js";
import { Issues, type Issue } from "../test/support/issues.js";

describe("a repository's controls", () => {
  it("invalidate rows, lists and everything of one scope", async () => {
    const { issues, target } = await filled(["acme", "other"]);
    const read = async (): Promise<void> => {
      for (const tenant of ["acme", "other"])
        await Promise.all([issues.getById(tenant, 1), issues.getById(tenant, 2), issues.count(tenant)]);
    };
    await read();
    await issues.cache.in("acme").invalidate(1);
    expect(await callsOf(target, read)).toEqual(["getById acme 1", "count acme"]);
    await issues.cache.in("acme").invalidateLists();
    expect(await callsOf(target, read)).toEqual(["count acme"]);
    await issues.cache.in("acme").invalidateAll();
    expect(await callsOf(target, read)).toHaveLength(3);
    await issues.cache.invalidateAll();
    expect(await callsOf(target, read)).toHaveLength(6);
  });

  it("name what a write of rows would invalidate, for others to do it", async () => {
    const { cache, issues, target } = await filled();
    const read = async (): Promise<void> => {
      await Promise.all([issues.getById("acme", 1), issues.getById("acme", 2), issues.count("acme")]);
    };
    await read();
    await cache.invalidate(issues.cache.in("acme").targetsOf(1));
    expect(await callsOf(target, read)).toEqual(["getById acme 1", "count acme"]);
    await cache.invalidate(issues.cache.in("acme").targetsOf());
    expect(await callsOf(target, read)).toEqual(["count acme"]);
  });

  it("read from the target when told to", async () => {
    const { issues, target } = await filled();
    await issues.list("acme", { skip: 0, limit: 1 });
    await issues.getMany("acme", [1]);
    await target.update("acme", 1, { title: "by another" });
    expect(await issues.cache.refresh("list", "acme", { skip: 0, limit: 1 })).toMatchObject([{ title: "by another" }]);
    expect(await issues.list("acme", { skip: 0, limit: 1 })).toMatchObject([{ title: "by another" }]);
    expect(await issues.cache.refresh("getMany", "acme", [1])).toMatchObject([{ title: "by another" }]);
    expect(await issues.getById("acme", 1)).toMatchObject({ title: "by another" });
  });

  it("have another name where the target has a `cache` of its own", async () => {
    const target = { cache: "mine", get: async (id: number) => ({ id }) };
    expect(await codeOf(() => repository(createCache(), target, { name: "row", reads: { get: "id" } }))).toBe(
      "ERR_CACHE_OPTION",
    );
    const cached = repository(createCache(), target, { name: "row", reads: { get: "id" }, controls: "caching" });
    expect(cached.cache).toBe("mine");
    expect(cached.caching.key("get", 1)).toBe("global:row:id:1:v1");
  });

  it("have no key for a read of many rows", async () => {
    const { issues } = await filled();
    expect(await codeOf(() => issues.cache.key("getMany", "acme", [1]))).toBe("ERR_CACHE_KEY");
  });
});

describe("a repository's versions", () => {
  it("read nothing of each other, and are invalidated together", async () => {
    const shared = new SharedMemory();
    const rows = { title: "old" };
    const build = (version: number) =>
      repository(
        createCache({ tiers: [shared.factory()] }),
        { get: async (id: number) => ({ id, ...rows, version }), update: async (id: number) => ({ id }) },
        { name: "row", version, reads: { get: "id" }, writes: { update: "change" } },
      );
    const [one, two] = [build(1), build(2)];
    expect(await one.get(1)).toMatchObject({ version: 1 });
    expect(await two.get(1)).toMatchObject({ version: 2 });
    rows.title = "new";
    await two.update(1);
    expect(await one.get(1)).toMatchObject({ title: "new" });
  });
});

describe("a repository's definition", () => {
  const target = {
    get: async (id: number) => ({ id }),
    all: async () => [{ id: 1 }],
    put: async (row: object) => row,
    size: 1,
  };
  it.each<[string, unknown]>([
    ["name", { reads: { get: "id" } }],
    ["version", { name: "row", version: 1.5, reads: {} }],
    ["repository option", { name: "row", reads: {}, read: {} }],
    ["reads", { name: "row" }],
    ["reads.nothing", { name: "row", reads: { nothing: "id" } }],
    ["reads.size", { name: "row", reads: { size: "count" } }],
    ["reads.get.kind", { name: "row", reads: { get: "row" } }],
    ["reads.get.kind", { name: "row", reads: { get: {} } }],
    ["reads.get option", { name: "row", reads: { get: { kind: "id", keys: 1 } } }],
    ["reads.get.key", { name: "row", reads: { get: { kind: "id", key: "id" } } }],
    ["reads.get.as", { name: "row", reads: { get: { kind: "id", as: "" } } }],
    ["reads.get.droppedBy", { name: "row", reads: { get: { kind: "id", droppedBy: "all" } } }],
    ["reads.all.as", { name: "row", reads: { get: { kind: "list" }, all: "list" } }],
    ["reads.all.absent", { name: "row", reads: { all: "many" } }],
    ["ttl", { name: "row", reads: { get: { kind: "id", ttl: "soon" } } }],
    ["scope", { name: "row", scope: "", reads: {} }],
    ["scope.of", { name: "row", scope: { name: "tenant" }, reads: {} }],
    ["get.scope", { name: "row", reads: { get: { kind: "id", scope: () => 1 } } }],
    ["writes.get", { name: "row", reads: { get: "id" }, writes: { get: "change" } }],
    ["writes.put.kind", { name: "row", reads: {}, writes: { put: "update" } }],
    ["writes.put option", { name: "row", reads: {}, writes: { put: { id: 1 } } }],
    ["writes.put.ids", { name: "row", reads: {}, writes: { put: { ids: ["id"] } } }],
    ["belongsTo.team", { name: "row", reads: {}, belongsTo: { team: "teamId" } }],
    ["repository.id", { name: "row", reads: {}, id: "id" }],
    ["controls", { name: "row", reads: {}, controls: "size" }],
  ])("is refused by the name of what is wrong: %s", (option, definition) => {
    const declare = () => repository(createCache(), target, definition as { name: string; reads: object });
    expect(declare).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${option}`) as string }),
    );
  });

  it.each(["the parent first", "the child first"])(
    "says when a parent is an entity, which would not tell it: %s",
    (order) => {
      const cache = createCache();
      const declared = [
        () => cache.entity({ name: "team" }),
        () => repository(cache, target, { name: "row", reads: { get: "id" }, belongsTo: { team: () => 1 } }),
      ];
      const [first, second] = order === "the parent first" ? declared : declared.toReversed();
      first?.();
      expect(second).toThrow(
        expect.objectContaining({
          code: "ERR_CACHE_ENTITY",
          message: expect.stringMatching(/team.*, which is the other/) as string,
        }),
      );
    },
  );

  it("says when an entity belongs to one, which would not tell it", () => {
    const cache = createCache();
    repository(cache, target, { name: "row", reads: { get: "id" } });
    const part = { name: "part", belongsTo: { row: () => 1 } };
    expect(() => cache.entity(part)).toThrow(expect.objectContaining({ code: "ERR_CACHE_ENTITY" }));
    expect(cache.entity({ name: "part" }).name).toBe("part");
  });

  it("is taken once for each name", async () => {
    const cache = createCache();
    repository(cache, target, { name: "row", reads: { get: "id" } });
    expect(await codeOf(() => repository(cache, target, { name: "row", reads: { get: "id" } }))).toBe(
      "ERR_CACHE_ENTITY",
    );
  });
});

describe("a cached repository against the target itself", () => {
  const tenant = fc.constantFrom("acme", "a:b");
  const id = fc.integer({ min: 1, max: 4 });
  const operation = fc.oneof(
    fc.record({ do: fc.constant("create" as const), tenant, id, project: id }),
    fc.record({ do: fc.constant("update" as const), tenant, id, project: id }),
    fc.record({ do: fc.constant("remove" as const), tenant, id, project: id }),
    fc.record({ do: fc.constant("renameAll" as const), tenant, id, project: id }),
    fc.record({ do: fc.constant("read" as const), tenant, id, project: id }),
  );

  it("answers every read as the target would, after any writes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        const target = new Issues();
        const cached = cachedIssues(createCache(), target);
        let written = 0;
        for (const step of operations) {
          const row: Issue = {
            id: step.id,
            key: `K-${(step.id + step.project) % 5}`,
            projectId: step.project,
            title: `t${written++ % 3}`,
          };
          if (step.do === "create") await cached.create(step.tenant, row);
          else if (step.do === "update") await cached.update(step.tenant, step.id, row);
          else if (step.do === "remove") await cached.remove(step.tenant, step.id);
          else if (step.do === "renameAll") await cached.renameAll(step.tenant, row.title);
          await expectSame(cached, target, step.tenant, step.id);
        }
      }),
      { numRuns: 40 },
    );
  });

  async function expectSame(cached: Issues, target: Issues, of: string, row: number): Promise<void> {
    const reads = (from: Issues): Promise<unknown[]> =>
      Promise.all([
        from.getById(of, row),
        from.getByKey(of, `K-${row}`),
        from.list(of, { skip: 0, limit: 3 }),
        from.listByProject(of, row),
        from.search(of, "t1"),
        from.count(of),
      ]);
    expect(await reads(cached)).toEqual(await reads(target));
    expect(await cached.getMany(of, [1, 2, 3, 4])).toEqual((await target.getMany(of, [1, 2, 3, 4])).reverse());
  }
});
