import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("tells its story from the first statement to the hit ratio, and ends well", async () => {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--import", "tsx", main], {
    timeout: 25_000,
  });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/100 people open the same board at once\s+1 statement /);
  expect(stdout).toMatch(/a contact of nobody\s+0 statements\s+ERR_CACHE_ENTITY/);
  expect(stdout).toMatch(/its products show the new name\s+1 statement\s+Hardware/);
  expect(stdout).toMatch(/contact 3 is what it is\s+1 statement\s+Imported/);
  expect(stdout).toMatch(/deals of contact 11 on the board\s+1 statement\s+2\n/);
  expect(stdout).toMatch(/deals of contact 11 on the board\s+1 statement\s+0\n/);
  expect(stdout).toMatch(/the pipeline after that\s+1 statement\s/);
  const [, ratio] = /all\s.* ([\d.]+) % hits\s+on target\n$/.exec(stdout) ?? [];
  expect(Number(ratio)).toBeGreaterThan(80);
});
