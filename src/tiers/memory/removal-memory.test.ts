import { describe, expect, it } from "vitest";

import { KeyHash } from "./hash-key.js";
import { RemovalMemory } from "./removal-memory.js";

describe("RemovalMemory", () => {
  it("tells why a key left, the latest reason winning", () => {
    const removals = new RemovalMemory(new KeyHash(1));
    removals.note("a", "evicted");
    removals.note("b", "expired");
    removals.note("a", "invalidated-tag");
    expect(removals.reason("a")).toBe("invalidated-tag");
    expect(removals.reason("b")).toBe("expired");
    expect(removals.reason("c")).toBeUndefined();
  });

  it("keeps no reason that says nothing of a removal", () => {
    const removals = new RemovalMemory(new KeyHash(1));
    removals.note("a", "cold");
    expect(removals.reason("a")).toBeUndefined();
  });

  it("remembers the latest keys, and seldom takes one for another", () => {
    const removals = new RemovalMemory(new KeyHash(1));
    for (let id = 0; id < 100_000; id += 1) removals.note(`gone:${id}`, "evicted");
    const wrong = Array.from({ length: 10_000 }, (_, id) => removals.reason(`never:${id}`)).filter(
      (reason) => reason !== undefined,
    );
    expect(wrong.length).toBeLessThan(10);
    const late = Array.from({ length: 1_000 }, (_, id) => removals.reason(`gone:${99_999 - id}`)).filter(
      (reason) => reason === "evicted",
    );
    expect(late.length).toBeGreaterThan(900);
  });
});
