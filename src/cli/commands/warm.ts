import type { Command } from "commander";
import type { Cache } from "../../api.js";
import { fileStore } from "../../warm/store.js";
import type { WarmPlanDefinition } from "../../warm/plan.js";
import { runWarmPlan, type WarmProgress } from "../../warm/run.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { integer } from "../figures.js";
import { exported, loadModule, ModuleError } from "../load-module.js";
import { count, fraction } from "../option-values.js";
import type { Terminal } from "../terminal.js";

interface WarmFlags {
  readonly perSecond?: number;
  readonly concurrency?: number;
  readonly share?: readonly number[];
  readonly resume?: string;
  readonly json?: true;
  readonly quiet?: true;
}

const WIDTH = 24;
/** Milliseconds between two drawings. */
const PAUSE = 100;

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
    .action(async (path: string, flags: WarmFlags) => end(await run(path, flags, terminal)));
}

async function run(path: string, flags: WarmFlags, terminal: Terminal): Promise<ExitCode> {
  const { cache, plan } = await planOf(path);
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort(new Interrupted());
  process.once("SIGINT", stop);
  const bar = new WarmBar(terminal, flags.quiet === true);
  try {
    const report = await runWarmPlan(cache, plan, {
      concurrency: flags.concurrency,
      perSecond: flags.perSecond,
      share: flags.share,
      store: flags.resume === undefined ? undefined : fileStore(flags.resume),
      signal: interrupt.signal,
      onProgress: bar.update,
    });
    bar.end();
    const { done, failed, skipped, took, errors } = report;
    const reasons = errors.map((error) => (error instanceof Error ? error.message : String(error)));
    if (flags.json === true) {
      const result = {
        schemaVersion: 1,
        plan: plan.name,
        done,
        failed,
        skipped,
        milliseconds: Math.round(took),
        errors: reasons,
      };
      terminal.out(`${JSON.stringify(result, undefined, 2)}\n`);
    } else {
      const rest = skipped === 0 ? "" : `, ${integer(skipped)} skipped`;
      terminal.out(
        `${plan.name}: ${integer(done)} warmed, ${integer(failed)} failed${rest}, in ${(took / 1_000).toFixed(1)} s\n`,
      );
      for (const reason of reasons) terminal.note(`  failed: ${reason}`);
    }
    return failed === 0 ? EXIT.ok : EXIT.failure;
  } catch (error) {
    bar.end();
    if (!(error instanceof Interrupted)) throw error;
    terminal.note(flags.resume === undefined ? "interrupted" : "interrupted; the same command goes on from here");
    return EXIT.interrupted;
  } finally {
    process.off("SIGINT", stop);
    await cache.close();
  }
}

class Interrupted extends Error {}

/** @throws ModuleError that says what is missing in the module. */
async function planOf(path: string): Promise<{ readonly cache: Cache; readonly plan: WarmPlanDefinition }> {
  const module = await loadModule(path);
  const cache = exported(module, "cache") as Cache | undefined;
  const plan = exported(module, "plan") as WarmPlanDefinition | undefined;
  if (typeof cache?.warm !== "function") throw new ModuleError(`Expected ${path} to export \`cache\`, a cache`);
  if (!Array.isArray(plan?.steps) || typeof plan?.name !== "string")
    throw new ModuleError(`Expected ${path} to export \`plan\`, made by warmPlan() of tiercache/warm`);
  return { cache, plan };
}

/** How far a plan is, on the last line. */
class WarmBar {
  readonly #terminal: Terminal;
  readonly #isShown: boolean;
  readonly #began = Date.now();
  #drawn = 0;

  constructor(terminal: Terminal, quiet: boolean) {
    this.#terminal = terminal;
    this.#isShown = !quiet;
  }

  readonly update = ({ step, done, failed, total, part }: WarmProgress): void => {
    const now = Date.now();
    if (!this.#isShown || now - this.#drawn < PAUSE) return;
    this.#drawn = now;
    const share = part ?? 0;
    const filled = Math.round(share * WIDTH);
    const bar =
      part === undefined ? "" : `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} ${Math.floor(share * 100)}%  `;
    const of = total === undefined ? "" : ` of ${integer(total)}`;
    const failures = failed === 0 ? "" : `, ${integer(failed)} failed`;
    const rate = done / Math.max(0.001, (now - this.#began) / 1_000);
    this.#terminal.status(`${bar}${step}: ${integer(done)}${of}${failures} (${integer(Math.round(rate))}/s)`);
  };

  end(): void {
    if (this.#isShown) this.#terminal.status("");
  }
}

function shares(text: string): readonly number[] {
  return text.split(",").map(fraction);
}
