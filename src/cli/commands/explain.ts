import type { Command } from "commander";

import { explanationText } from "../entry-text.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { pathOfKey } from "../key-path.js";
import { addReachOptions, REACH_HELP, reach, type ReachFlags } from "../reach.js";
import type { Terminal } from "../terminal.js";
import { askEntry } from "./get.js";

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
    .action(async (key: string, flags: ReachFlags & { readonly json?: true }) => {
      const to = await reach(flags, terminal);
      try {
        const entry = await askEntry(to, pathOfKey(key));
        if (flags.json === true) {
          const { explanation, entity, scope, version, steps } = entry;
          const result = { schemaVersion: 1, ...explanation, entity, scope, version, steps };
          terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
        } else terminal.out(explanationText(entry, terminal.colors));
        const isDown = entry.explanation.tiers.some(({ state }) => state === "down");
        end(isDown ? EXIT.unreachable : EXIT.ok);
      } finally {
        await to.close();
      }
    });
}
