import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostileName as name, hostilePath as path } from "../../test/support/paths.js";
import { layoutOf } from "./layout.js";

function keysOf(cache: string, at: string): string[] {
  const layout = layoutOf(cache, "", "");
  const { head, log, marks, rules, fence } = layout;
  return [
    head,
    log,
    marks,
    rules,
    fence,
    layout.entry(at),
    layout.lease(at),
    layout.parts(at),
    layout.upload(at, "id"),
  ];
}

describe("the layout", () => {
  it("is as documented", () => {
    const layout = layoutOf("crm", "app:", "3@app:");
    expect({
      ...layout,
      entry: layout.entry("user:1"),
      lease: layout.lease("user:1"),
      parts: layout.parts("user:1"),
      upload: layout.upload("user:1", "id"),
      pathOf: ["app:crm:user:1", "app:crm/ns:user:1", "crm:user:1", "app:crm#head", "app:crmx:1"].map((key) =>
        layout.pathOf(key),
      ),
    }).toEqual({
      head: "app:crm#head",
      log: "app:crm#log",
      marks: "app:crm#marks",
      rules: "app:crm#rules",
      fence: "app:crm#fence",
      channel: "3@app:crm#bus",
      entry: "app:crm:user:1",
      lease: "app:{crm:user:1}#lease",
      parts: "app:{crm:user:1}#parts",
      upload: "app:{crm:user:1}#u:id",
      entryPrefixes: ["app:crm:", "app:crm/"],
      pathOf: ["user:1", "/ns:user:1", undefined, undefined, undefined],
    });
    expect(layout.entry("/ns:user:1")).toBe("app:crm/ns:user:1");
  });

  it("never gives two things one key, whatever names and paths hold", () => {
    fc.assert(
      fc.property(name, path, name, path, (firstName, firstPath, secondName, secondPath) => {
        const first = keysOf(firstName, firstPath);
        const second = keysOf(secondName, secondPath);
        for (const [i, one] of first.entries()) {
          for (const [j, other] of second.entries()) {
            const same = i === j && firstName === secondName && (i < 5 || firstPath === secondPath);
            expect(one === other).toBe(same);
          }
        }
      }),
    );
  });

  it("finds a path again by its entry's key, and begins every such key with one of two prefixes", () => {
    fc.assert(
      fc.property(name, path, (cache, at) => {
        const layout = layoutOf(cache, "app:", "");
        const key = layout.entry(at);
        expect(layout.pathOf(key)).toBe(at);
        expect(layout.entryPrefixes.filter((prefix) => key.startsWith(prefix))).toHaveLength(1);
      }),
    );
  });
});
