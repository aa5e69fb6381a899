import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { METRICS } from "../../src/telemetry/prometheus.js";
import { runCli as runHere } from "../../src/cli/program.js";
import { createTerminal } from "../../src/cli/terminal.js";
import { runCli as runProcess, type CliResult } from "./run-cli.js";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/warm/${name}`, import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-operate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the command line in this process, which takes a tenth of the time of one of its own. */
async function runCli(...argv: readonly string[]): Promise<CliResult> {
  const result = { stdout: "", stderr: "" };
  const out = { write: (text: string) => (result.stdout += text) };
  const error = { write: (text: string) => (result.stderr += text) };
  return { code: await runHere(argv, createTerminal(out, error, {})), ...result };
}

describe("tiercache export", () => {
  it("prints a dashboard that can be imported", async () => {
    const { code, stdout, stderr } = await runCli("export", "grafana");
    expect([code, stderr]).toEqual([0, ""]);
    const { panels } = JSON.parse(stdout) as { panels: { targets: { expr: string }[] }[] };
    expect(panels.length).toBeGreaterThan(15);
    expect(panels.flatMap(({ targets }) => targets).some(({ expr }) => expr.includes(METRICS.requests.name))).toBe(
      true,
    );
  });

  it("prints the alert rules", async () => {
    const { code, stdout } = await runCli("export", "prometheus-rules");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^groups:\n {2}- name: tiercache\n/);
    expect(stdout).toContain("- alert: CacheTierDown");
  });

  it("knows nothing else", async () => {
    expect((await runCli("export", "excel")).code).toBe(2);
  });
});

describe("tiercache warm", () => {
  it("runs the plan that a module exports, and says what came of it", async () => {
    const { code, stdout, stderr } = await runProcess("warm", fixture("plan.ts"));
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^start: 3 warmed, 0 failed, in \d+\.\d s\n$/);
  });

  it("prints JSON, of the share that is asked for", async () => {
    const { code, stdout } = await runCli("warm", fixture("plan.ts"), "--json", "--share", "10%,100%");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1, plan: "start", done: 3, failed: 0, errors: [] });
  });

  it("fails when a task does, with its reason, and keeps no cursor of a plan that has ended", async () => {
    const { code, stdout, stderr } = await runCli("warm", fixture("failing.ts"), "--resume", folder);
    expect(code).toBe(1);
    expect(stdout).toContain("1 warmed, 1 failed");
    expect(stderr).toContain("the database is away");
    expect(await readFile(join(folder, "cursor%3Astart.json"), "utf8")).toBe("{}");
  });

  it("says what is wrong with a module", async () => {
    const missing = await runCli("warm", join(folder, "nothing.ts"));
    expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining("There is no file")]);
    await writeFile(join(folder, "empty.js"), "export const other = 1;");
    const empty = await runCli("warm", join(folder, "empty.js"));
    expect([empty.code, empty.stderr]).toEqual([1, expect.stringContaining("export `cache`")]);
    expect((await runCli("warm", fixture("plan.ts"), "--share", "200%")).code).toBe(2);
  });
});

describe("tiercache record", () => {
  it("writes what a service reads to a trace that can be simulated", async () => {
    const file = join(folder, "reads.csv");
    const { code, stdout } = await runProcess(
      "record",
      fixture("service.ts"),
      "--for",
      "300ms",
      "--out",
      file,
      "--json",
    );
    expect(code).toBe(0);
    const { reads } = JSON.parse(stdout) as { reads: number };
    expect(reads).toBeGreaterThan(0);
    expect((await readFile(file, "utf8")).trimEnd().split("\n")).toHaveLength(reads + 1);
    const simulated = await runCli("simulate", file, "--size", "10", "--policy", "lru", "--json");
    expect([simulated.code, simulated.stderr]).toEqual([0, ""]);
  });

  it("wants a file to write", async () => {
    expect((await runCli("record", fixture("service.ts"))).code).toBe(2);
  });
});
