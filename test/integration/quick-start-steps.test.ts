import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { startSource } from "../support/postgres-source.js";

it(
  "the quick start's step with PostgreSQL hears of a change that nobody invalidated",
  { timeout: 60_000 },
  async () => {
    const source = await startSource({ settings: { max_slot_wal_keep_size: "1GB" } });
    try {
      await source.sql("CREATE TABLE prices (id int PRIMARY KEY, cents int)");
      await source.sql("INSERT INTO prices VALUES (42, 999)");
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--import", "tsx", "examples/quick-start/feed.ts"],
        {
          cwd: new URL("../../", import.meta.url),
          env: { ...process.env, DATABASE_URL: source.server.url },
          timeout: 50_000,
        },
      );
      expect(stdout).toBe("999\n499\n");
    } finally {
      await source.close();
    }
  },
);
