import type { Command } from "commander";

import { DemoRun, QUERY_TIME, type DemoFigures } from "../demo/demo-run.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer, milliseconds, percent } from "../figures.js";
import { runLive } from "../live-screen.js";
import { count, duration, showDefaults } from "../option-values.js";
import type { Terminal } from "../terminal.js";
import { percentile } from "../../time-histogram.js";

interface DemoFlags {
  readonly for: number;
  readonly processes: number;
  readonly json?: true;
}

const EXAMPLES = `
Two services in this one process, each with its memory, one shared tier between them, and a database that takes 20 ms and is away for
a fifth of the time. Rows are read, changed and invalidated; each answer is compared with what every service had been told by then.
Nothing is installed, and nothing is left behind.

Examples:
  $ tiercache demo
  $ tiercache demo --for 1m --processes 4
  $ tiercache demo --json

The big one, with a real Redis, PostgreSQL, four processes and faults: npm run demo, in a copy of the repository.
Exit: 0, 6 when an answer was outdated, 130 Ctrl-C.`;

/** `tiercache demo`: what a cache does, in a few seconds. */
export function addDemo(program: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  const command = program
    .command("demo")
    .description("a demonstration in this process: reads, writes, a source that goes away")
    .option("--for <duration>", "how long", duration, 10_000)
    .option("--processes <number>", "services that share the cache", count, 2)
    .option("--json", "print JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: DemoFlags) => end(await run(flags, terminal)));
  showDefaults(command, { "--for": "10s" });
}

async function run(flags: DemoFlags, terminal: Terminal): Promise<ExitCode> {
  const demo = new DemoRun({ duration: flags.for, processes: flags.processes });
  const over = new AbortController();
  const running = demo.run().finally(() => over.abort());
  let isInterrupted = false;
  if (terminal.isLive && flags.json !== true) {
    const ended = await runLive(terminal, async () => demoText(demo.figures(), terminal.colors), 250, over.signal);
    isInterrupted = ended === "interrupted";
    demo.stop();
  } else isInterrupted = await watched(demo, over.signal, terminal);
  await running;
  const figures = demo.figures();
  terminal.out(flags.json === true ? jsonOf(figures) : demoText(figures, terminal.colors));
  if (isInterrupted) return EXIT.interrupted;
  return figures.outdated === 0 ? EXIT.ok : EXIT.checkFailed;
}

/** On the last line, until it is over. @returns whether somebody ended it. */
async function watched(demo: DemoRun, over: AbortSignal, terminal: Terminal): Promise<boolean> {
  let isInterrupted = false;
  const onSignal = (): void => {
    isInterrupted = true;
    demo.stop();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const timer = setInterval(() => {
    const { reads, hitRatio, queries, phase } = demo.figures();
    terminal.status(`${phase}: ${integer(reads)} reads, ${percent(hitRatio)} hits, ${integer(queries)} queries`);
  }, 250);
  await new Promise<void>((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));
  clearInterval(timer);
  terminal.status("");
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  return isInterrupted;
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
  return `${JSON.stringify({ schemaVersion: 1, ...figures, elapsed: Math.round(figures.elapsed), milliseconds: percentiles }, undefined, 2)}\n`;
}
