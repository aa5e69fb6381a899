#!/usr/bin/env node
import { runCli } from "./program.js";
import { createTerminal } from "./terminal.js";

// Whoever reads the output may have seen enough of it (`| head`).
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2), createTerminal(process.stdout, process.stderr, process.env));
