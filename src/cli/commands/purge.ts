import { Option, type Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { addReachOptions, REACH_HELP, type ReachFlags } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

export interface PurgeFlags extends ReachFlags {
  readonly key?: string;
  readonly tag?: string;
  readonly prefix?: string;
  readonly pattern?: string;
  readonly entity?: string;
  readonly all?: true;
  readonly scope?: string;
  readonly hard?: true;
  readonly soft?: true;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

const EXAMPLES = `${REACH_HELP}

Examples:
  $ tiercache purge --name crm --tag team:7 --scope acme --dry-run
  $ tiercache purge --name crm --key acme:contact:42:v1
  $ tiercache purge --name crm --entity contact --hard --yes
  $ tiercache purge --name crm --pattern 'acme:contact:*'
  $ tiercache purge --admin http://127.0.0.1:7070 --all

What would be hit is counted and shown first, and nothing is done until you say so, or --yes. A purge goes through the cache's log: every
process hears of it. The audit line of it is on standard error.
Exit: 2 not confirmed, 4 not allowed there, 5 not acknowledged, 130 Ctrl-C.`;

/** `tiercache purge`: invalidates, after a look at what that would hit. */
export function addPurge(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(
    program.command("purge").description("invalidate entries in every process, after a look at what that hits"),
  )
    .option("--key <key>", "one entry")
    .option("--tag <tag>", "every entry with the tag")
    .option("--prefix <prefix>", "every key that begins with these segments")
    .option("--pattern <pattern>", "every key that matches, * for anything")
    .option("--entity <name>", "every entry of the entity")
    .option("--all", "everything")
    .option("--scope <scope>", "with --tag or --entity, one scope's only")
    .addOption(new Option("--soft", "make stale: still served while it is refreshed (default)").conflicts("hard"))
    .addOption(new Option("--hard", "remove").conflicts("soft"))
    .option("--dry-run", "only show what would be hit")
    .option("--yes", "do not ask")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: PurgeFlags) => {
      const { purge } = await import("../actions/purge.js");
      end(await purge(flags, terminal));
    });
}
