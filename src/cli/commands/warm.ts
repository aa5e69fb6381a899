import type { Command } from "commander";

import type { ExitCode } from "../exit-codes.js";
import { count, fraction } from "../option-values.js";
import type { Terminal } from "../terminal.js";

export interface WarmFlags {
  readonly perSecond?: number;
  readonly concurrency?: number;
  readonly share?: readonly number[];
  readonly resume?: string;
  readonly json?: true;
  readonly quiet?: true;
}

const EXAMPLES = `
The module exports \`cache\`, a cache with a shared tier or one of the host, and \`plan\`, made by warmPlan() of tiercache/warm:

  export const cache = createCache({ name: "crm", tiers: [memory(), redis(client)] });
  export const plan = warmPlan({ name: "start", steps: [entityStep(users, () => db.ids())] });

Examples:
  $ tiercache warm warm.ts --per-second 200
  $ tiercache warm warm.js --resume .warm --share 10%,50%,100%
  $ tiercache warm warm.js --json`;

/** `tiercache warm`: runs a plan against the tiers that other processes read. */
export function addWarm(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  program
    .command("warm <plan>")
    .description("load what a plan names into the shared tier, before users ask")
    .option(
      "--per-second <number>",
      "most loads started per second; fewer while the source slows down (default: 1000)",
      count,
    )
    .option("--concurrency <number>", "loads under way at once (default: 4)", count)
    .option("--share <parts>", "part of all keys; several rise: 10%,50%,100% (default: 100%)", shares)
    .option("--resume <folder>", "keep the cursor there, and go on from it")
    .option("--json", "print the result as JSON")
    .option("--quiet", "no progress")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: WarmFlags) => {
      const { warm } = await import("../actions/warm.js");
      end(await warm(path, flags, terminal));
    });
}

function shares(text: string): readonly number[] {
  return text.split(",").map(fraction);
}
