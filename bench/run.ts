import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { reportOf, textOf, type CaseResult } from "./report.js";

/*
 * npm run bench -- <suite> [--json] [--quick] [--only case,case] [--prof folder]
 *
 * Compiles the bench and what it measures with the package's own compiler and runs that in a plain Node: a loader that
 * compiles on the fly wraps every function it meets, and rivals come compiled. Each case has a process of its own, in
 * which all its contenders take turns: what one case has taught the engine would slow the next.
 */

const USAGE = "usage: npm run bench -- <suite> [--json] [--quick] [--only case,case] [--prof folder]";

/** What is run in a process of its own; the rest is imported by it. */
const SCRIPTS = [
  "main.ts",
  "shared/lmdb-neighbour.ts",
  "database/wrong-writer.ts",
  "memory/bytes-child.ts",
  "memory/sizing-child.ts",
  "http/child.ts",
];

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      prof: { type: "string" },
    },
  });
  const suite = positionals[0] ?? "";
  const temporary = join(root, ".tmp");
  await mkdir(temporary, { recursive: true });
  const folder = await mkdtemp(join(temporary, "bench-"));
  try {
    await compile(folder);
    const script = join(folder, "bench/main.js");
    const listed = await run([script, suite, "--list"]);
    if (listed.code !== 0) return usage(listed.code);
    const names = JSON.parse(listed.output) as string[];
    const profiler = values.prof === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", values.prof];
    const results: CaseResult[] = [];
    for (const name of values.only?.split(",") ?? names) {
      const { code, output } = await run([
        "--expose-gc",
        ...profiler,
        script,
        suite,
        "--case",
        name,
        ...(values.quick ? ["--quick"] : []),
      ]);
      if (code !== 0) return usage(code);
      results.push(...(JSON.parse(output) as CaseResult[]));
    }
    const report = reportOf(suite, values.quick, results);
    console.log(values.json ? JSON.stringify(report, undefined, 2) : textOf(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function usage(code: number): number {
  if (code !== 130) console.error(USAGE);
  return code;
}

async function compile(folder: string): Promise<void> {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const compilerOptions = {
    noEmit: false,
    noCheck: true,
    declaration: false,
    isolatedDeclarations: false,
    rootDir: root,
    outDir: folder,
  };
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions,
    files: SCRIPTS.map((script) => join(root, "bench", script)),
    include: [],
  };
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "dir");
  await promisify(execFile)(process.execPath, [tsc, "-p", join(folder, "tsconfig.json"), "--pretty", "false"]);
}

/** Runs a script of the compiled bench; its errors and progress go to ours. */
function run(args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  // The child ends its servers and then itself; this process only waits for that and clears up.
  const signals = ["SIGINT", "SIGTERM"] as const;
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      for (const signal of signals) process.off(signal, forward);
      resolve({ code: code ?? 1, output: chunks.join("") });
    });
  });
}
