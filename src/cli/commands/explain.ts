import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { addReachOptions, REACH_HELP } from "../reach-options.js";
import type { Terminal } from "../terminal.js";
import type { EntryFlags } from "./get.js";

const EXAMPLES = `${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache explain --name crm acme:contact:42:v1
  $ tiercache explain --admin http://127.0.0.1:7070 rates --json

Memory is each process's own: --admin asks one of them. Nothing is loaded, counted or changed.
Exit: 5 the shared tier does not answer.`;

/** `tiercache explain`: where a key is stored, and why a read of it would hit or miss. */
export function addExplain(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(program.command("explain <key>").description("why a read of a key would hit, or miss"))
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (key: string, flags: EntryFlags) => {
      const { explain } = await import("../actions/explain.js");
      end(await explain(key, flags, terminal));
    });
}
