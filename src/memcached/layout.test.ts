import { expect, it } from "vitest";
import { layoutOf } from "./layout.js";

it("names keys so that people can read them", () => {
  const layout = layoutOf("crm", "app.");
  expect(layout.entry("contact:42:v2")).toBe("app.crm:contact:42:v2");
  expect(layout.entry("/ns:user:é")).toBe("app.crm/ns:user:é");
  expect(layout.head).toBe("app.crm#head");
  expect(layout.record("G", 7)).toBe("app.crm#r:G:7");
});

it("names by a hash what memcached would not take, and nothing else", () => {
  const layout = layoutOf("c", "app.");
  const paths = [
    "a b",
    "a\r\nflush_all",
    "a\tb",
    "a\u007f",
    "\ud800",
    "\udc00",
    "x".repeat(260),
    `${"x".repeat(259)}y`,
    "é".repeat(125),
  ];
  const keys = paths.map((path) => layout.entry(path));
  for (const key of keys) expect(key).toMatch(/^app\.#[\w-]{43}$/);
  expect(new Set(keys).size).toBe(paths.length);
  const longest = layout.entry("x".repeat(244));
  expect(longest).toHaveLength(250);
  expect(longest.startsWith("app.c:x")).toBe(true);
  expect(layout.entry("x".repeat(245))).toContain("#");
});

it("shares no key between caches, whatever they are called", () => {
  const names = ["a", "a:b", "a/b", "a#head", "#", "a b", "\ud800"];
  const keys = names.flatMap((name) => {
    const layout = layoutOf(name, "");
    return [layout.head, layout.entry("b"), layout.entry("/b:b"), layout.entry("b#head"), layout.marks("G", 1)];
  });
  expect(new Set(keys).size).toBe(keys.length);
});
