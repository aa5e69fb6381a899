#!/usr/bin/env node
import { runCli } from "./program.js";
import { createTerminal } from "./terminal.js";

const { stdout, stderr } = process;
// Whoever reads the output may have seen enough of it (`| head`).
for (const stream of [stdout, stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });

const code = await runCli(process.argv.slice(2), createTerminal(stdout, stderr, process.env));
// A client or a server that a module of the user's has left open keeps no command that has ended; what it has printed goes out first.
await Promise.all([stdout, stderr].map((stream) => new Promise((resolve) => stream.write("", resolve))));
process.exit(code);
