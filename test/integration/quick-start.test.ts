import { execFileSync } from "node:child_process";

import { expect, it } from "vitest";

import { startRedis } from "../support/redis-server.js";

it("the README's example with Redis runs", async () => {
  const server = await startRedis();
  try {
    const output = execFileSync(process.execPath, ["--import", "tsx", "examples/quick-start/redis.ts"], {
      cwd: new URL("../../", import.meta.url),
      encoding: "utf8",
      env: { ...process.env, REDIS_URL: server.url },
    });
    expect(output).toContain("email: 'ann@example.com'");
    expect(output).toContain("a read loads");
  } finally {
    await server.stop();
  }
});
