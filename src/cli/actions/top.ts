import { mergeReports, type Overview } from "../../admin/merge.js";
import type { ProcessReport, Ranked } from "../../admin/report.js";
import { integer, milliseconds, significant } from "../../figures.js";
import { cut, plainText } from "../../plain-text.js";
import type { TopFlags } from "../commands/top.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { runLive } from "../live-screen.js";
import { pause } from "../pause.js";
import { ratesBetween, type Rate, type Rates } from "../rates.js";
import { gatherReports, noReports, reportsOf, withReach, type Reach } from "../reach.js";
import { healthText, nameOf, ratioCell } from "../stats-text.js";
import type { Terminal } from "../terminal.js";
import { textTable, type TableCell } from "../text-table.js";
import { jsonText } from "../json-text.js";

/** Keys shown of each kind. */
const KEYS = 8;
const KEY_WIDTH = 48;

/** What a cache does now, by entity and by key. */
export function top(flags: TopFlags, terminal: Terminal): Promise<ExitCode> {
  return withReach(flags, terminal, (to) => run(to, flags, terminal));
}

async function run(to: Reach, flags: TopFlags, terminal: Terminal): Promise<ExitCode> {
  let before = await gatherReports(to, flags.wait, terminal);
  if (before.length === 0) throw noReports(to.name);
  let rates: Rates | undefined;
  const look = async (): Promise<{ readonly overview: Overview; readonly rates: Rates }> => {
    const after = await reportsOf(to);
    const overview = mergeReports(after);
    if (overview === undefined) throw noReports(to.name);
    if (rates === undefined || hasMoved(before, after)) {
      rates = ratesBetween(before, after);
      before = after;
    }
    return { overview, rates };
  };
  if (terminal.isLive && flags.json !== true) {
    return runLive(terminal, async () => topText(await look(), terminal.colors), flags.interval);
  }
  terminal.status(`measuring for ${flags.interval / 1_000} s`);
  await pause(flags.interval);
  terminal.status("");
  const seen = await look();
  terminal.out(flags.json === true ? jsonOf(seen) : topText(seen, terminal.colors));
  return EXIT.ok;
}

/** Whether any process has said something new. */
function hasMoved(before: readonly ProcessReport[], after: readonly ProcessReport[]): boolean {
  const times = new Map(before.map(({ process, at }) => [process.id, at]));
  return after.some(({ process, at }) => times.get(process.id) !== at);
}

function jsonOf({ overview, rates }: { readonly overview: Overview; readonly rates: Rates }): string {
  const { cache, at, processes, hot, sampled, shared } = overview;
  const result = {
    cache,
    at,
    processes,
    sharedUp: shared?.up ?? null,
    ...rates,
    hot,
    mostRead: sampled?.mostRead ?? [],
    mostMissed: sampled?.mostMissed ?? [],
  };
  return jsonText(result);
}

/** The screen. */
export function topText(
  { overview, rates }: { readonly overview: Overview; readonly rates: Rates },
  colors: Terminal["colors"],
): string {
  const busy = Object.entries(rates.entities)
    .filter(([, rate]) => rate.reads > 0 || rate.loads > 0)
    .sort(([, a], [, b]) => b.reads - a.reads);
  const rows = busy.map(([name, rate]) => row(nameOf(name), rate, colors));
  const head = ["entity", "reads/s", "hit ratio", "misses/s", "stale/s", "loads/s", "load time", "failed/s"];
  return [
    `${healthText(overview, colors)}\n`,
    textTable([head, ...rows, row("all", rates.total, colors)]),
    keysText(overview, colors),
  ].join("\n");
}

function row(name: string, rate: Rate, colors: Terminal["colors"]): readonly (TableCell | string)[] {
  return [
    name,
    significant(rate.reads),
    ratioCell(rate.hitRatio, rate.reads, colors),
    significant(rate.misses),
    significant(rate.stale),
    significant(rate.loads),
    rate.loads === 0 ? "–" : milliseconds(rate.loadTime),
    { text: significant(rate.failures), paint: rate.failures > 0 ? colors.red : undefined },
  ];
}

function keysText({ hot, sampled }: Overview, colors: Terminal["colors"]): string {
  const perSecond = new Map(hot.map((one) => [one.key, one]));
  const read = sampled?.mostRead ?? [];
  const listed: readonly Ranked[] = read.length > 0 ? read : hot.map(({ key }) => ({ key, entity: "", count: 0 }));
  const rows = listed.slice(0, KEYS).map(({ key, count }) => {
    const one = perSecond.get(key);
    const rate = one === undefined ? "" : `${integer(one.perSecond)}/s${one.pinned ? ", pinned" : ""}`;
    return [cut(plainText(key), KEY_WIDTH), integer(count), { text: rate, paint: colors.red }];
  });
  const missed = (sampled?.mostMissed ?? [])
    .slice(0, KEYS)
    .map(({ key, count }) => [cut(plainText(key), KEY_WIDTH), integer(count)]);
  return [
    ...(rows.length === 0 ? [] : [textTable([["most read", "reads", "hot"], ...rows])]),
    ...(missed.length === 0 ? [] : [textTable([["most missed", "misses"], ...missed])]),
  ].join("\n");
}
