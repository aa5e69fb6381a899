import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { DEFAULT_POLICY } from "../src/policy.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const run = (file: string): string =>
  execFileSync(process.execPath, ["--import", "tsx", file], { cwd: root, encoding: "utf8" });
const blocks = (page: string): (string | undefined)[] =>
  [...read(page).matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);

describe.each(["cache-manager", "keyv", "bentocache", "node-cache"])("docs/migrate/%s.md", (peer) => {
  const [before, after] = [`examples/migrate/${peer}/before.ts`, `examples/migrate/${peer}/after.ts`];

  it("shows both programs as they are run", () => {
    expect(blocks(`docs/migrate/${peer}.md`)).toEqual([read(before), read(after)]);
  });

  it("has programs that give the same answers", () => {
    const answers = run(before);
    expect(answers.trim()).not.toBe("");
    expect(run(after)).toBe(answers);
  });

  it("names the version that was measured", () => {
    const { version } = JSON.parse(read(`node_modules/${peer}/package.json`)) as { version: string };
    const [, named = "?"] =
      /Measured with \S+ ([\d.]+)\./.exec(read(`docs/migrate/${peer}.md`).replaceAll("\n", " ")) ?? [];
    expect(version.startsWith(named)).toBe(true);
  });
});

it("says how long what nobody gave a time lives, as it is", () => {
  expect([DEFAULT_POLICY.ttl, DEFAULT_POLICY.maxTtl]).toEqual([5 * 60_000, 30 * 86_400_000]);
  for (const page of ["cache-manager", "keyv", "node-cache"])
    expect(read(`docs/migrate/${page}.md`)).toMatch(/\b5 minutes\b/);
});
