import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

describe("README.md", () => {
  const blocks = [...read("README.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);

  it("shows the examples as they are run", () => {
    expect(blocks).toEqual([read("examples/quick-start/memory.ts"), read("examples/quick-start/redis.ts")]);
  });

  it("has a first example that runs", () => {
    const output = execFileSync(process.execPath, ["--import", "tsx", "examples/quick-start/memory.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(output).toContain("name: 'Ann'");
  });
});
