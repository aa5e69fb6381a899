import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const root = new URL("../../", import.meta.url);
const traces = fileURLToPath(new URL("test/fixtures/traces/", root));
const program = fileURLToPath(new URL("src/cli/main.ts", root));
const tsx = import.meta.resolve("tsx");

/** Runs the command line as a process of its own, in the folder of the traces. */
export async function runCli(...argv: readonly string[]): Promise<CliResult> {
  const child = spawn(process.execPath, ["--import", tsx, program, ...argv], {
    cwd: traces,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: undefined },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, ...output };
}
