import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProcess, type CliResult } from "./run-cli.js";
import { runHere } from "./run-here.js";

/* What is printed is compared with the files in golden/; a change that is meant is taken over with `vitest -u`.
   The production tier is not among them: its policy may get better. */

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-cli-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function runCli(...argv: readonly string[]): Promise<CliResult> {
  return runHere(argv);
}

const GOLDEN: readonly { readonly name: string; readonly argv: string; readonly code?: number }[] = [
  {
    name: "simulate",
    argv: "simulate web.txt --size 20,200,10% --policy fifo,lru,lfu,2q,arc,sieve,s3fifo,wtinylfu,opt",
  },
  { name: "simulate-bytes", argv: "simulate service.csv --size 64kb,256kb --policy lru,s3fifo,opt" },
  { name: "simulate-ttl", argv: "simulate cluster.csv --size 50 --policy lru,opt --ttl 10s" },
  { name: "simulate-runs", argv: "simulate blocks.lis --size 20,40 --policy lru,arc,opt" },
  { name: "simulate-sample", argv: "simulate web.txt.gz --size 10% --policy lru,arc --sample 1/4" },
  { name: "simulate-json", argv: "simulate service.csv --size 50,64kb --policy lru,opt --json" },
  { name: "simulate-curve", argv: "simulate web.txt --size 100 --policy lru --curve --json" },
  { name: "fleet", argv: "simulate service.csv --size 50 --policy lru --processes 3 --balance sticky --l2 200" },
  { name: "fleets", argv: "simulate web.txt --size 50,200 --policy lru,arc --processes 8 --balance hash" },
  { name: "fleet-json", argv: "simulate web.txt --size 100 --policy lru --processes 2 --l2 25% --json" },
  { name: "plan", argv: "plan web.txt --policy lru --processes 4 --entry-size 2kb --target-hit-ratio 60%" },
  {
    name: "plan-p99",
    argv: "plan service.csv --policy lru --target-p99 60ms --target-mean 11ms --source-latency 20ms/50ms",
  },
  {
    name: "plan-json",
    argv: "plan web.txt --policy lru --l1 none,5% --l2 none,50% --rate 500 --source-price 0.2 --json",
  },
  { name: "plan-impossible", argv: "plan web.txt --policy lru --l1 1%,5% --l2 10% --target-p99 1ms", code: 6 },
];

describe("the command line prints", () => {
  it.each(GOLDEN)("$argv", async ({ name, argv, code = 0 }) => {
    const result = await runCli(...argv.split(" "));

    expect(result.stderr).toBe("");
    expect(result.code).toBe(code);
    if (argv.includes("--json")) expect(JSON.parse(result.stdout)).toMatchObject({ schemaVersion: 1 });
    await expect(result.stdout).toMatchFileSnapshot(`golden/${name}.golden`);
  });
});

describe("tiercache simulate", () => {
  it("runs the production tier by default, between nothing and the optimum", async () => {
    const { stdout } = await runCli("simulate", "web.txt", "--json");
    const { results } = JSON.parse(stdout) as { results: { policy: string; size: string; hitRatio: number }[] };
    const ratio = (policy: string, size: string): number =>
      results.find((result) => result.policy === policy && result.size === size)?.hitRatio ?? Number.NaN;

    for (const size of ["1%", "5%", "10%", "25%"]) {
      expect(ratio("tiercache", size)).toBeGreaterThan(0.8 * ratio("lru", size));
      expect(ratio("tiercache", size)).toBeLessThan(ratio("opt", size));
    }
  });

  it("draws the curves into a file", async () => {
    const file = join(folder, "curves.svg");
    const argv = ["simulate", "web.txt", "--size", "10,50,250,1000", "--policy", "lru,arc,opt", "--svg", file];
    const { code, stdout } = await runCli(...argv);

    expect(code).toBe(0);
    expect(stdout).toContain("1,000");
    await expect(await readFile(file, "utf8")).toMatchFileSnapshot("golden/curves.svg");
  });

  it("warns of lines that it skips, and does not go on when told to be strict", async () => {
    const file = join(folder, "bad.csv");
    await writeFile(file, "key,size\na,1\nb,much\na,1\n");
    const argv = ["simulate", file, "--size", "1", "--policy", "lru"];
    const lenient = await runCli(...argv);
    const quiet = await runCli(...argv, "--quiet");
    const strict = await runCli(...argv, "--strict");

    expect(lenient.code).toBe(0);
    expect(lenient.stderr).toBe(
      'warning: 1 of 4 lines cannot be read and were skipped\n  line 3: expected a size of 0 or more, found "much"\n',
    );
    expect(quiet).toMatchObject({ code: 0, stderr: "", stdout: lenient.stdout });
    expect(strict).toMatchObject({ code: 1, stdout: "" });
    expect(strict.stderr).toContain("line 3: expected a size");
  });

  it("leaves no picture when the trace cannot be read", async () => {
    const file = join(folder, "never.svg");
    expect((await runCli("simulate", "nowhere.txt", "--svg", file)).code).toBe(3);
    expect(existsSync(file)).toBe(false);
  });
});

describe("the program", () => {
  it("ends with the code of its command, and says what went wrong on standard error alone", async () => {
    expect(await runProcess(["plan", "nowhere.txt", "--target-p99", "1s"])).toEqual({
      code: 3,
      stdout: "",
      stderr: "error: There is no file nowhere.txt\n",
    });
  });
});
