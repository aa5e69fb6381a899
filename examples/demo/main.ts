import { constants } from "node:os";
import { Cleanup } from "./cleanup.js";
import { HELP, parseFlags, UsageError, type Flags } from "./flags.js";
import { LiveView } from "./live.js";
import { runDemo } from "./run.js";
import { brokenPromises, formatSummary } from "./summary.js";
import { readTrace, TraceError } from "./trace.js";

/** Ended by a signal, as asked. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`Stopped by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** One Ctrl-C arrives more than once when npm and its shell hand it on, too: only later ones are a second wish. */
const SAME_WISH = 700;

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 well, 1 failed, 2 not understood, 128 + n ended by signal n */
async function main(args: readonly string[]): Promise<number> {
  let flags: Flags;
  try {
    flags = parseFlags(args);
    if (flags.help) {
      process.stdout.write(HELP);
      return 0;
    }
    await checkTrace(flags.trace);
  } catch (error) {
    if (error instanceof UsageError || error instanceof TraceError) {
      process.stderr.write(`${error.message}\nSee npm run demo -- --help\n`);
      return 2;
    }
    throw error;
  }
  return runAndClean(flags);
}

async function runAndClean(flags: Flags): Promise<number> {
  const cleanup = new Cleanup();
  const view = new LiveView(process.stderr);
  const stop = new AbortController();
  stopOnSignals(stop, view);
  // A reader that went away (`| head`) ends the demo like Ctrl-C does.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", () => stop.abort(new Interrupted("SIGPIPE")));
  }
  let code = 0;
  try {
    const summary = await runDemo({ flags, env: process.env, view, cleanup, stop });
    process.stdout.write(`${flags.json ? JSON.stringify(summary, undefined, 2) : `\n${formatSummary(summary)}`}\n`);
    for (const line of brokenPromises(summary)) {
      view.say(`FAILED ${line}`);
      code = 1;
    }
  } catch (error) {
    view.keep();
    // What made it stop says more than what broke because of that.
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    view.say(
      reason instanceof Interrupted ? `${reason.message}: stopping what was started` : `FAILED ${describe(reason)}`,
    );
    code = reason instanceof Interrupted ? reason.exitCode : 1;
  }
  for (const failure of await cleanup.run()) {
    view.say(`FAILED ${failure}`);
    code = code === 0 ? 1 : code;
  }
  return code;
}

function stopOnSignals(stop: AbortController, view: LiveView): void {
  let firstAt: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        stop.abort(new Interrupted(signal));
      } else if (now - firstAt > SAME_WISH) {
        view.say("Stopped by force");
        // Workers end with their channel to this process, servers by their guards.
        process.exit(128 + constants.signals[signal]);
      }
    });
  }
}

/** Better now than when the servers are up. */
async function checkTrace(path: string | undefined): Promise<void> {
  if (path !== undefined) {
    const reader = readTrace(path);
    await reader.next();
    await reader.return();
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
