import { mergeReports, type Overview } from "../../admin/merge.js";
import type { StatsFlags } from "../commands/stats.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { runLive } from "../live-screen.js";
import { pause } from "../pause.js";
import { gatherReports, noReports, reportsOf, withReach, type Reach } from "../reach.js";
import { statsText } from "../stats-text.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";
import { jsonLine, jsonText } from "../json-text.js";

/** What the processes of a cache counted since they began, as one. */
export function stats(flags: StatsFlags, terminal: Terminal): Promise<ExitCode> {
  return withReach(flags, terminal, (to) => run(to, flags, terminal));
}

async function run(to: Reach, flags: StatsFlags, terminal: Terminal): Promise<ExitCode> {
  await gatherReports(to, flags.wait, terminal);
  const take = async (): Promise<Overview> => overviewOf(to, flags.process);
  if (flags.watch === true && flags.ndjson === true) return lines(take, flags.interval, terminal);
  if (flags.watch === true && terminal.isLive && flags.json !== true) {
    return runLive(terminal, async () => statsText(await take(), terminal.colors), flags.interval);
  }
  const overview = await take();
  if (flags.ndjson === true) terminal.out(jsonLine(overview));
  else if (flags.json === true) terminal.out(jsonText(overview));
  else terminal.out(statsText(overview, terminal.colors));
  return EXIT.ok;
}

function lines(take: () => Promise<Overview>, every: number, terminal: Terminal): Promise<ExitCode> {
  return stoppable(async ({ signal }) => {
    while (!signal.aborted) {
      terminal.out(jsonLine(await take()));
      await pause(every, signal);
    }
    return EXIT.interrupted;
  });
}

async function overviewOf(to: Reach, name: string | undefined): Promise<Overview> {
  const reports = await reportsOf(to);
  const asked =
    name === undefined ? reports : reports.filter(({ process }) => process.id === name || process.name === name);
  const overview = mergeReports(asked);
  if (overview === undefined) throw noReports(name === undefined ? to.name : `${to.name} called ${name}`);
  return overview;
}
