import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { METRICS } from "../../src/telemetry/prometheus.js";
import { runProcess, type CliResult } from "./run-cli.js";
import { runHere } from "./run-here.js";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/warm/${name}`, import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-operate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function runCli(...argv: readonly string[]): Promise<CliResult> {
  return runHere(argv);
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

  it("ends without a word when whoever reads has seen enough", async () => {
    const { code, stderr } = await runProcess(["export", "grafana"], undefined, { isRead: false });
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("knows nothing else", async () => {
    expect((await runCli("export", "excel")).code).toBe(2);
  });
});

describe("tiercache warm", () => {
  it("runs the plan that a module exports, and says what came of it", async () => {
    const { code, stdout, stderr } = await runProcess(["warm", fixture("plan.ts")]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^start: 3 warmed, 0 failed, in \d+\.\d s\n$/);
  });

  it("prints JSON, of the share that is asked for, and calls what the module exports to give back what it opened", async () => {
    Reflect.deleteProperty(globalThis, "closedByWarm");
    const { code, stdout } = await runCli("warm", fixture("plan.ts"), "--json", "--share", "10%,100%");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1, plan: "start", done: 3, failed: 0, errors: [] });
    expect(Reflect.get(globalThis, "closedByWarm")).toBe(true);
  });

  it("fails when a task does, with its reason, and keeps no cursor of a plan that has ended", async () => {
    const { code, stdout, stderr } = await runCli("warm", fixture("failing.ts"), "--resume", folder);
    expect(code).toBe(1);
    expect(stdout).toContain("1 warmed, 1 failed");
    expect(stderr).toContain("the database is away");
    expect(await readFile(join(folder, "cursor%3Astart.json"), "utf8")).toBe("{}");
  });

  it("ends with 130 on Ctrl-C, and goes on from there the next time", async () => {
    const argv = ["warm", fixture("slow.ts"), "--resume", folder, "--concurrency", "1", "--json"];
    const stopped = await runProcess([...argv, "--per-second", "10"], ({ stderr }, child) => {
      // Once: the second one would end it at once.
      if (!child.killed && stderr.split("task\n").length > 3) child.kill("SIGINT");
    });
    expect([stopped.code, stopped.stdout]).toEqual([130, ""]);
    expect(stopped.stderr).toContain("interrupted; the same command goes on from here");
    const before = stopped.stderr.split("task\n").length - 1;
    const { code, stdout } = await runCli(...argv);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ done: 30 - before, skipped: before });
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
    const { code, stdout } = await runProcess([
      "record",
      fixture("service.ts"),
      "--for",
      "300ms",
      "--out",
      file,
      "--json",
    ]);
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
