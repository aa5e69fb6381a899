import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { addReachOptions, REACH_HELP, type ReachFlags } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

/** Of the commands that ask for one entry. */
export interface EntryFlags extends ReachFlags {
  readonly json?: true;
}

const KEYS = `
A key is written as in code (user:42), or as the dashboard and \`tiercache explain\` name it: an entity's entry is
<scope>:<entity>:<id>:v<version>, with the scope "global" where there is none.`;

const GET_EXAMPLES = `${KEYS}
${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache get --name crm acme:contact:42:v1
  $ tiercache get --name crm rates --json
  $ tiercache get --module cache.ts acme:contact:42:v1    # encrypted: the cache's own code has its keys

Secrets, and what the entity calls sensitive, are not shown.
Exit: 3 nothing is stored, 4 values are not shown there.`;

const INSPECT_EXAMPLES = `${KEYS}
${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache inspect --name crm acme:contact:42:v1
  $ tiercache inspect --admin http://127.0.0.1:7070 acme:contact:42:v1 --json

Exit: 3 nothing is stored.`;

/** `tiercache get`: the value of an entry. */
export function addGet(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(program.command("get <key>").description("the value that is stored under a key"))
    .option("--json", "print JSON")
    .addHelpText("after", GET_EXAMPLES)
    .action(async (key: string, flags: EntryFlags) => {
      const { get } = await import("../actions/get.js");
      end(await get(key, flags, terminal));
    });
}

/** `tiercache inspect`: everything that is known of an entry. */
export function addInspect(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(
    program.command("inspect <key>").description("an entry: its value, tags, times and sizes, in each tier"),
  )
    .option("--json", "print JSON")
    .addHelpText("after", INSPECT_EXAMPLES)
    .action(async (key: string, flags: EntryFlags) => {
      const { inspect } = await import("../actions/get.js");
      end(await inspect(key, flags, terminal));
    });
}
