import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { oneCache } from "../../test/support/one-cache.js";
import { simulate } from "../simulate/simulate.js";
import { toCacheSize } from "../simulate/sizes.js";
import { cacheStore, fileStore, readHotKeys, recordTrace, savedHotKeys, saveHotKeys } from "./index.js";
import { KeyTally } from "./hot-keys.js";

const start = oneCache();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-trace-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("recordTrace", () => {
  it("writes reads with their times and sizes, as simulations read them", async () => {
    const { cache, clock } = start();
    const file = join(folder, "reads.csv");
    const recording = recordTrace(cache, file, { clock });
    await cache.getOrLoad("a", () => "x".repeat(100));
    await clock.advance(1_500);
    await cache.get("a");
    await cache.get(["odd", 'with "quotes", commas']);
    expect(await recording.stop()).toEqual({ reads: 3, dropped: 0 });
    await cache.get("a");
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines.slice(0, 3)).toEqual([
      "time,key,size",
      expect.stringMatching(/^0\.000,a,\d+$/),
      expect.stringMatching(/^1\.500,a,\d+$/),
    ]);
    const { trace, points } = await simulate({
      trace: { path: file },
      sizes: [toCacheSize("10", "size")],
      policies: ["lru"],
      seed: 1,
    });
    expect(trace).toMatchObject({ requests: 3, badLines: 0 });
    expect(points[0]?.hitRatio).toBeCloseTo(1 / 3);
  });

  it("takes every read of a share of the keys, and none of the others", async () => {
    const { cache } = start();
    const file = join(folder, "share.csv");
    const recording = recordTrace(cache, file, { share: 0.25 });
    for (let n = 0; n < 200; n += 1) for (let times = 0; times < 3; times += 1) await cache.get(`k${n}`);
    await recording.stop();
    const counts = new Map<string, number>();
    for (const line of (await readFile(file, "utf8")).trimEnd().split("\n").slice(1)) {
      const key = line.split(",")[1] as string;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(new Set(counts.values())).toEqual(new Set([3]));
    expect(counts.size).toBeGreaterThan(25);
    expect(counts.size).toBeLessThan(80);
  });

  it("writes hashes in place of keys, the same ones for a secret", async () => {
    const { cache } = start();
    const keysIn = async (name: string, hashKeys: boolean | string): Promise<string[]> => {
      const file = join(folder, name);
      const recording = recordTrace(cache, file, { hashKeys });
      await cache.get("secret-name");
      await cache.get("secret-name");
      await recording.stop();
      const text = await readFile(file, "utf8");
      expect(text).not.toContain("secret-name");
      return text
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((line) => line.split(",")[1] as string);
    };
    const [one, same] = await keysIn("hash1.csv", "pepper");
    expect(one).toBe(same);
    expect((await keysIn("hash2.csv", "pepper"))[0]).toBe(one);
    expect((await keysIn("hash3.csv", true))[0]).not.toBe(one);
  });

  it("stops at its most, and rejects when the file cannot be written", async () => {
    const { cache } = start();
    const recording = recordTrace(cache, join(folder, "few.csv"), { most: 2 });
    for (let n = 0; n < 5; n += 1) await cache.get("k");
    expect((await recording.stop()).reads).toBe(2);
    const failing = recordTrace(cache, join(folder, "no", "such", "folder.csv"));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(failing.stop()).rejects.toMatchObject({ code: "ENOENT" });
  });

  it.each([{ share: 0 }, { most: 0 }, { hashKeys: "" }])("refuses %o", (options) => {
    const { cache } = start();
    expect(() => recordTrace(cache, join(folder, "x.csv"), options)).toThrow(`\`${Object.keys(options)[0] ?? ""}\``);
  });
});

describe("readHotKeys", () => {
  it("gives the keys of a trace, those read most first", async () => {
    const { cache } = start();
    const file = join(folder, "hot.csv");
    const recording = recordTrace(cache, file);
    for (const key of ["a", "b", "b", "c,d", "c,d", "c,d"]) await cache.get(key);
    await recording.stop();
    expect(await readHotKeys(file)).toEqual([expect.stringContaining("d"), "b", "a"]);
    expect(await readHotKeys(file, { most: 1 })).toHaveLength(1);
  });

  it("says so when the file is none, or not there", async () => {
    const file = join(folder, "other.csv");
    await writeFile(file, "id,when\n1,2\n");
    await expect(readHotKeys(file)).rejects.toThrow("time,key,size");
    await expect(readHotKeys(join(folder, "missing.csv"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("saveHotKeys", () => {
  it("keeps the keys read most for the next process, and saves now and then", async () => {
    const { cache, clock } = start();
    const store = cacheStore(cache);
    const saving = saveHotKeys(cache, { store, most: 3, every: "10s", clock });
    for (let n = 0; n < 40; n += 1) await cache.set(`k${n}`, n);
    for (let round = 0; round < 60_000; round += 1) cache.peek(`k${round % 2 === 0 ? 7 : round % 40}`);
    await clock.advance(10_000);
    const saved = await savedHotKeys(store, "cache");
    expect(saved[0]).toBe("k7");
    expect(saved.length).toBeLessThanOrEqual(3);
    await saving.close();
  });

  it("leaves the last run's keys alone until it knows any", async () => {
    const { cache, clock } = start();
    const store = fileStore(join(folder, "kept"));
    await store.write("hot-keys:cache", JSON.stringify(["old"]));
    const saving = saveHotKeys(cache, { store, clock });
    await saving.close();
    expect(await savedHotKeys(store, "cache")).toEqual(["old"]);
    await store.write("hot-keys:cache", "[half");
    expect(await savedHotKeys(store, "cache")).toEqual([]);
    expect(await savedHotKeys(store, "nobody")).toEqual([]);
  });
});

describe("a tally of keys", () => {
  it("keeps those met most in bounded room, and forgets with time", () => {
    const tally = new KeyTally(10);
    for (let n = 0; n < 1_000; n += 1) {
      tally.add("hot");
      tally.add(`cold ${n}`);
    }
    expect(tally.top(1)).toEqual(["hot"]);
    expect(tally.top(100)).toHaveLength(10);
    for (let n = 0; n < 20; n += 1) tally.fade();
    expect(tally.top(100)).toEqual([]);
  });
});
