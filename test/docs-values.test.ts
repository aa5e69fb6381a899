import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

describe("docs/values.md", () => {
  it("shows its example as it is run", () => {
    const blocks = [...read("docs/values.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    expect(blocks).toEqual([read("examples/values/main.ts")]);
  });

  it("has an example that runs, and gives what it says", () => {
    const output = execFileSync(process.execPath, ["--import", "tsx", "examples/values/main.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(output).toContain("email: 'ann@example.com'");
    expect(output).not.toContain("passwordHash");
  });
});
