import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const run = (file: string): string[] =>
  execFileSync(process.execPath, ["--import", "tsx", file], { cwd: root, encoding: "utf8" }).trim().split("\n");
const blocks = (page: string): (string | undefined)[] =>
  [...read(page).matchAll(/```[jt]s\n([\s\S]*?)```/g)].map((match) => match[1]);

describe.each(["fastify", "express", "hono"])("docs/recipes/%s.md", (framework) => {
  it("shows its program as it is run: data loaded once, answers cached whole", () => {
    expect(blocks(`docs/recipes/${framework}.md`)).toEqual([read(`examples/recipes/${framework}.ts`)]);
    expect(run(`examples/recipes/${framework}.ts`)).toEqual([
      "/users/1 { id: 1, name: 'User 1' } ",
      "/users/1 { id: 1, name: 'User 1' } ",
      "/countries [ 'de', 'fr' ] tiercache;fwd=uri-miss;fwd-status=200;stored",
      expect.stringMatching(/^\/countries \[ 'de', 'fr' \] tiercache;hit;ttl=\d+$/),
      "1 load of a user",
    ]);
  });
});

describe("docs/recipes/nest.md", () => {
  it("shows its program as it is run: Nest's cache and an entity side by side", () => {
    expect(blocks("docs/recipes/nest.md")).toEqual([read("examples/recipes/nest.ts")]);
    expect(run("examples/recipes/nest.ts")).toEqual([
      "1.1 1.1",
      "{ id: 1, name: 'User 1' } { id: 1, name: 'User 1' }",
      "1 load of a user",
      "undefined",
    ]);
  });
});

describe("docs/recipes/next.md", () => {
  it("shows files of the application that is run", () => {
    const files = ["cache-handler.mjs", "next.config.mjs"].map((name) => read(`examples/next/${name}`));
    expect(blocks("docs/recipes/next.md")).toEqual(files.map((text) => text.replace(/\/\/ oxlint-disable.*\n/g, "")));
  });
});
