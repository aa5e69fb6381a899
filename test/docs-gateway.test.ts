import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

import { SENSITIVE_QUERY, GATEWAY_DEFAULTS } from "../src/gateway/resolve-config.js";
import { loadConfig } from "../src/gateway/load-config.js";

const run = promisify(execFile);
const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const page = read("docs/gateway.md");

const blocks = (language: string): string[] =>
  Array.from(page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms")), ([, text = ""]) => text);

describe("docs/gateway.md", () => {
  it("shows its example as it is run, and what it gives", async () => {
    expect(blocks("ts")[0]).toBe(read("examples/gateway/main.ts"));
    const program = new URL("examples/gateway/main.ts", root).pathname;
    const { stdout } = await run(process.execPath, ["--import", "tsx", program], {
      timeout: 25_000,
      cwd: root.pathname,
    });
    expect(blocks("text")[0]).toBe(stdout);
  });

  it("shows a configuration that holds, and so does the one in TypeScript", async () => {
    expect(blocks("json")[0]).toBe(read("examples/gateway/gateway.json"));
    await loadConfig(new URL("examples/gateway/gateway.json", root).pathname);
    const config = await loadConfig(new URL("examples/gateway/gateway.config.ts", root).pathname);
    expect(config.routes?.map(({ path }) => path)).toEqual(["/assets", "/fonts"]);
  });

  it.each(["origin", "limits", "cache"] as const)(
    "has the defaults of `%s` that are resolved, as the options' own documentation has",
    (part) => {
      const source = read("src/gateway/config.ts");
      const table = page.slice(page.search(new RegExp(`^\\| of (an |\`)${part}`, "m")));
      for (const [name, value] of Object.entries(GATEWAY_DEFAULTS[part])) {
        const text = JSON.stringify(value);
        const row = new RegExp(`^\\| \`${name}\` \\|.*\\| \`(.*)\` \\|$`, "m").exec(table)?.[1];
        const isElsewhere = ["folderBytes", "host", "storeSetCookie"].includes(name);
        if (!isElsewhere) expect([name, row]).toEqual([name, text]);
        const tags = Array.from(
          source.matchAll(new RegExp(`@default (\\S+)[^\\n]*\\n  ${name}\\?`, "g")),
          ([, tag]) => tag,
        );
        expect([name, tags]).toEqual([name, expect.arrayContaining([text])]);
      }
    },
  );

  it("names secrets that are known", () => {
    const [, named = ""] = /a secret in its query \((.*?) …/.exec(page) ?? [];
    for (const [, name = ""] of named.matchAll(/`(\w+)`/g)) expect(SENSITIVE_QUERY).toContain(name);
    expect(named).not.toBe("");
  });
});
