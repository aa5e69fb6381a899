import { describe, expect, it } from "vitest";
import { createCache } from "../cache.js";
import { CacheError } from "../errors.js";
import { chaos } from "../testing/chaos.js";
import { SharedMemory } from "../testing/shared-memory.js";
import { memory } from "../tiers/memory/memory.js";
import { invalidateAfter } from "./invalidate-after.js";

const both = [{ key: "a" }, { key: "b" }];

async function filled() {
  const cache = createCache();
  await cache.setMany([
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
  const stored = async (): Promise<string> =>
    (await Promise.all(["a", "b", "c"].map(async (key) => ((await cache.has(key)) ? key : "")))).join("");
  return { cache, stored };
}

describe("invalidateAfter", () => {
  it("invalidates when the write has resolved, and not before", async () => {
    const { cache, stored } = await filled();
    let commit = (): void => {};
    const writing = invalidateAfter(
      cache,
      () => new Promise<string>((resolve) => (commit = () => resolve("done"))),
      () => both,
    );
    expect(await stored()).toBe("abc");
    commit();
    expect(await writing).toBe("done");
    expect(await stored()).toBe("c");
  });

  it("tells how the write ended", async () => {
    const { cache } = await filled();
    const outcomes: unknown[] = [];
    const note = (outcome: unknown): [] => (outcomes.push(outcome), []);
    await invalidateAfter(cache, async () => undefined, note);
    await invalidateAfter(cache, () => Promise.reject(new Error("no")), note).catch(() => undefined);
    expect(outcomes).toEqual([{ resolved: true, result: undefined }, { resolved: false }]);
  });

  it("invalidates after a rejection, and rejects with what the write threw, be it nothing", async () => {
    const { cache, stored } = await filled();
    const failures: unknown[] = [];
    for (const failure of [new Error("no"), undefined]) {
      await invalidateAfter(
        cache,
        () => Promise.reject(failure),
        () => both,
      ).catch((error: unknown) => failures.push(error === failure));
    }
    expect(failures).toEqual([true, true]);
    expect(await stored()).toBe("c");
  });

  it("invalidates the fallback when the targets cannot be told, and says so unless the write failed", async () => {
    const { cache, stored } = await filled();
    const mistake = new RangeError("a mistake");
    const targets = (): never => {
      throw mistake;
    };
    await expect(invalidateAfter(cache, async () => 1, targets, [{ key: "a" }])).rejects.toBe(mistake);
    expect(await stored()).toBe("bc");
    const failure = new Error("no");
    await expect(invalidateAfter(cache, () => Promise.reject(failure), targets, [{ key: "b" }])).rejects.toBe(failure);
    expect(await stored()).toBe("c");
  });

  it("throws for a target that is none", async () => {
    const { cache } = await filled();
    await expect(
      invalidateAfter(
        cache,
        async () => 1,
        () => [{ key: "" }],
      ),
    ).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
  });

  it("lets a committed write stand when the shared tier does not acknowledge", async () => {
    const broken = chaos(new SharedMemory().factory());
    const cache = createCache({ tiers: [memory(), broken.factory] });
    await cache.set("a", 1);
    broken.fail();
    const failed: string[] = [];
    cache.on("tier-failed", ({ operation }) => failed.push(operation));
    expect(
      await invalidateAfter(
        cache,
        async () => "done",
        () => both,
      ),
    ).toBe("done");
    expect(failed).toContain("store.invalidate");
    expect(await cache.get("a")).toBeUndefined();
    await cache.close();
  });

  it("does not swallow any other error of the cache", async () => {
    const { cache } = await filled();
    await cache.close();
    await expect(
      invalidateAfter(
        cache,
        async () => 1,
        () => both,
      ),
    ).rejects.toBeInstanceOf(CacheError);
  });
});
