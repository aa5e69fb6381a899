import { fileURLToPath } from "node:url";

import { runCli } from "../../src/cli/program.js";
import { createTerminal } from "../../src/cli/terminal.js";
import type { CliResult } from "./run-cli.js";

const traces = fileURLToPath(new URL("../fixtures/traces/", import.meta.url));

/**
 * Runs the command line in this process, which takes a tenth of the time of one of its own. A trace that is named without a folder is
 * one of the fixtures.
 */
export async function runHere(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const result = { stdout: "", stderr: "" };
  const out = { write: (text: string) => (result.stdout += text) };
  const error = { write: (text: string) => (result.stderr += text) };
  const words = argv.map((word) =>
    word.replace(/^(?:web|service|cluster|blocks)\.\w+(?:\.gz)?$/, (name) => traces + name),
  );
  const before = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]));
  Object.assign(process.env, environment);
  try {
    return { code: await runCli(words, createTerminal(out, error, {})), ...result };
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
