import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { duration, withDefault } from "../option-values.js";
import { addReachOptions, REACH_HELP, waitOption, type ReachFlags } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

export interface StatsFlags extends ReachFlags {
  readonly watch?: true;
  readonly interval: number;
  readonly wait: number;
  readonly process?: string;
  readonly json?: true;
  readonly ndjson?: true;
}

const EXAMPLES = `${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache stats --name crm
  $ tiercache stats --name crm --watch
  $ tiercache stats --admin http://127.0.0.1:7070 --json | jq .total.hitRatio
  $ tiercache stats --name crm --watch --ndjson --interval 10s >> stats.ndjson

Live in a terminal with --watch, until q or Ctrl-C; once when its output goes elsewhere, unless --ndjson is given.
Exit: 3 no process reports, or there is no such cache.`;

/** `tiercache stats`: what the processes of a cache counted since they began, as one. */
export function addStats(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(
    program.command("stats").description("reads, hit ratios and loads of a cache, by entity, of all its processes"),
  )
    .option("--watch", "again and again")
    .addOption(withDefault("--interval <duration>", "how often, with --watch", duration, "2s"))
    .addOption(waitOption())
    .option("--process <id>", "one process: its id or its name")
    .option("--json", "print JSON")
    .option("--ndjson", "print a line of JSON each time")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: StatsFlags) => {
      const { stats } = await import("../actions/stats.js");
      end(await stats(flags, terminal));
    });
}
