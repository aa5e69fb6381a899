import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface DashboardFlags {
  readonly name?: string;
  readonly port?: number;
  readonly environment: string;
  readonly values?: true;
  readonly write?: true;
  readonly json?: true;
}

const EXAMPLES = `
Without an address the page is served from here, for whatever processes of the cache report through its Redis
(those that call createAdmin). With the address of a process's own admin side, that one is asked.

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache dashboard --name crm
  $ tiercache dashboard http://127.0.0.1:7070
  $ tiercache dashboard http://127.0.0.1:7070 --json

Environment: REDIS_URL, TIERCACHE_NAME (for --name), TIERCACHE_SECRET (of a cache that signs), TIERCACHE_TOKEN (of the process
that is asked). Each of them may be a file instead: REDIS_URL_FILE.
Exit: 4 the token is not known there, 5 nothing answers.`;

/** `tiercache dashboard`: the page of a cache, from its Redis; or what a running process says of itself. */
export function addDashboard(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("dashboard [address]")
    .description("a page on what the processes of a cache do, or the figures of one that runs")
    .option("--name <cache>", "the name that the cache was created with")
    .option("--port <number>", "where the page is served, on loopback (default: any that is free)", count)
    .option("--environment <name>", "what the badge of the page says", "production")
    .option("--values", "let values be seen")
    .option("--write", "let entries be purged, after a preview")
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (address: string | undefined, flags: DashboardFlags) => {
      const { askDashboard, serveDashboard } = await import("../actions/dashboard.js");
      end(await (address === undefined ? serveDashboard(flags, terminal) : askDashboard(address, flags, terminal)));
    });
}
