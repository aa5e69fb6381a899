import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const root = new URL("../../", import.meta.url);
const program = fileURLToPath(new URL("src/cli/main.ts", root));
const tsx = import.meta.resolve("tsx");

/**
 * Runs the command line as a process of its own: for what only that shows, such as signals and pipes.
 *
 * @param onOutput told of what was said so far, after each part of it
 */
export async function runProcess(
  argv: readonly string[],
  onOutput?: (output: Omit<CliResult, "code">, child: ChildProcess) => void,
  { isRead = true }: { readonly isRead?: boolean } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, ["--import", tsx, program, ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: undefined },
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      onOutput?.(output, child);
    });
  if (!isRead) child.stdout.destroy();
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, ...output };
}
