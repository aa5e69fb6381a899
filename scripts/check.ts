import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One thing that must hold before a change is handed in: a script of package.json. */
interface Step {
  readonly name: string;
  readonly script: string;
  /** Looks at `dist`, and says nothing of worth about a stale one. */
  readonly needsBuild?: true;
}

const STEPS: readonly Step[] = [
  { name: "format", script: "format:check" },
  { name: "lint", script: "lint" },
  { name: "types", script: "types" },
  { name: "build", script: "build" },
  { name: "publint", script: "publint", needsBuild: true },
  { name: "attw", script: "attw", needsBuild: true },
  { name: "knip", script: "knip" },
  { name: "size", script: "size", needsBuild: true },
];

const STEP_LIMIT_MS = 180_000;

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const failed: string[] = [];

for (const step of STEPS) {
  if (step.needsBuild === true && failed.includes("build")) {
    failed.push(step.name);
    console.log(`${step.name.padEnd(8)} failed   not run: there is no build`);
    continue;
  }
  const started = performance.now();
  const { code, output } = await runStep(step.script);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${step.name.padEnd(8)} ${code === 0 ? "ok    " : "failed"}   ${seconds} s`);
  if (code !== 0) {
    failed.push(step.name);
    console.log(`\n$ npm run ${step.script}\n${output.trim()}\n`);
  }
}

console.log(failed.length === 0 ? `check: ${STEPS.length} steps ok` : `check: ${failed.join(", ")} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function runStep(script: string): Promise<{ code: number; output: string }> {
  const child = spawn("npm", ["run", "--silent", script], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: STEP_LIMIT_MS,
    env: { ...process.env, NO_COLOR: "1" },
  });
  const chunks: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: 1, output: String(error) }));
    child.once("close", (code, signal) => {
      const end = signal === null ? "" : `\nended by ${signal} (a step may take ${STEP_LIMIT_MS / 1000} s)`;
      resolve({ code: code ?? 1, output: chunks.join("") + end });
    });
  });
}
