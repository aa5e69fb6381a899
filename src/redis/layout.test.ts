import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeKey, namespacePath, inNamespace } from "../keys.js";
import { layoutOf } from "./layout.js";

const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom("a", ":", "/", "#", "{", "}", "%", "é") }),
  fc.string({ minLength: 1 }),
);
const path = fc
  .tuple(name, fc.option(name, { nil: undefined }))
  .map(([key, namespace]) =>
    inNamespace(namespace === undefined ? "" : namespacePath("", namespace), encodeKey([key, "x"])),
  );

function keysOf(cache: string, at: string): string[] {
  const layout = layoutOf(cache, "", "");
  const { head, log, marks, rules, fence } = layout;
  return [head, log, marks, rules, fence, layout.entry(at), layout.lease(at)];
}

describe("the layout", () => {
  it("is as documented", () => {
    const layout = layoutOf("crm", "app:", "3@app:");
    expect({ ...layout, entry: layout.entry("user:1"), lease: layout.lease("user:1") }).toEqual({
      head: "app:crm#head",
      log: "app:crm#log",
      marks: "app:crm#marks",
      rules: "app:crm#rules",
      fence: "app:crm#fence",
      channel: "3@app:crm#bus",
      entry: "app:crm:user:1",
      lease: "app:{crm:user:1}#lease",
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
});
