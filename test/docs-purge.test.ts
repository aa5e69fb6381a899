import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { UNDICI_DEFAULTS } from "../src/adapters/undici.js";
import { QUEUE_DEFAULTS } from "../src/http/purge/queue-options.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

const pages = [
  { name: "purge", says: ["PURGE ~acme:contact:7", "varnish [ { tag: '~acme:contact:7' } ] []"] },
  { name: "headers", says: ['200 "1" public, max-age=60, stale-while-revalidate=300\n304\n428\n204\n412\n'] },
  { name: "undici", says: ["answer 1\nanswer 1\nanswer 2\n"] },
];

for (const { name, says } of pages) {
  describe(`docs/${name}.md`, () => {
    it("shows its example as it is run", () => {
      expect(/```ts\n([\s\S]*?)```/.exec(read(`docs/${name}.md`))?.[1]).toBe(read(`examples/${name}/main.ts`));
    });

    it("has an example that gives what it says", () => {
      const output = execFileSync(process.execPath, ["--import", "tsx", `examples/${name}/main.ts`], {
        cwd: root,
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1" },
      });
      for (const text of says) expect(output).toContain(text);
    });
  });
}

describe("the defaults in the pages", () => {
  const tables = [
    { page: "purge", source: "src/http/purge/queue-options.ts", defaults: QUEUE_DEFAULTS },
    { page: "undici", source: "src/adapters/undici.ts", defaults: UNDICI_DEFAULTS },
  ];
  for (const { page, source, defaults } of tables) {
    it(`are those that are resolved, and those of the options' documentation (${page})`, () => {
      for (const [name, value] of Object.entries(defaults)) {
        const row = new RegExp(`^\\| \`${name}\` \\|.*\\| \`(.*)\` \\|$`, "m").exec(read(`docs/${page}.md`));
        expect([name, row?.[1]]).toEqual([name, JSON.stringify(value)]);
        const tag = new RegExp(`@default (\\S+) \\*/\\n  ${name}\\?`).exec(read(source));
        expect([name, tag?.[1]]).toEqual([name, JSON.stringify(value)]);
      }
    });
  }
});
