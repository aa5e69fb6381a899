import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { HTTP_DEFAULTS } from "../src/http/options.js";

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");

describe("docs/http.md", () => {
  it("has the defaults that are resolved, as the options' own documentation has", () => {
    const page = read("docs/http.md");
    const source = read("src/http/options.ts");
    for (const [name, value] of Object.entries(HTTP_DEFAULTS)) {
      const row = new RegExp(`^\\| \`${name}\` \\|.*\\| \`(.*)\` \\|$`, "m").exec(page);
      expect([name, row?.[1]]).toEqual([name, JSON.stringify(value)]);
      const tag = new RegExp(`@default (\\S+) \\*/\\n  ${name}\\?`).exec(source);
      expect([name, tag?.[1]]).toEqual([name, JSON.stringify(value)]);
    }
  });

  it("names files that there are", () => {
    for (const [, file] of read("docs/http.md").matchAll(/`([\w-]+\.ts)`/g)) {
      expect(read(`src/http/${file}`)).not.toBe("");
    }
  });
});
