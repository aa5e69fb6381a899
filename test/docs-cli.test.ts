import { readFile } from "node:fs/promises";

import { describe, expect, it } from "vitest";

import { EXIT } from "../src/cli/exit-codes.js";
import { runHere } from "./cli/run-here.js";

const page = new URL("../docs/cli.md", import.meta.url);
const START = "## Commands\n";

async function commands(): Promise<readonly string[]> {
  const { stdout } = await runHere(["--help"]);
  const list = stdout.slice(stdout.indexOf("Commands:"));
  return [...list.matchAll(/^ {2}([a-z]+)(?= )/gm)].flatMap(([, name = ""]) => (name === "help" ? [] : [name]));
}

describe("docs/cli.md", () => {
  it("has the help of every command as the program prints it", async () => {
    const sections: string[] = [];
    for (const name of await commands()) {
      const { code, stdout } = await runHere([name, "--help"]);
      expect([name, code]).toEqual([name, 0]);
      const help = stdout.trimEnd().replaceAll(/[ \t]+$/gm, "");
      expect(help).toContain("Examples:");
      expect(help).toContain(`$ tiercache ${name}`.slice(2));
      sections.push(`### tiercache ${name}\n\n\`\`\`text\n${help}\n\`\`\`\n`);
    }
    const text = await readFile(page, "utf8");
    const before = text.slice(0, text.indexOf(START) + START.length);
    // What is meant is taken over with `vitest -u`.
    await expect(`${before}\n${sections.join("\n")}`).toMatchFileSnapshot(page.pathname);
  });

  it("lists every exit code", async () => {
    const rows = [...(await readFile(page, "utf8")).matchAll(/^\| (\d+) +\|/gm)].map(([, code]) => Number(code));
    expect(rows).toEqual(Object.values(EXIT));
  });
});
