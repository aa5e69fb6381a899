import type { Command } from "commander";
import type { Cache } from "../../api.js";
import { recordTrace } from "../../warm/trace.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer } from "../figures.js";
import { exported, loadModule, ModuleError } from "../load-module.js";
import { count, duration, fraction } from "../option-values.js";
import type { Terminal } from "../terminal.js";

interface RecordFlags {
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
      const cache = exported(await loadModule(path), "cache") as Cache | undefined;
      if (typeof cache?.on !== "function") throw new ModuleError(`Expected ${path} to export \`cache\`, a cache`);
      const { share, most, hashKeys } = flags;
      const recording = recordTrace(cache, flags.out, { share, most, hashKeys });
      terminal.status(`recording to ${flags.out}; Ctrl-C ends it`);
      await over(flags.for);
      terminal.status("");
      const { reads, dropped } = await recording.stop();
      await cache.close();
      if (flags.json === true)
        terminal.out(`${JSON.stringify({ schemaVersion: 1, file: flags.out, reads, dropped }, undefined, 2)}\n`);
      else
        terminal.out(`${flags.out}: ${integer(reads)} reads${dropped === 0 ? "" : `, ${integer(dropped)} dropped`}\n`);
      end(EXIT.ok);
    });
}

/** Resolves when the time is over, or the user says so. */
function over(ms: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      process.off("SIGINT", done);
      resolve();
    };
    // Without an end the program waits for the user, whatever else it has to do.
    const timer = setTimeout(done, ms ?? 2 ** 31 - 1);
    process.once("SIGINT", done);
  });
}
