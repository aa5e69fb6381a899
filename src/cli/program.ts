import { readFile } from "node:fs/promises";
import { Command, CommanderError } from "commander";
import { CacheError } from "../errors.js";
import { TraceError } from "../simulate/trace/trace-error.js";
import { CommandError } from "./command-error.js";
import { addBench } from "./commands/bench.js";
import { addDashboard } from "./commands/dashboard.js";
import { addDemo } from "./commands/demo.js";
import { addDoctor } from "./commands/doctor.js";
import { addEvents } from "./commands/events.js";
import { addExplain } from "./commands/explain.js";
import { addExport } from "./commands/export.js";
import { addGateway } from "./commands/gateway.js";
import { addGet, addInspect } from "./commands/get.js";
import { addPlan } from "./commands/plan.js";
import { addPurge } from "./commands/purge.js";
import { addRecord } from "./commands/record.js";
import { addSimulate } from "./commands/simulate.js";
import { addStats } from "./commands/stats.js";
import { addTop } from "./commands/top.js";
import { addWarm } from "./commands/warm.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { ModuleError } from "./load-module.js";
import { UnreachableError } from "./redis-client.js";
import type { Terminal } from "./terminal.js";

/** Declares a command of the program; its action says how it ended. */
export type AddCommand = (program: Command, terminal: Terminal, end: (code: ExitCode) => void) => void;

/** In the order in which the help lists them. */
const COMMANDS: readonly AddCommand[] = [
  addDemo,
  addStats,
  addTop,
  addGet,
  addInspect,
  addExplain,
  addPurge,
  addEvents,
  addWarm,
  addGateway,
  addDashboard,
  addDoctor,
  addSimulate,
  addPlan,
  addRecord,
  addBench,
  addExport,
];

/** Runs the command line to its end: never throws for what its user can cause. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = await createProgram(terminal, (ended) => (code = ended));
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    terminal.status("");
    return failed(error, terminal);
  }
}

async function createProgram(terminal: Terminal, end: (code: ExitCode) => void): Promise<Command> {
  const program = new Command("tiercache")
    .description("Looks at caches, and operates them, from the command line.")
    .version(await version(), "-V, --version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.note(text.trimEnd()),
    })
    .showSuggestionAfterError()
    .showHelpAfterError("(--help tells more)");
  for (const add of COMMANDS) add(program, terminal, end);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

async function version(): Promise<string> {
  // As far from the sources as from what is built.
  const manifest = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function failed(error: unknown, terminal: Terminal): ExitCode {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof CacheError && error.code === "ERR_CACHE_OPTION") {
    terminal.note(`error: ${error.message.replace(/`([a-z]\w*)`/, (_, name: string) => flagOf(name))}`);
    return EXIT.usage;
  }
  terminal.note(`error: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof CommandError) return error.code;
  if (error instanceof UnreachableError) return EXIT.unreachable;
  if (error instanceof CacheError && error.code === "ERR_CACHE_KEY") return EXIT.usage;
  const isMissing = error instanceof ModuleError ? error.missing : isTraceMissing(error);
  return isMissing ? EXIT.notFound : EXIT.failure;
}

function isTraceMissing(error: unknown): boolean {
  return error instanceof TraceError && error.code === "ERR_TRACE_NOT_FOUND";
}

/** `entrySize` is `--entry-size` here. */
function flagOf(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
