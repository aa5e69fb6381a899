import type { Cache } from "../../api.js";
import { integer } from "../../figures.js";
import type { WarmPlanDefinition } from "../../warm/plan.js";
import { runWarmPlan, type PlanReport, type WarmProgress } from "../../warm/run.js";
import { fileStore } from "../../warm/store.js";
import type { WarmFlags } from "../commands/warm.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { closeModule, exported, loadModule, ModuleError, type LoadedModule } from "../load-module.js";
import { DRAWN_EVERY, progressBar } from "../progress.js";
import { stoppable } from "../stoppable.js";
import type { Terminal } from "../terminal.js";
import { jsonText } from "../json-text.js";

/** Runs a plan against the tiers that other processes read. */
export async function warm(path: string, flags: WarmFlags, terminal: Terminal): Promise<ExitCode> {
  const { module, cache, plan } = await planOf(path);
  try {
    return await stoppable(({ signal }) => run(cache, plan, flags, signal, terminal));
  } finally {
    await closeModule(module, [cache]);
  }
}

async function run(
  cache: Cache,
  plan: WarmPlanDefinition,
  flags: WarmFlags,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<ExitCode> {
  const { concurrency, perSecond, share, resume, json, quiet } = flags;
  const store = resume === undefined ? undefined : fileStore(resume);
  const onProgress = quiet === true ? undefined : progressOn(terminal);
  let report: PlanReport;
  try {
    report = await runWarmPlan(cache, plan, { concurrency, perSecond, share, store, signal, onProgress });
  } catch (error) {
    if (error !== signal.reason) throw error;
    terminal.note(store === undefined ? "interrupted" : "interrupted; the same command goes on from here");
    return EXIT.interrupted;
  } finally {
    terminal.status("");
  }
  const { done, failed, skipped, took } = report;
  const errors = report.errors.map((error) => (error instanceof Error ? error.message : String(error)));
  if (json === true) {
    terminal.out(jsonText({ plan: plan.name, done, failed, skipped, milliseconds: Math.round(took), errors }));
  } else {
    const rest = skipped === 0 ? "" : `, ${integer(skipped)} skipped`;
    terminal.out(
      `${plan.name}: ${integer(done)} warmed, ${integer(failed)} failed${rest}, in ${(took / 1_000).toFixed(1)} s\n`,
    );
    for (const error of errors) terminal.note(`  failed: ${error}`);
  }
  return failed === 0 ? EXIT.ok : EXIT.failure;
}

/** @throws ModuleError that says what is missing in the module. */
async function planOf(
  path: string,
): Promise<{ readonly module: LoadedModule; readonly cache: Cache; readonly plan: WarmPlanDefinition }> {
  const module = await loadModule(path);
  const cache = exported(module, "cache") as Cache | undefined;
  const plan = exported(module, "plan") as WarmPlanDefinition | undefined;
  if (typeof cache?.warm !== "function") throw new ModuleError(`Expected ${path} to export \`cache\`, a cache`);
  if (!Array.isArray(plan?.steps) || typeof plan?.name !== "string")
    throw new ModuleError(`Expected ${path} to export \`plan\`, made by warmPlan() of tiercache/warm`);
  return { module, cache, plan };
}

/** Draws how far a plan is on the last line. */
function progressOn(terminal: Terminal): (progress: WarmProgress) => void {
  const began = Date.now();
  let drawn = 0;
  return ({ step, done, failed, total, part }) => {
    const now = Date.now();
    if (now - drawn < DRAWN_EVERY) return;
    drawn = now;
    const bar = part === undefined ? "" : `${progressBar(part)}  `;
    const of = total === undefined ? "" : ` of ${integer(total)}`;
    const failures = failed === 0 ? "" : `, ${integer(failed)} failed`;
    const rate = done / Math.max(0.001, (now - began) / 1_000);
    terminal.status(`${bar}${step}: ${integer(done)}${of}${failures} (${integer(rate)}/s)`);
  };
}
