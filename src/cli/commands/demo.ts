import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count, duration, withDefault } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface DemoFlags {
  readonly for: number;
  readonly processes: number;
  readonly json?: true;
}

const EXAMPLES = `
Two services in this one process, each with its memory, one shared tier between them, and a database that takes 20 ms and is away for
a fifth of the time. Rows are read, changed and invalidated; each answer is compared with what every service had been told by then.
Nothing is installed, and nothing is left behind.

Examples:
  $ tiercache demo
  $ tiercache demo --for 1m --processes 4
  $ tiercache demo --json

The big one, with a real Redis, PostgreSQL, four processes and faults: npm run demo, in a copy of the repository.
Exit: 0, 6 when an answer was outdated, 130 Ctrl-C.`;

/** `tiercache demo`: what a cache does, in a few seconds. */
export function addDemo(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("demo")
    .description("a demonstration in this process: reads, writes, a source that goes away")
    .addOption(withDefault("--for <duration>", "how long", duration, "10s"))
    .option("--processes <number>", "services that share the cache", count, 2)
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: DemoFlags) => {
      const { demo } = await import("../actions/demo.js");
      end(await demo(flags, terminal));
    });
}
