import { describe, expect, it } from "vitest";
import { createCache } from "../cache.js";
import { repository } from "../repository.js";
import { FakeClock } from "../testing/fake-clock.js";
import { callsOf, filled } from "../../test/support/cached-issues.js";
import { Issues, issue } from "../../test/support/issues.js";

describe("a repository's reads", () => {
  it("ask the target once for each set of arguments", async () => {
    const { target, issues } = await filled();
    for (let round = 0; round < 2; round++) {
      expect(await issues.getById("acme", 1)).toEqual(await target.getById("acme", 1));
      expect(await issues.getByKey("acme", "PROJ-2")).toMatchObject({ id: 2 });
      expect(await issues.list("acme", { skip: 1, limit: 1 })).toMatchObject([{ id: 2 }]);
      expect(await issues.search("acme", "of acme", 1)).toMatchObject({ hits: [{ id: 1 }] });
      expect(await issues.count("acme")).toBe(3);
    }
    expect(target.calls.filter((call) => !call.startsWith("getById"))).toEqual([
      "getByKey acme PROJ-2",
      "list acme 1 1",
      "search acme of acme",
      "count acme",
    ]);
  });

  it("have keys of scope, name, kind, arguments and version", async () => {
    const { issues } = await filled();
    expect(issues.cache.key("getById", "acme", 7)).toBe("acme:issue:id:7:v2");
    expect(issues.cache.key("getByKey", "acme", "PROJ-123")).toBe("acme:issue:key:PROJ-123:v2");
    expect(issues.cache.key("list", "acme", { skip: 0, limit: 100 })).toBe("acme:issue:list:limit=100:skip=0:v2");
    expect(issues.cache.key("listByProject", "acme", 7)).toBe("acme:issue:project:7:v2");
    expect(issues.cache.key("search", "acme", "bug")).toBe("acme:issue:search:q=bug:v2");
    expect(issues.cache.key("count", "acme")).toBe("acme:issue:count:v2");
  });

  it("take an argument left out at the end and one that is undefined for the same", async () => {
    const { issues, target } = await filled();
    await issues.search("acme", "Issue");
    expect(await callsOf(target, () => issues.search("acme", "Issue", undefined))).toEqual([]);
  });

  it("share one call of the target among concurrent callers", async () => {
    const { issues, target } = await filled();
    const calls = await callsOf(target, () =>
      Promise.all([1, 2, 3].map(() => issues.list("acme", { skip: 0, limit: 2 }))),
    );
    expect(calls).toHaveLength(1);
  });

  it("remember that there is nothing, as the target says it", async () => {
    const { issues, target } = await filled();
    await Promise.all([issues.getById("acme", 99), issues.getByKey("acme", "NONE")]);
    const calls = await callsOf(target, async () => {
      expect(await issues.getById("acme", 99)).toBeNull();
      expect(await issues.getByKey("acme", "NONE")).toBeUndefined();
    });
    expect(calls).toEqual([]);
  });

  it("give the target's own error, and try again next time", async () => {
    const { issues, target } = await filled();
    const failure = new TypeError("connection lost");
    target.reply = () => Promise.reject(failure);
    await expect(issues.count("acme")).rejects.toBe(failure);
    target.reply = async () => {};
    expect(await issues.count("acme")).toBe(3);
  });

  it("carry the tags of their rows and their own, in the scope of the call", async () => {
    const cache = createCache();
    const target = new Issues();
    for (const tenant of ["acme", "other"]) for (const id of [1, 2]) await target.create(tenant, issue(id));
    const issues = repository(cache, target, {
      name: "issue",
      scope: "tenant",
      reads: {
        getById: "id",
        getMany: { kind: "many", absent: null },
        list: { kind: "list", tags: (rows, tenant, { skip }) => [["page", tenant, skip, rows.length]] },
      },
      tags: (row) => [["title", row.title]],
    });
    const read = async (): Promise<void> => {
      for (const tenant of ["acme", "other"]) {
        await issues.getById(tenant, 1);
        await issues.getMany(tenant, [2]);
        await issues.list(tenant, { skip: 0, limit: 2 });
      }
    };
    await read();
    await cache.invalidate({ tag: ["title", "Issue 1"], scope: "acme" });
    expect(await callsOf(target, read)).toEqual(["getById acme 1", "list acme 0 2"]);
    await cache.invalidate({ tag: ["title", "Issue 2"], scope: "other" });
    expect(await callsOf(target, read)).toEqual(["getMany other 2", "list other 0 2"]);
    await cache.invalidate({ tag: ["page", "acme", 0, 2], scope: "acme" });
    expect(await callsOf(target, read)).toEqual(["list acme 0 2"]);
  });

  it("hand on what is no data, and ask again each time", async () => {
    class Money {
      readonly cents: number = 5;
    }
    let asked = 0;
    const cached = repository(
      createCache(),
      { price: async (_id: number) => ((asked += 1), new Money()) },
      { name: "price", reads: { price: "id" } },
    );
    expect([await cached.price(1), await cached.price(1)]).toEqual([new Money(), new Money()]);
    expect(await cached.price(1)).toBeInstanceOf(Money);
    expect(asked).toBe(3);
  });

  it("live by the preset of their kind, and rows by the repository's ttl", async () => {
    const clock = new FakeClock();
    const cache = createCache({ clock, jitter: 0 });
    const target = new Issues();
    await target.create("acme", issue(1));
    const issues = repository(cache, target, {
      name: "issue",
      ttl: "10m",
      reads: { getById: "id", list: "list", search: "search", count: { kind: "count", ttl: "1h" } },
    });
    const all = () =>
      Promise.all([
        issues.getById("acme", 1),
        issues.list("acme", { skip: 0, limit: 1 }),
        issues.search("acme", "I"),
        issues.count("acme"),
      ]);
    await all();
    const loadedAfter = async (ms: number): Promise<readonly string[]> => {
      await clock.advance(ms);
      return (await callsOf(target, all)).map((call) => call.split(" ")[0] as string);
    };
    expect(await loadedAfter(59_000)).toEqual([]);
    expect(await loadedAfter(2_000)).toEqual(["search"]);
    expect(await loadedAfter(59_500)).toEqual(["list"]);
    expect(await loadedAfter(480_000)).toEqual(["getById", "list", "search"]);
    expect(await loadedAfter(3_600_000)).toContain("count");
  });
});

describe("a repository's reads of many rows", () => {
  it("ask the target only for rows that are not stored, once, in the order of the ids", async () => {
    const { issues, target } = await filled();
    await issues.getById("acme", 2);
    const calls = await callsOf(target, async () => {
      expect((await issues.getMany("acme", [3, 2, 99, 1, 3])).map((row) => row.id)).toEqual([3, 2, 1]);
    });
    expect(calls).toEqual(["getMany acme 3,99,1"]);
  });

  it("fill the entries of single rows, absent ones too", async () => {
    const { issues, target } = await filled();
    await issues.getMany("acme", [1, 99]);
    const calls = await callsOf(target, async () => {
      expect(await issues.getById("acme", 1)).toMatchObject({ id: 1 });
      expect(await issues.getById("acme", 99)).toBeNull();
      expect(await issues.getMany("acme", [99, 1])).toMatchObject([{ id: 1 }]);
    });
    expect(calls).toEqual([]);
  });

  it("can answer for every id", async () => {
    const target = new Issues();
    await target.create("acme", issue(1));
    const issues = repository(createCache(), target, {
      name: "issue",
      scope: "tenant",
      reads: { getMany: { kind: "many", absent: undefined, result: "aligned" } },
    });
    for (let round = 0; round < 2; round++)
      expect(await issues.getMany("acme", [2, 1, 1])).toEqual([undefined, issue(1), issue(1)]);
    expect(target.calls).toEqual(["create acme 1", "getMany acme 2,1"]);
  });

  it("lose only the row that was written", async () => {
    const { issues, target } = await filled();
    await issues.getMany("acme", [1, 2, 3]);
    await issues.update("acme", 2, { title: "new" });
    expect(await callsOf(target, () => issues.getMany("acme", [1, 2, 3]))).toEqual(["getMany acme 2"]);
  });

  it("are the target's own when asked with further arguments", async () => {
    const { issues } = await filled();
    await issues.getMany("acme", [1]);
    expect(await issues.getMany("acme", [1], { upperCase: true })).toMatchObject([{ title: "ISSUE 1 OF ACME" }]);
    expect(await issues.getMany("acme", [1])).toMatchObject([{ title: "Issue 1 of acme" }]);
  });

  it("answer nothing for no ids", async () => {
    const { issues, target } = await filled();
    expect(await callsOf(target, async () => expect(await issues.getMany("acme", [])).toEqual([]))).toEqual([]);
  });
});
