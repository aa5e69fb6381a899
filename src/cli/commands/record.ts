import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count, duration, fraction } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface RecordFlags {
  readonly out: string;
  readonly for?: number;
  readonly share?: number;
  readonly most?: number;
  readonly hashKeys?: true;
  readonly json?: true;
}

const EXAMPLES = `
The module starts the service, or the work, whose reads are recorded, and exports its \`cache\`. A service that runs already
records itself: recordTrace(cache, file) of tiercache/warm.

Examples:
  $ tiercache record service.ts --for 10m --out reads.csv
  $ tiercache record service.js --share 1/16 --hash-keys --out reads.csv
  $ tiercache simulate reads.csv --time-unit s`;

/** `tiercache record`: writes the reads of a cache to a file that `tiercache simulate` and `tiercache plan` read. */
export function addRecord(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("record <module>")
    .description("write the reads of a cache to a trace, until the time is over or Ctrl-C")
    .requiredOption("--out <file>", "the trace")
    .option("--for <duration>", "how long", duration)
    .option("--share <part>", "part of all keys: 1/16", fraction)
    .option("--most <number>", "most reads (default: 10000000)", count)
    .option("--hash-keys", "hashes in place of keys")
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: RecordFlags) => {
      const { record } = await import("../actions/record.js");
      end(await record(path, flags, terminal));
    });
}
