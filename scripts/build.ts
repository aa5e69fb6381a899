import { execFile } from "node:child_process";
import { chmod, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildDashboard } from "./build-dashboard.js";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * Compiles `src` into `outDir`, which is emptied first so that nothing of a deleted source stays in the package. The
 * program among them may be executed. The dashboard's page is built beside what serves it.
 *
 * @throws Error with the compiler's output when it reports anything.
 */
export async function build(outDir: string): Promise<void> {
  await rm(outDir, { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  try {
    await run(process.execPath, [
      tsc,
      "-p",
      join(root, "tsconfig.build.json"),
      "--outDir",
      outDir,
      "--pretty",
      "false",
    ]);
  } catch (cause) {
    const { stdout, stderr } = cause as { stdout?: string; stderr?: string };
    throw new Error(`The compiler refused the sources:\n${stdout ?? ""}${stderr ?? ""}`, { cause });
  }
  await chmod(join(outDir, "cli", "main.js"), 0o755);
  await buildDashboard(join(outDir, "admin", "assets"));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await build(join(root, "dist"));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
