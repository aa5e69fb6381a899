import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

function run(file: string): string {
  return execFileSync(process.execPath, ["--import", "tsx", file], { cwd: root, encoding: "utf8" });
}

describe("docs/other-sources.md", () => {
  it("shows its examples as they are run", () => {
    const blocks = [...read("docs/other-sources.md").matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    const files = ["versions", "stream-feed", "mongo", "mysql", "main"];
    expect(blocks).toEqual(files.map((file) => read(`examples/other-sources/${file}.ts`)));
  });

  it("has an example of versions that gives what it says", () => {
    expect(run("examples/other-sources/versions.ts").split("\n")).toEqual([
      "global:order:7:v1: an older row is not stored",
      "new",
      "paid",
      "global:order:7:v1: an older row is not stored",
      "paid",
      "",
    ]);
  });

  it("has feeds that tell a cache what others changed, seen and not before", () => {
    expect(run("examples/other-sources/main.ts").split("\n")).toEqual([
      "{ _id: 1, name: 'second', version: 2 }",
      expect.stringMatching(/^\{ id: 1, name: 'second', version: \d+ \}$/),
      "",
    ]);
  });
});
