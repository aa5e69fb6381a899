import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PolicyName } from "./policies/names.js";
import { simulate } from "./simulate.js";
import { toCacheSize } from "./sizes.js";

/* Against figures of others, on traces too large to be kept here: TIERCACHE_TRACES names a folder with the traces and a
   table of hit ratios in reference-hit-ratios.md (columns: trace, cap, and policies). */

const folder = process.env["TIERCACHE_TRACES"];
/** Traces with more requests take minutes. */
const most = Number(process.env["TIERCACHE_TRACES_MOST"] ?? "1500000");
const LIMIT = 1_800_000;

/** The table's columns, and how far in points a policy may be from it. S3-FIFO has variants, and W-TinyLFU a sketch. */
const COLUMNS: Readonly<Record<string, { readonly policy: PolicyName; readonly within: number }>> = {
  FIFO: { policy: "fifo", within: 0.011 },
  LRU: { policy: "lru", within: 0.011 },
  SIEVE: { policy: "sieve", within: 0.011 },
  ARC: { policy: "arc", within: 0.011 },
  OPT: { policy: "opt", within: 0.011 },
  "S3-FIFO": { policy: "s3fifo", within: 2 },
};

interface Row {
  readonly trace: string;
  readonly entries: number;
  readonly ratios: ReadonlyMap<PolicyName, number>;
}

const rows = folder === undefined ? [] : readTable(join(folder, "reference-hit-ratios.md"));
const traces = [...new Set(rows.map(({ trace }) => trace))];

describe("hit ratios of published traces", () => {
  it("are those of the reference", (context) => {
    if (folder === undefined) context.skip("no traces here: TIERCACHE_TRACES names their folder");
    expect(traces.length).toBeGreaterThan(0);
  });

  it.each(traces)("are those of the reference on %s", { timeout: LIMIT }, async (trace) => {
    const own = rows.filter((row) => row.trace === trace);
    const path = [`${trace}.txt.gz`, `${trace}.lis.gz`].map((name) => join(folder as string, name)).find(existsSync);
    expect(path).toBeDefined();
    if (requestsOf(trace) > most) return;

    const policies = Object.values(COLUMNS).map(({ policy }) => policy);
    const sizes = own.map(({ entries }) => toCacheSize(String(entries), "size"));
    const { points } = await simulate({ trace: { path: path as string }, sizes, policies });

    const off: string[] = [];
    for (const { policy, within } of Object.values(COLUMNS)) {
      for (const { entries, ratios } of own) {
        const point = points.find((one) => one.policy === policy && one.capacity.amount === entries);
        const found = 100 * (point?.hitRatio ?? Number.NaN);
        const wanted = ratios.get(policy) as number;
        if (!(Math.abs(found - wanted) <= within)) off.push(`${policy}@${entries}: ${found.toFixed(2)} for ${wanted}`);
      }
    }
    expect(off).toEqual([]);
  });
});

function readTable(path: string): readonly Row[] {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.replaceAll("*", "").trim()));
  const header = lines[0] ?? [];
  return lines.slice(2).map((cells) => ({
    trace: cells[1] as string,
    entries: Number.parseInt(cells[2] as string, 10),
    ratios: new Map(
      Object.entries(COLUMNS).map(([title, { policy }]): [PolicyName, number] => [
        policy,
        Number(cells[header.indexOf(title)]),
      ]),
    ),
  }));
}

function requestsOf(trace: string): number {
  const manifest = JSON.parse(readFileSync(join(folder as string, "manifest.json"), "utf8")) as readonly {
    name: string;
    requests: number;
  }[];
  return manifest.find(({ name }) => name === trace)?.requests ?? Number.POSITIVE_INFINITY;
}
