import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { duration, withDefault } from "../option-values.js";
import { addReachOptions, REACH_HELP, waitOption, type ReachFlags } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

export interface TopFlags extends ReachFlags {
  readonly interval: number;
  readonly wait: number;
  readonly json?: true;
}

const EXAMPLES = `${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache top --name crm
  $ tiercache top --admin http://127.0.0.1:7070
  $ tiercache top --name crm --json | jq '.entities | keys'

Live in a terminal, until q or Ctrl-C; once, over one interval, when its output goes elsewhere. Keys are sampled: one hit in eight.
Exit: 3 no process reports, or there is no such cache.`;

/** `tiercache top`: what a cache does now, by entity and by key. */
export function addTop(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(program.command("top").description("what a cache does now: rates by entity, hot keys, missed keys"))
    .addOption(
      withDefault("--interval <duration>", "the time that rates are over, and between two drawings", duration, "4s"),
    )
    .addOption(waitOption())
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: TopFlags) => {
      const { top } = await import("../actions/top.js");
      end(await top(flags, terminal));
    });
}
