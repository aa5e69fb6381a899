import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeTag, type ScopeInput } from "../../keys.js";
import { createCache, memory } from "../../index.js";
import type { Mark } from "../../invalidation/record.js";
import { surrogateKey, surrogateKeys, surrogateTag } from "../headers/surrogate-keys.js";
import { purge } from "../purge.js";
import { surrogateTags } from "../surrogate-tags.js";
import { markTargets, type MarkRules } from "./mark-targets.js";

const RULES: MarkRules = { keys: false, origins: new Set(["https://www.example.org"]) };

/** The marks of what is done with a cache. */
async function marksOf(act: (cache: ReturnType<typeof createCache>) => Promise<unknown>): Promise<Mark[]> {
  const cache = createCache({ tiers: [memory()] });
  const marks: Mark[] = [];
  cache.on("invalidated", (event) => marks.push(...((event as { readonly names?: readonly Mark[] }).names ?? [])));
  await act(cache);
  await cache.close();
  return marks;
}

/** An entity's other versions, and each room of stored responses, give the same. */
function distinct(targets: readonly unknown[]): unknown[] {
  return [...new Map(targets.map((target) => [JSON.stringify(target), target])).values()];
}

async function outwardOf(act: Parameters<typeof marksOf>[0], rules: MarkRules = RULES): Promise<unknown[]> {
  return distinct((await marksOf(act)).flatMap((mark) => markTargets(mark, rules).outward));
}

describe("what marks mean outside of the cache", () => {
  it("names an entity's row as `surrogateKey` does, with and without a scope and in a namespace", async () => {
    expect(await outwardOf((cache) => cache.entity({ name: "contact" }).invalidate(7))).toEqual([
      { tag: surrogateKey("contact", 7) },
    ]);
    const scoped = { name: "contact", scope: "tenant", version: 3 } as const;
    expect(await outwardOf((cache) => cache.entity(scoped).in("acme").invalidate("a b"))).toEqual([
      { tag: surrogateKey("contact", "a b", "acme") },
    ]);
    expect(await outwardOf((cache) => cache.namespace("x").entity(scoped).in("acme").invalidate(7))).toEqual([
      { tag: surrogateKey("contact", 7, "acme") },
    ]);
  });

  it("names all of an entity, in a scope and in all of them, and what belongs to a row", async () => {
    const scoped = { name: "contact", scope: "tenant" } as const;
    expect(await outwardOf((cache) => cache.entity(scoped).in("acme").invalidateAll())).toEqual([
      { tag: surrogateKey("contact", undefined, "acme") },
    ]);
    expect(await outwardOf((cache) => cache.entity(scoped).invalidateAll())).toEqual([
      { tag: surrogateKey("contact") },
    ]);
    const children = await outwardOf((cache) => {
      cache.entity({ name: "issue", scope: "tenant", belongsTo: { project: () => 7 } });
      return cache.entity({ name: "project", scope: "tenant" }).in("acme").invalidate(7);
    });
    expect(children).toEqual([{ tag: surrogateKey("project", 7, "acme") }]);
  });

  it("names a tag by what a response's header says, and an entity's tag as `surrogateTag` does", async () => {
    expect(await outwardOf((cache) => cache.invalidate({ tag: "country:de" }))).toEqual([{ tag: "country:de" }]);
    expect(await outwardOf((cache) => cache.invalidate({ tag: "release:v2" }))).toEqual([{ tag: "release:v2" }]);
    expect(await outwardOf((cache) => cache.invalidate({ tag: ["country", 7] }))).toEqual([{ tag: "country:7" }]);
    const scoped = { name: "contact", scope: "tenant" } as const;
    expect(await outwardOf((cache) => cache.entity(scoped).in("acme").invalidateTag("vip"))).toEqual([
      { tag: surrogateTag("vip", "acme") },
    ]);
    expect(await outwardOf((cache) => cache.invalidate({ tags: ["a", "b"], match: "all" }))).toEqual([{ tag: "a" }]);
  });

  it("tells our own caches what their tags do not say, and never a tag they have", async () => {
    const own = async (act: Parameters<typeof marksOf>[0]): Promise<unknown[]> =>
      distinct((await marksOf(act)).flatMap((mark) => markTargets(mark, RULES).own));
    expect(await own((cache) => cache.entity({ name: "contact" }).invalidate(7))).toEqual([
      { tag: surrogateKey("contact", 7) },
    ]);
    expect(await own((cache) => cache.invalidate({ tag: "country:de" }))).toEqual([]);
    expect(await own((cache) => cache.invalidate({ tag: "vip", scope: "acme" }))).toEqual([{ tag: "@acme:vip" }]);
    const echoes = ["~global:contact:7", "@acme:vip", "~global:release:v2", "~!ab", "=a=v2", "~global:contact:a%2Cb"];
    for (const tag of echoes) expect(await own((cache) => cache.invalidate({ tag }))).toEqual([]);
  });

  it("purges by URL outside what is purged by URL here, of the origins it was given", async () => {
    const url = "https://www.example.org/a%20b/12/v2?x=%C3%BC&y=1";
    expect(await outwardOf((cache) => purge(cache, { url }))).toEqual([{ url }]);
    const prefix = "https://www.example.org/a/b";
    expect(await outwardOf((cache) => purge(cache, { prefix }))).toEqual([{ prefix }]);
    expect(await outwardOf((cache) => purge(cache, { url: "https://other.example/a" }))).toEqual([]);
  });

  it("forwards other keys only where it is asked to", async () => {
    expect(await outwardOf((cache) => cache.delete("user:42"))).toEqual([]);
    expect(await outwardOf((cache) => cache.delete("user:42"), { ...RULES, keys: true })).toEqual([
      { tag: "=user:42" },
    ]);
  });

  it("says of what has no name that it has none", async () => {
    for (const target of [{ all: true }, { pattern: "user:*" }, { prefix: "acme" }] as const) {
      const [mark] = await marksOf((cache) => cache.invalidate(target));
      expect(mark === undefined ? undefined : markTargets(mark, RULES)).toEqual({ own: [], outward: [], isWide: true });
    }
  });
});

const scope = fc.option(fc.oneof(fc.string({ minLength: 1, unit: "binary" }), fc.integer()), { nil: undefined });
const id = fc.option(
  fc.oneof(
    fc.string({ minLength: 1, unit: "binary" }).map((text) => [text]),
    fc.integer().map((n) => [n]),
  ),
  {
    nil: undefined,
  },
);

describe("surrogateKey", () => {
  it("is different for different things, short, and fit for every vendor's header", () => {
    const thing = fc.tuple(fc.string({ minLength: 1, unit: "binary" }), id, scope);
    fc.assert(
      fc.property(thing, thing, (a, b) => {
        const [x, y] = [a, b].map(([name, row, tenant]) => surrogateKey(name, row, tenant as ScopeInput | undefined));
        expect(x).toMatch(/^[\x21-\x2b\x2d-\x7e]{1,256}$/);
        const same = JSON.stringify(a) === JSON.stringify(b);
        // As in keys, a scope that is text of a number is the number.
        const alike = String(a[2]) === String(b[2]) && JSON.stringify([a[0], a[1]]) === JSON.stringify([b[0], b[1]]);
        if (same) expect(x).toBe(y);
        else if (!alike) expect(x).not.toBe(y);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is readable where it can be, and a digest where it is too long", () => {
    expect(surrogateKey("contact", 7, "acme")).toBe("~acme:contact:7");
    expect(surrogateKey("contact", "7", "acme")).toBe("~acme:contact:7");
    expect(surrogateKey("contact", ["7"], "acme")).toBe("~acme:contact:'7");
    expect(surrogateKey("contact", 7)).toBe("~global:contact:7");
    expect(surrogateKey("contact", "é")).toMatch(/^~![0-9a-f]{64}$/);
    expect(surrogateKey("contact", "x".repeat(500))).toMatch(/^~![0-9a-f]{64}$/);
  });

  it("is read back from a header as the tag it gives, so that purging by it reaches the response", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), scope, (text, tenant) => {
        for (const key of [surrogateKey("contact", [text], tenant), surrogateTag([text], tenant)]) {
          const read = surrogateTags(Object.entries(surrogateKeys([key, "other"])));
          expect(read).toEqual([key, "other"]);
          const mark = { kind: "tag", tag: encodeTag(key) } as const;
          expect(markTargets(mark, RULES)).toEqual({ own: [], outward: [{ tag: key }], isWide: false });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("surrogateKeys", () => {
  it("writes each vendor's field, each key once", () => {
    expect(surrogateKeys(["a", "b", "a"], ["surrogate-key", "xkey", "cache-tag"])).toEqual({
      "surrogate-key": "a b",
      xkey: "a b",
      "cache-tag": "a,b",
    });
    expect(surrogateKeys([])).toEqual({});
  });

  it("refuses what would be read as something else, and more than vendors read", () => {
    for (const wrong of ["a b", "a,b", "", "a\r\nset-cookie: x", "é"]) {
      expect(() => surrogateKeys([wrong])).toThrow("Expected a surrogate key to be visible ASCII");
    }
    const many = Array.from({ length: 2_000 }, (_, n) => `~acme:contact:${n}`);
    expect(() => surrogateKeys(many)).toThrow("Expected the surrogate keys to be 16000 bytes at most");
  });
});
