import type { Command } from "commander";

import { mergeReports, type Overview } from "../../admin/merge.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { pause, runLive } from "../live-screen.js";
import { duration, showDefaults } from "../option-values.js";
import {
  addReachOptions,
  gatherReports,
  noReports,
  REACH_HELP,
  reach,
  reportsOf,
  type Reach,
  type ReachFlags,
} from "../reach.js";
import type { Terminal } from "../terminal.js";
import { statsText } from "../stats-text.js";

interface StatsFlags extends ReachFlags {
  readonly watch?: true;
  readonly interval: number;
  readonly wait: number;
  readonly process?: string;
  readonly count?: number;
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
  const command = addReachOptions(
    program.command("stats").description("reads, hit ratios and loads of a cache, by entity, of all its processes"),
  )
    .option("--watch", "again and again")
    .option("--interval <duration>", "how often, with --watch", duration, 2_000)
    .option("--wait <duration>", "how long processes may take to report", duration, 6_000)
    .option("--process <id>", "one process: its id or its name")
    .option("--json", "print JSON")
    .option("--ndjson", "print a line of JSON each time")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: StatsFlags) => {
      const to = await reach(flags, terminal);
      try {
        end(await run(to, flags, terminal));
      } finally {
        await to.close();
      }
    });
  showDefaults(command, { "--interval": "2s", "--wait": "6s" });
}

async function run(to: Reach, flags: StatsFlags, terminal: Terminal): Promise<ExitCode> {
  await gatherReports(to, flags.wait, terminal);
  const take = async (): Promise<Overview> => overviewOf(to, flags.process);
  if (flags.watch === true && flags.ndjson === true) return lines(take, flags.interval, terminal);
  if (flags.watch === true && terminal.isLive && flags.json !== true) {
    const ended = await runLive(terminal, async () => statsText(await take(), terminal.colors), flags.interval);
    return ended === "quit" ? EXIT.ok : EXIT.interrupted;
  }
  const overview = await take();
  if (flags.ndjson === true) terminal.out(`${JSON.stringify({ schemaVersion: 1, ...overview })}\n`);
  else if (flags.json === true) terminal.out(`${JSON.stringify({ schemaVersion: 1, ...overview }, undefined, 2)}\n`);
  else terminal.out(statsText(overview, terminal.colors));
  return EXIT.ok;
}

async function lines(take: () => Promise<Overview>, every: number, terminal: Terminal): Promise<ExitCode> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    while (!stop.signal.aborted) {
      terminal.out(`${JSON.stringify({ schemaVersion: 1, ...(await take()) })}\n`);
      await pause(every, stop.signal);
    }
    return EXIT.interrupted;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function overviewOf(to: Reach, name: string | undefined): Promise<Overview> {
  const reports = await reportsOf(to);
  const asked =
    name === undefined ? reports : reports.filter(({ process }) => process.id === name || process.name === name);
  const overview = mergeReports(asked);
  if (overview === undefined) throw noReports(name === undefined ? to.name : `${to.name} called ${name}`);
  return overview;
}
