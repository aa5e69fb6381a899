import { describe, expect, it } from "vitest";
import { createCache } from "../cache.js";
import { repository } from "../repository.js";
import { callsOf, codeOf, filled } from "../../test/support/cached-issues.js";

describe("a repository's scope", () => {
  it.each([undefined, null, "", Number.NaN, [], {}, true])(
    "is required by every declared method: %j is none",
    async (tenant) => {
      const { issues, target } = await filled();
      const none = tenant as string;
      const calls = await callsOf(target, async () => {
        expect(await codeOf(() => issues.getById(none, 1))).toBe("ERR_CACHE_ENTITY");
        expect(await codeOf(() => issues.getMany(none, [1]))).toBe("ERR_CACHE_ENTITY");
        expect(await codeOf(() => issues.count(none))).toBe("ERR_CACHE_ENTITY");
        expect(await codeOf(() => issues.update(none, 1, {}))).toBe("ERR_CACHE_ENTITY");
        expect(await codeOf(() => issues.cache.in(none))).toBe("ERR_CACHE_ENTITY");
      });
      expect(calls).toEqual([]);
    },
  );

  it("keeps tenants apart, whatever their names hold", async () => {
    const tenants = [
      "a",
      "a:b",
      "a:issue",
      "*",
      "global",
      "'global",
      "~issue",
      "issue",
      "42n",
      "null",
      "{a}",
      "a b",
      "ünï",
      "%3A",
      "v2",
    ];
    const { issues, target } = await filled(tenants);
    const read = (tenant: string) =>
      Promise.all([issues.getById(tenant, 1), issues.getByKey(tenant, "PROJ-1"), issues.search(tenant, "Issue 1")]);
    for (let round = 0; round < 2; round++) {
      for (const tenant of tenants) {
        const title = `Issue 1 of ${tenant}`;
        expect(await read(tenant)).toMatchObject([{ title }, { title }, { hits: [{ title }] }]);
      }
    }
    await issues.renameAll("a", "new");
    await issues.cache.in("*").invalidateAll();
    await issues.update("global", 1, { title: "new" });
    const calls = await callsOf(target, () => Promise.all(tenants.map((tenant) => read(tenant))));
    expect(new Set(calls.map((call) => /^\S+ (.*) \S+( 1)?$/.exec(call)?.[1]?.replace(/ Issue$/, "")))).toEqual(
      new Set(["a", "*", "global"]),
    );
  });

  it("can come from elsewhere than the arguments", async () => {
    let tenant: string | undefined = "acme";
    const rows: Record<string, string> = { acme: "of acme", other: "of other" };
    const cached = repository(
      createCache(),
      { get: async (id: number) => `${id} ${rows[tenant ?? ""]}` },
      { name: "row", scope: { name: "tenant", of: () => tenant as string }, reads: { get: "id" } },
    );
    expect(await cached.get(1)).toBe("1 of acme");
    tenant = "other";
    expect(await cached.get(1)).toBe("1 of other");
    expect(cached.cache.key("get", 1)).toBe("other:row:id:1:v1");
    tenant = undefined;
    expect(await codeOf(() => cached.get(1))).toBe("ERR_CACHE_ENTITY");
  });

  it("can be told by a method of its own", async () => {
    const cached = repository(
      createCache(),
      { find: async (query: { readonly tenant: string; readonly text: string }) => [{ id: 1, of: query.tenant }] },
      {
        name: "row",
        scope: "tenant",
        reads: { find: { kind: "search", scope: ({ tenant }) => tenant, key: ({ text }) => text } },
      },
    );
    expect(cached.cache.key("find", { tenant: "acme", text: "x" })).toBe("acme:row:search:x:v1");
  });
});
