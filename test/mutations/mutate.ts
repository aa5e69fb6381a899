import { spawn } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Mutant } from "./mutants.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** What the simulation consists of, and what it takes to run it. */
const COPIED = ["src", "test/simulation", "package.json", "tsconfig.json"];

/** What came of a simulation in a copy of the product. */
export interface Outcome {
  /** What was broken first; `undefined` when every schedule kept every promise. */
  readonly broken: string | undefined;
  /** All that was printed. */
  readonly output: string;
}

/** How often the text to be replaced occurs in the live file. */
export async function occurrences({ file, find }: Mutant): Promise<number> {
  return (await readFile(join(ROOT, file), "utf8")).split(find).length - 1;
}

/**
 * Plays schedules of a weather in a copy of the product, changed by the mutant if there is one.
 *
 * @throws when the simulation neither ends well nor with a broken promise.
 */
export async function playCopy(weather: string, schedules: number, mutant?: Mutant): Promise<Outcome> {
  const copy = await mkdtemp(join(tmpdir(), "tiercache-mutant-"));
  try {
    await mkdir(join(copy, "test"));
    for (const part of COPIED) await cp(join(ROOT, part), join(copy, part), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"), "junction");
    if (mutant !== undefined) await apply(copy, mutant);
    return await play(copy, weather, schedules);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function apply(copy: string, { file, find, replace }: Mutant): Promise<void> {
  const path = join(copy, file);
  const text = await readFile(path, "utf8");
  // A function, so that nothing in the replacement is taken for a reference to the match.
  await writeFile(
    path,
    text.replace(find, () => replace),
  );
}

function play(copy: string, weather: string, schedules: number): Promise<Outcome> {
  const main = join("test", "simulation", "main.ts");
  const args = ["--import", "tsx", main, "--weather", weather, "--schedules", String(schedules)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: copy, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const note = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    child.on("error", reject);
    child.on("close", (code) => {
      const broken = /^seed \d+, weather [a-z]+: .*$/m.exec(output)?.[0];
      if (code === 0 && broken === undefined) resolve({ broken, output });
      else if (code === 1 && broken !== undefined) resolve({ broken, output });
      else reject(new Error(`The simulation ended with ${code}:\n${output}`));
    });
  });
}
