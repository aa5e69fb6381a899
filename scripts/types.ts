import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/*
 * Types of all there is, by the compiler of our own (others are installed beside it). The page of the dashboard knows a browser; so do
 * the types of some frameworks, which their tests are checked with apart: what runs in Node must not see them.
 */
const PROJECTS = ["tsconfig.json", "tsconfig.dom.json", "dashboard"];

const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const failed = PROJECTS.filter(
  (project) => spawnSync(process.execPath, [compiler, "-p", project], { stdio: "inherit" }).status !== 0,
);
if (failed.length > 0) {
  console.error(`types: ${failed.join(", ")} failed`);
  process.exitCode = 1;
}
