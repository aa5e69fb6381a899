import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runHere } from "./cli/run-here.js";

const page = readFileSync(new URL("../docs/simulate.md", import.meta.url), "utf8");

/** Commands with what they print. */
const examples = [...page.matchAll(/```console\n\$ tiercache (.*)\n([\s\S]*?)```/g)].map(
  ([, command = "", output = ""]) => ({ command, output }),
);

describe("docs/simulate.md", () => {
  it("has examples", () => {
    expect(examples.length).toBeGreaterThanOrEqual(4);
  });

  it.each(examples)("shows what is printed by: tiercache $command", async ({ command, output }) => {
    const { code, stdout, stderr } = await runHere(command.split(" "));

    expect(withoutOwnFigures(stdout)).toBe(withoutOwnFigures(output));
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });
});

/** The production tier's policy may get better without a change of the page. */
function withoutOwnFigures(text: string): string {
  return text.replaceAll(/^tiercache .*$/gm, (line) => line.replaceAll(/\d/g, "#"));
}
