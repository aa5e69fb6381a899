import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { startRedis } from "../support/redis-server.js";
import { startSource } from "../support/postgres-source.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

describe("docs/postgres-feed.md", () => {
  it("has an example that runs, and gives what it says", { timeout: 60_000 }, async () => {
    const [, example = ""] =
      /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "docs/postgres-feed.md"), "utf8")) ?? [];
    const source = await startSource({ settings: { max_slot_wal_keep_size: "1GB" } });
    const redis = await startRedis();
    // Below the project, where its packages are found.
    const folder = mkdtempSync(join(root, "node_modules", ".tiercache-docs-"));
    try {
      await source.sql("CREATE TABLE contacts (id int PRIMARY KEY, tenant_id text, team_id int, name text)");
      await source.sql("INSERT INTO contacts VALUES (1, 'acme', 3, 'Ann')");
      const file = join(folder, "example.ts");
      const imports: Readonly<Record<string, string>> = {
        tiercache: "src/index.ts",
        "tiercache/redis": "src/redis/index.ts",
        "tiercache/postgres": "src/postgres/feed.ts",
      };
      const code = example.replaceAll(
        /from "(tiercache[^"]*)"/g,
        (_, name: string) => `from "${join(root, imports[name] ?? "")}"`,
      );
      writeFileSync(file, code);
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
      const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], {
        cwd: root,
        env: { ...process.env, DATABASE_URL: source.server.url, REDIS_URL: redis.url },
        timeout: 50_000,
      });
      expect(stdout).toBe("Ann\nAnn Lee\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await redis.stop();
      await source.close();
    }
  });
});
