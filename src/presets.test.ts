import { describe, expect, it } from "vitest";
import { toMilliseconds, type Duration } from "./duration.js";
import { presets } from "./presets.js";

describe("presets", () => {
  it.each([
    ["user", 3_600],
    ["profile", 300],
    ["entity", 300],
    ["contact", 600],
    ["deal", 600],
    ["product", 3_600],
    ["category", 86_400],
    ["settings", 86_400],
    ["posts", 1_800],
    ["list", 120],
    ["pagination", 900],
    ["search", 60],
    ["count", 300],
    ["analytics", 900],
    ["reference", 86_400],
    ["trending", 60],
    ["config", 3_600],
  ])("keeps %s fresh for %i seconds", (name, seconds) => {
    expect(toMilliseconds(presets[name]?.ttl as Duration, "ttl")).toBe(seconds * 1_000);
  });

  it("cannot be changed by one of its users", () => {
    expect(Object.isFrozen(presets)).toBe(true);
    expect(Object.values(presets).every((preset) => Object.isFrozen(preset))).toBe(true);
  });
});
