import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count, duration } from "../option-values.js";
import { addReachOptions, REACH_HELP, type ReachFlags } from "../reach-options.js";
import type { Terminal } from "../terminal.js";

export interface EventsFlags extends ReachFlags {
  readonly type?: readonly string[];
  readonly misses?: true;
  readonly for?: number;
  readonly count?: number;
  readonly ndjson?: true;
}

const EXAMPLES = `${REACH_HELP}

Examples:
  $ REDIS_URL=redis://127.0.0.1:6379 tiercache events --name crm
  $ tiercache events --name crm --type invalidated,load-failed --ndjson | jq .what
  $ tiercache events --admin http://127.0.0.1:7070 --misses --for 1m

Lines of JSON with --ndjson, or when the output goes elsewhere. An invalidation is told once, by whoever told of it first; \`delay\` is how long
it took to get there. Ctrl-C ends it.
Exit: 0 the time is over or so many were told, 130 Ctrl-C.`;

/** `tiercache events`: what happens in a cache, as it happens. */
export function addEvents(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  addReachOptions(
    program.command("events").description("follow what happens: invalidations, failures, tiers that go and come"),
  )
    .option("--type <names>", "only these, such as invalidated,tier-down", (text) => text.split(","))
    .option("--misses", "every miss as well, with its reason")
    .option("--for <duration>", "how long", duration)
    .option("--count <number>", "how many", count)
    .option("--ndjson", "print lines of JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: EventsFlags) => {
      const { events } = await import("../actions/events.js");
      end(await events(flags, terminal));
    });
}
