import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

const packageOf = (name: string): string => dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));

/**
 * The application in a folder of its own, with this package compiled into its node_modules as an installation would put it there. It
 * lies in this repository: Turbopack reads nothing outside the folder with the lock file, and so finds the rest here.
 */
export async function makeAppFolder(): Promise<string> {
  await mkdir(join(root, ".tmp"), { recursive: true });
  const folder = await mkdtemp(join(root, ".tmp", "next-"));
  for (const name of ["app", "cache.mjs", "cache-handler.mjs", "use-cache-handler.mjs", "next.config.mjs"]) {
    await cp(join(here, name), join(folder, name), { recursive: true });
  }
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "example", private: true, type: "module" }));
  const modules = join(folder, "node_modules");
  const own = join(modules, "tiercache");
  await mkdir(own, { recursive: true });
  const exports = {
    ".": "./index.js",
    "./http": "./http/index.js",
    "./redis": "./redis/index.js",
    "./next": "./adapters/next.js",
  };
  await writeFile(join(own, "package.json"), JSON.stringify({ name: "tiercache", type: "module", exports }));
  const tsc = join(packageOf("typescript"), "bin", "tsc");
  const options = ["-p", join(root, "tsconfig.build.json"), "--noCheck", "--outDir", own];
  await run(process.execPath, [tsc, ...options]);
  return folder;
}

/** What Next.js is started with: it fetches nothing and tells nobody. */
export const NEXT_ENVIRONMENT = { NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" } as const;

/** The program of Next.js. */
export const nextProgram = (): string => join(packageOf("next"), "dist", "bin", "next");
