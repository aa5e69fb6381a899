import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { NEXT_DEFAULTS } from "../src/adapters/next.js";
import { UNSTORAGE_DEFAULTS } from "../src/adapters/unstorage.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

const RUN: Readonly<Record<string, string>> = {
  keyv: "{ user: 7 }\nundefined\n",
  unstorage: "{ title: 'Hello' } [ 'posts:1' ]\n",
  nest: '{"id":"7","reads":1} {"id":"7","reads":1} {"id":"7","reads":2}\n{"id":"7","reads":3}\n',
  envelop:
    '{"data":{"contact":{"name":"Ann, read 1 times"}}} {"data":{"contact":{"name":"Ann, read 1 times"}}}\n' +
    '{"data":{"contact":{"name":"Ada, read 3 times"}}}\n',
  trpc:
    "{ id: 7, user: 'ann', reads: 1 } { id: 7, user: 'ann', reads: 1 } { id: 7, user: 'bob', reads: 2 }\n" +
    "{ id: 7, user: 'ann', reads: 3 }\n",
};
/** Run by `npm run test:next`, in the application that they are files of. */
const NEXT = ["cache-handler.mjs", "use-cache-handler.mjs", "next.config.mjs", "cache.mjs"];

describe("docs/integrations.md", () => {
  it("shows its examples as they are run", () => {
    const blocks = [...read("docs/integrations.md").matchAll(/```(?:ts|js)\n([\s\S]*?)```/g)].map((match) => match[1]);
    const files = [
      ...Object.keys(RUN).map((name) => `examples/integrations/${name}.ts`),
      ...NEXT.map((name) => `examples/next/${name}`),
    ];
    expect(new Set(blocks)).toEqual(new Set(files.map(read)));
    expect(blocks).toHaveLength(files.length);
  });

  it.each(Object.entries(RUN))("has an example of %s that gives what it says", async (name, output) => {
    const file = new URL(`examples/integrations/${name}.ts`, root).pathname;
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", file], { cwd: root });
    expect(stdout).toBe(output);
  });

  it("has the defaults that are resolved", () => {
    const page = read("docs/integrations.md");
    const section = (title: string): string => page.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
    for (const [title, defaults] of [
      ["unstorage", UNSTORAGE_DEFAULTS],
      ["Next.js", NEXT_DEFAULTS],
    ] as const) {
      for (const [name, value] of Object.entries(defaults)) {
        const row = new RegExp(`^\\| \`${name}\` \\|.*\\| \`(.*)\` \\|$`, "m").exec(section(title));
        expect([name, row?.[1]]).toEqual([name, JSON.stringify(value)]);
      }
    }
  });
});
