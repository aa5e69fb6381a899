import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostileName as name, hostilePath as path } from "../../test/support/paths.js";
import { shardCountKey, shardLayoutOf, type Layout } from "./layout.js";
import { shardTags, slotOf } from "./slots.js";

/** Every key and channel a layout can name, whatever it has. */
function allOf(layout: Layout, at: string): string[] {
  return Object.entries(layout).flatMap(([property, value]: [string, unknown]) => {
    if (property === "pathOf" || property === "entryPrefixes") return [];
    return typeof value === "function" ? [Reflect.apply(value, undefined, [at, "id"]) as string] : [value as string];
  });
}

describe("the layout of a shard", () => {
  it("is as documented", () => {
    const layout = shardLayoutOf("crm", "3/16.042", "app:", "app:");
    expect(layout).toMatchObject({
      head: "app:crm{3/16.042}#head",
      log: "app:crm{3/16.042}#log",
      marks: "app:crm{3/16.042}#marks",
      rules: "app:crm{3/16.042}#rules",
      fence: "app:crm{3/16.042}#fence",
      channel: "app:crm{3/16.042}#bus",
    });
    expect(layout.entry("user:42")).toBe("app:crm{3/16.042}:user:42");
    expect(layout.entry("/ns:user:42")).toBe("app:crm{3/16.042}/ns:user:42");
    expect(layout.lease("user:42")).toBe("app:crm{3/16.042}#lease:user:42");
    expect(layout.parts("user:42")).toBe("app:crm{3/16.042}#parts:user:42");
    expect(layout.upload("user:42", "id")).toBe("app:crm{3/16.042}#u:id:user:42");
    expect(shardCountKey("crm", "app:")).toBe("app:crm#shards");
  });

  it("puts all of a shard into the tag's slot, whatever names, paths and prefixes hold", () => {
    fc.assert(
      fc.property(name, path, fc.string(), fc.integer({ min: 0, max: 15 }), (cache, at, prefix, shard) => {
        const tag = shardTags(16)[shard] ?? "";
        const keyPrefix = prefix.replaceAll("{", "");
        for (const key of allOf(shardLayoutOf(cache, tag, keyPrefix, keyPrefix), at)) {
          expect(slotOf(key)).toBe(slotOf(`{${tag}}`));
        }
      }),
    );
  });

  it("never gives two things one key, in one shard, two, or with another number of shards", () => {
    const tags = [...shardTags(2), ...shardTags(3)];
    fc.assert(
      fc.property(name, path, name, path, (firstName, firstPath, secondName, secondPath) => {
        const keys = new Map<string, string>();
        for (const [cache, at] of [
          [firstName, firstPath],
          [secondName, secondPath],
        ] as const) {
          for (const tag of tags) {
            for (const [i, key] of allOf(shardLayoutOf(cache, tag, "", ""), at).entries()) {
              // The first six are the shard's own, the others the path's.
              const thing = JSON.stringify([cache, tag, i, i < 6 ? "" : at]);
              expect(keys.get(key) ?? thing).toBe(thing);
              keys.set(key, thing);
            }
          }
          const thing = JSON.stringify([cache, "shards"]);
          expect(keys.get(shardCountKey(cache, "")) ?? thing).toBe(thing);
          keys.set(shardCountKey(cache, ""), thing);
        }
      }),
    );
  });
});
