import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WRITE_BEHIND_DEFAULTS } from "./behind-options.js";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

describe("the defaults of write-behind", () => {
  const docs = read("../../docs/write-behind.md");
  const source = read("./behind-options.ts");

  it.each(Object.entries(WRITE_BEHIND_DEFAULTS))("are what is said of them: %s", (name, value) => {
    const shown = JSON.stringify(value);
    expect(docs).toMatch(new RegExp(`\\| \`${name}\` +\\| \`?${shown}\`? +\\|`));
    expect(source).toMatch(new RegExp(`@default ${shown}[^@]*?\\s${name}\\?:`));
  });
});
