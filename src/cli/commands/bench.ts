import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { duration, withDefault } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface BenchFlags {
  readonly for: number;
  readonly json?: true;
}

const EXAMPLES = `
Measures this machine, not the package: see bench/RESULTS.md of the repository for figures beside those of others. Reads are one after another, so the
rate is what one caller sees; with REDIS_URL, entries are written under a name of their own there and removed again.

Examples:
  $ tiercache bench
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache bench --for 5s
  $ tiercache bench --json

Exit: 5 Redis does not answer, 130 Ctrl-C.`;

/** `tiercache bench`: what a hit, a miss and a hit in Redis cost here. */
export function addBench(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("bench")
    .description("what a hit, a miss, and a hit in Redis cost on this machine")
    .addOption(withDefault("--for <duration>", "how long each is measured", duration, "1s"))
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: BenchFlags) => {
      const { bench } = await import("../actions/bench.js");
      end(await bench(flags, terminal));
    });
}
