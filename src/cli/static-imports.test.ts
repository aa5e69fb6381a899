import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const source = fileURLToPath(new URL("../", import.meta.url));

/** The modules that are loaded with one: its imports of values, theirs, and so on; not those of `import()`. */
function loadedWith(start: string): readonly string[] {
  const all = new Set([join(source, start)]);
  // A set visits what is added to it on the way.
  for (const file of all)
    for (const [, name = ""] of readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\s(?!type\b)(?:[^;"']*\sfrom\s)?["'](\.[^"']+)["']/gm,
    ))
      all.add(join(dirname(file), name.replace(/\.js$/, ".ts")));
  return [...all].map((file) => relative(source, file));
}

describe("the program", () => {
  it("loads no cache, gateway or simulation to print help: each command brings its own when it runs", () => {
    const loaded = loadedWith("cli/main.ts");
    expect(loaded).toContain("cli/commands/gateway.ts");
    expect(loaded.filter((file) => file.startsWith("cli/actions/"))).toEqual([]);
    expect(loaded.filter((file) => !file.startsWith("cli/")).toSorted()).toEqual([
      "duration.ts",
      "errors.ts",
      "simulate/balance.ts",
      "simulate/latency.ts",
      "simulate/mix.ts",
      "simulate/policies/names.ts",
      "simulate/sizes.ts",
      "simulate/trace/csv.ts",
      "simulate/trace/formats.ts",
      "simulate/trace/request-batch.ts",
      "simulate/trace/trace-error.ts",
      "tiers/memory/limits.ts",
    ]);
  });

  it("is followed as it is loaded", () => {
    expect(loadedWith("cli/actions/stats.ts")).toEqual(expect.arrayContaining(["cli/reach.ts", "redis/redis.ts"]));
  });
});
