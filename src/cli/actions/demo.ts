import { DemoRun, QUERY_TIME, type DemoFigures } from "../demo/demo-run.js";
import type { DemoFlags } from "../commands/demo.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer, milliseconds, percent } from "../../figures.js";
import { runLive } from "../live-screen.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";
import { percentile } from "../../time-histogram.js";
import { jsonText } from "../json-text.js";

/** What a cache does, in a few seconds. */
export async function demo(flags: DemoFlags, terminal: Terminal): Promise<ExitCode> {
  const run = new DemoRun({ duration: flags.for, processes: flags.processes });
  const over = new AbortController();
  const running = run.run().finally(() => over.abort());
  let isInterrupted = false;
  if (terminal.isLive && flags.json !== true) {
    const ended = await runLive(terminal, async () => demoText(run.figures(), terminal.colors), 250, over.signal);
    isInterrupted = ended === EXIT.interrupted;
    run.stop();
  } else isInterrupted = await watched(run, over.signal, terminal);
  await running;
  const figures = run.figures();
  terminal.out(flags.json === true ? jsonOf(figures) : demoText(figures, terminal.colors));
  if (isInterrupted) return EXIT.interrupted;
  return figures.outdated === 0 ? EXIT.ok : EXIT.checkFailed;
}

/** On the last line, until it is over. @returns whether somebody ended it. */
function watched(run: DemoRun, over: AbortSignal, terminal: Terminal): Promise<boolean> {
  return stoppable(async ({ signal }) => {
    signal.addEventListener("abort", () => run.stop(), { once: true });
    const timer = setInterval(() => {
      const { reads, hitRatio, queries, phase } = run.figures();
      terminal.status(`${phase}: ${integer(reads)} reads, ${percent(hitRatio)} hits, ${integer(queries)} queries`);
    }, 250);
    await new Promise<void>((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));
    clearInterval(timer);
    terminal.status("");
    return signal.aborted;
  });
}

function demoText(figures: DemoFigures, colors: Terminal["colors"]): string {
  const { elapsed, processes, phase, reads, took, queries, writes, outdated, errors } = figures;
  const seconds = Math.max(0.001, elapsed / 1_000);
  const phases = {
    running: colors.green("the source answers"),
    "source away": colors.red("the source is away"),
    over: "over",
  };
  const lines: readonly (readonly [string, string])[] = [
    ["reads", `${integer(reads)}, ${integer(reads / seconds)}/s; p50 ${time(took, 0.5)}, p99 ${time(took, 0.99)}`],
    [
      "hits",
      `${percent(figures.hitRatio)}: ${integer(figures.fromMemory)} from memory, ${integer(figures.fromShared)} from the shared tier`,
    ],
    ["stale", `${integer(figures.stale)}, while a load ran or the source was away`],
    ["queries", `${integer(queries)} of ${QUERY_TIME} ms, in place of ${integer(reads)}`],
    ["coalesced", `${integer(figures.coalesced)} reads waited for a load of another`],
    ["changes", `${integer(writes)}, each invalidated in every process`],
    ["outdated", outdated === 0 ? colors.green("no answer") : colors.red(`${integer(outdated)} answers`)],
    [
      "failed",
      errors === 0 ? "no read" : `${integer(errors)} reads, of rows that nobody had kept while the source was away`,
    ],
  ];
  const body = lines.map(([name, text]) => `  ${name.padEnd(10)}${text}`).join("\n");
  return `tiercache demo: ${processes} services, ${seconds.toFixed(1)} s, ${phases[phase]}\n\n${body}\n`;
}

function time(took: DemoFigures["took"], share: number): string {
  const value = percentile(took, share);
  return value === undefined ? "–" : milliseconds(value);
}

function jsonOf({ took, ...figures }: DemoFigures): string {
  const percentiles = { p50: percentile(took, 0.5) ?? null, p99: percentile(took, 0.99) ?? null };
  return jsonText({ ...figures, elapsed: Math.round(figures.elapsed), milliseconds: percentiles });
}
