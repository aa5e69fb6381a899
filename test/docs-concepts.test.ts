import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import { beforeAll, describe, expect, it } from "vitest";

import { LMDB_DEFAULTS } from "../src/lmdb/index.js";
import { presets } from "../src/presets.js";

const root = new URL("../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const PAGES = ["loading", "time", "invalidation", "entities", "tiers", "seeing"] as const;

/** The public fields of an interface of the sources, each with what its `@default` says. */
function fieldsOf(file: string, name: string): ReadonlyMap<string, string | undefined> {
  const body = new RegExp(`export interface ${name}\\b[^{]*\\{\\n([^]*?)\\n\\}`).exec(read(file))?.[1] ?? "";
  const members = body.matchAll(/^ {2}(?:\/\*\*((?:(?!\*\/)[^])*)\*\/\s+)?(?:readonly )?(\w+)\??:/gm);
  return new Map(
    [...members]
      .filter(([, comment = ""]) => !comment.includes("@internal"))
      .map(([, comment = "", field = ""]) => [field, /@default ((?:(?!\*\/|\n)[^])*)/.exec(comment)?.[1]]),
  );
}

const plain = (text: string): string => text.replaceAll("`", "").trim();

/** The last cell of each row of a section's tables, by the names in its first. */
function rowsOf([page, section]: readonly [page: string, section: string]): Map<string, string> {
  const text = read(`docs/${page}.md`).split(`\n## ${section}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = text.matchAll(/^\| (`\w+`(?:, `\w+`)*) +\| .* \| (.*?) *\|$/gm);
  return new Map(
    [...rows].flatMap(([, names = "", last = ""]) =>
      names.split(", ").map((name) => [plain(name), plain(last)] as const),
    ),
  );
}

describe("the pages of concepts", () => {
  let outputs: readonly string[];
  beforeAll(async () => {
    // One process for all of them: most of its time is its start.
    const programs = PAGES.map((name) => new URL(`examples/concepts/${name}.ts`, root).href);
    const script = `for (const program of ${JSON.stringify(programs)}) { await import(program); console.log("---"); }`;
    const options = { cwd: root, timeout: 50_000 };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "--eval", script],
      options,
    );
    outputs = stdout.split("---\n");
  }, 60_000);

  it.each(PAGES)("docs/%s.md shows its example as it is run, and what it prints", (name) => {
    const [example, printed] = [...read(`docs/${name}.md`).matchAll(/```(?:ts|text)\n([^]*?)```/g)].map(
      ([, code]) => code,
    );
    expect(example).toBe(read(`examples/concepts/${name}.ts`));
    expect(printed).toBe(outputs[PAGES.indexOf(name)]);
  });

  it.each([
    [
      "src/options.ts",
      "EntryPolicy",
      [
        ["time", "Options"],
        ["loading", "Options"],
        ["invalidation", "Options"],
      ],
    ],
    ["src/options.ts", "CacheOptions", [["tiers", "Options"]]],
    ["src/options.ts", "SharedOptions", [["tiers", "How the shared tier is reached"]]],
    ["src/options.ts", "MemoryOptions", [["tiers", "Memory"]]],
    ["src/redis/redis.ts", "RedisOptions", [["tiers", "Redis"]]],
    ["src/options.ts", "HotKeyOptions", [["hot-keys", "Options"]]],
    ["src/options.ts", "CompressionOptions", [["values", "Options"]]],
    ["src/options.ts", "EncryptionOptions", [["values", "Options"]]],
    ["src/feed/staleness-monitor.ts", "StalenessOptions", [["staleness", "Options"]]],
    ["src/postgres/feed.ts", "PostgresFeedOptions", [["postgres-feed", "Options"]]],
    ["src/postgres/views/view-definition.ts", "ViewDefinition", [["views", "Options"]]],
    ["src/api.ts", "LoadOptions", [["loading", "Options"]]],
    ["src/api.ts", "SetOptions", [["loading", "Options"]]],
    ["src/api.ts", "EntityDefinition", [["entities", "Options"]]],
    ["src/api.ts", "InvalidateOptions", [["invalidation", "Options"]]],
  ] as const)("have each option of %s: %s, with its default", (file, name, sections) => {
    const rows = new Map(sections.flatMap((section) => [...rowsOf(section)]));
    const fields = fieldsOf(file, name);
    expect(fields.size).toBeGreaterThan(0);
    for (const [field, preset] of fields) {
      expect([field, rows.has(field)]).toEqual([field, true]);
      if (preset !== undefined) expect([field, rows.get(field)]).toEqual([field, plain(preset)]);
    }
  });

  it("have each option of the file of a machine, with its default", () => {
    const rows = rowsOf(["tiers", "A file of the machine"]);
    for (const [field, preset] of Object.entries(LMDB_DEFAULTS))
      expect([field, rows.get(field)]).toEqual([field, plain(JSON.stringify(preset))]);
  });

  it("have every preset with its time", () => {
    const rows = [...read("docs/time.md").matchAll(/^\| `(\w+)` +\| `(\w+)` +\|/gm)].map(([, name, ttl]) => [
      name,
      { ttl },
    ]);
    expect(Object.fromEntries(rows)).toEqual(presets);
  });
});
