import { runCli } from "../../src/cli/program.js";
import { createTerminal } from "../../src/cli/terminal.js";
import type { CliResult } from "./run-cli.js";

/** Runs the command line in this process, which takes a tenth of the time of one of its own. */
export async function runHere(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const result = { stdout: "", stderr: "" };
  const out = { write: (text: string) => (result.stdout += text) };
  const error = { write: (text: string) => (result.stderr += text) };
  const before = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]));
  Object.assign(process.env, environment);
  try {
    return { code: await runCli(argv, createTerminal(out, error, {})), ...result };
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
