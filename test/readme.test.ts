import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

describe("README.md", () => {
  const blocks = [...read("README.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);

  it("shows the examples as they are run", () => {
    expect(blocks).toEqual(["memory", "redis", "host"].map((name) => read(`examples/quick-start/${name}.ts`)));
  });

  it("has a first example that runs", () => {
    const output = execFileSync(process.execPath, ["--import", "tsx", "examples/quick-start/memory.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(output).toContain("name: 'Ann'");
  });

  it("has an example of a host tier that runs, twice", () => {
    const folder = mkdtempSync(join(tmpdir(), "tiercache-readme-"));
    try {
      for (let run = 0; run < 2; run += 1) {
        const output = execFileSync(process.execPath, ["--import", "tsx", "examples/quick-start/host.ts"], {
          cwd: root,
          encoding: "utf8",
          env: { ...process.env, CACHE_DIRECTORY: folder },
        });
        expect(output).toContain("cents: 999");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
