import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAdmin, type Admin } from "../../src/admin/index.js";
import { createCache, type Cache } from "../../src/index.js";
import { runHere } from "./run-here.js";

/* Commands that need no server of others: over the admin API of a cache here, and on a module. */

const TOKEN = "admin-token-0123456789";
const module = fileURLToPath(new URL("../fixtures/cli/caches.ts", import.meta.url));
let cache: Cache;
let admin: Admin;
let flags: readonly string[];

beforeAll(async () => {
  cache = createCache({ name: "shop", ttl: "10m", jitter: 0 });
  const item = cache.entity<number, { id: number }>({
    name: "item",
    load: async (id) => ({ id }),
    tags: () => ["all"],
  });
  for (const id of [1, 2, 1, 1]) await item.get(id);
  await cache.invalidate({ tag: "all" });
  await item.get(1);
  admin = createAdmin(cache, { environment: "test", tokens: { admin: TOKEN }, name: "api" });
  flags = ["--admin", (await admin.listen()).url];
});
afterAll(async () => {
  await admin?.close();
  await cache?.close();
});

const run = (...argv: readonly string[]): ReturnType<typeof runHere> =>
  runHere([...argv, ...flags], { TIERCACHE_TOKEN: TOKEN });

/** Without what is another in every run. */
function steady(text: string): string {
  return text
    .replaceAll(/-?\d[\d.,e-]* (?:ns|ms|s|min|h|d)\b/g, "# time")
    .replaceAll(/\d[\d.,]* (?:B|KB|MB)\b/g, "# bytes")
    .replaceAll(/\bposition \d+\b/g, "position #")
    .replaceAll(/(?<=\S) {2,}/g, "  ");
}

describe("a process without a shared tier", () => {
  it.each([
    ["stats"],
    ["top", "--interval", "50ms"],
    ["inspect", "global:item:1:v1"],
    ["explain", "global:item:2:v1"],
    ["purge", "--entity", "item", "--dry-run"],
  ])("%s %s %s", async (...argv) => {
    const { code, stdout } = await run(...argv);
    expect(code).toBe(0);
    await expect(steady(stdout)).toMatchFileSnapshot(`golden/shop-${argv[0]}.golden`);
  });
});

describe("tiercache get", () => {
  it("says so when a value is too long to be shown whole", async () => {
    await cache.set(
      "long",
      Array.from({ length: 100 }, () => "y".repeat(4_000)),
    );
    const { code, stdout, stderr } = await run("get", "long");
    expect([code, stderr]).toEqual([0, "only its beginning is shown: it is longer\n"]);
    expect(stdout.length).toBeLessThan(100_000);
  });
});

describe("tiercache doctor", () => {
  it("looks at the code alone, and says what it did not look at", async () => {
    const { code, stdout, stderr } = await runHere(["doctor", "--module", module], { REDIS_URL: "", DATABASE_URL: "" });
    expect([code, stderr]).toEqual([0, ""]);
    await expect(stdout).toMatchFileSnapshot("golden/doctor-code.golden");
  });

  it("wants something to look at, and a module that has the cache", async () => {
    const nothing = { REDIS_URL: "", DATABASE_URL: "" };
    expect((await runHere(["doctor"], nothing)).code).toBe(2);
    expect((await runHere(["doctor", "--module", module, "--name", "other"], nothing)).code).toBe(3);
  });
});

describe("tiercache demo", () => {
  it("serves nothing outdated, with the source away for a while", async () => {
    const { code, stdout } = await runHere(["demo", "--for", "1500ms", "--json"]);
    const figures = JSON.parse(stdout) as Record<string, number>;
    expect(figures).toMatchObject({ schemaVersion: 1, phase: "over", processes: 2, outdated: 0 });
    expect(figures["reads"]).toBeGreaterThan(figures["queries"] ?? 0);
    expect(code).toBe(0);
  });
});

describe("tiercache bench", () => {
  it("measures memory without any server", async () => {
    const { code, stdout } = await runHere(["bench", "--for", "10ms"], { REDIS_URL: "" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Node \d+[\s\S]*\nhit in memory, synchronous \(peek\) +[\d,]+ /);
    expect(stdout.trim().split("\n")).toHaveLength(6);
  });
});
