import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { METRICS } from "../src/telemetry/metrics.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

function run(example: string, environment: Readonly<Record<string, string>> = {}): string {
  return execFileSync(process.execPath, ["--import", "tsx", example], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
}

describe("docs/metrics.md", () => {
  it("shows its example as it is run, which gives what a scrape gives", () => {
    expect(read("docs/metrics.md")).toContain(`\`\`\`ts\n${read("examples/metrics/main.ts")}\`\`\``);
    expect(run("examples/metrics/main.ts").trim().split("\n")).toEqual([
      'cache_requests_total{cache="crm",entity="user",tier="memory",result="hit"} 1',
      'cache_requests_total{cache="crm",entity="user",tier="none",result="miss"} 1',
    ]);
  });

  it("has a line for each metric, with its type, labels and meaning", () => {
    const rows = [
      ...read("docs/metrics.md").matchAll(/^\| `(cache_\w+)` \| (\w+) +\| ([\w, ]+?) +\| (.*?) +\|$/gm),
    ].map(([, name, type, labels, help]) => ({ name, type, labels: labels?.split(", "), help }));
    expect(rows).toEqual(
      Object.values(METRICS).map(({ name, type, labels, help }) => ({ name, type, labels: [...labels], help })),
    );
  });
});

describe("docs/warming.md", () => {
  it("shows its example as it is run, which finds a host warm that was warmed before", () => {
    for (const file of ["examples/warming/plan.ts", "examples/warming/main.ts"])
      expect(read("docs/warming.md")).toContain(`\`\`\`ts\n${read(file)}\`\`\``);
    const folder = mkdtempSync(join(tmpdir(), "tiercache-warming-"));
    try {
      const twice = [1, 2].map(() => run("examples/warming/main.ts", { CACHE_DIRECTORY: folder }).trim().split("\n"));
      expect(twice).toEqual([
        ["a cold host", "the last step was user", "11 tasks, 0 failed, 501 values loaded"],
        ["a warm host", "the last step was user", "11 tasks, 0 failed, 0 values loaded"],
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
