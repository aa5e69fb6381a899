import type { Cache, WarmReport, WarmTask } from "../api.js";
import { knownOptions, optionError } from "../policy.js";
import { inShare } from "./rollout.js";
import type { WarmItem, WarmPlanDefinition, WarmStep } from "./plan.js";
import type { WarmStore } from "./store.js";

/** How far a plan has come. */
export interface WarmProgress {
  readonly plan: string;
  /** The step that the last task belonged to. */
  readonly step: string;
  /** Of that step: warmed, failed, not in the share or warmed before a restart. */
  readonly done: number;
  readonly failed: number;
  readonly skipped: number;
  readonly total: number | undefined;
  /** From 0 to 1, of the whole plan; `undefined` while a step does not know how many there are. */
  readonly part: number | undefined;
}

export interface RunPlanOptions {
  /** Tasks under way at once. @default 4 */
  concurrency?: number | undefined;
  /** Most tasks started per second. @default 1000 */
  perSecond?: number | undefined;
  /**
   * The part of all keys that is warmed, above 0, at most 1; or several that rise, one after the other: `[0.1, 0.5, 1]` warms a
   * tenth of every step, then up to half, then the rest. @default 1
   */
  share?: number | readonly number[] | undefined;
  /** Where the cursor is kept; without one, a plan that is run again begins anew. */
  store?: WarmStore | undefined;
  /** Tasks between two writes of the cursor: so many may be done twice. @default 100 */
  saveEvery?: number | undefined;
  signal?: AbortSignal | undefined;
  /** After each item; an async one is waited for, in the item's place. */
  onProgress?: ((progress: WarmProgress) => unknown) | undefined;
}

export interface PlanReport extends WarmReport {
  /** Not in the share, or warmed before a restart. */
  readonly skipped: number;
}

/** What is written of a step: so many items are behind it, each of them warmed, failed or skipped. */
interface StepCursor {
  readonly passed: number;
  readonly after?: unknown;
  readonly ended?: true | undefined;
}

const OPTIONS = ["concurrency", "perSecond", "share", "store", "saveEvery", "signal", "onProgress"];
const DEFAULT_SAVE_EVERY = 100;

/**
 * Warms what a plan names, by priority. With a store it goes on where a run that was killed had come to; a plan that has ended begins
 * anew.
 *
 * @throws the signal's reason when aborted (the cursor is written), the plan's or the store's own error.
 */
export async function runWarmPlan(
  cache: Cache,
  plan: WarmPlanDefinition,
  options: RunPlanOptions = {},
): Promise<PlanReport> {
  knownOptions(options, OPTIONS, "runWarmPlan");
  const run = new PlanRun(plan, sharesOf(options.share), options, await cursorsOf(plan, options.store));
  const { concurrency, perSecond, signal } = options;
  try {
    const report = await cache.warm(run.tasks(), {
      concurrency,
      perSecond,
      signal,
      onProgress: () => run.tell(),
    });
    await options.store?.write(storeName(plan), "{}");
    return { ...report, skipped: run.skipped };
  } catch (error) {
    await run.save();
    throw error;
  }
}

/** One run of a plan: what is behind it, step by step. */
class PlanRun {
  readonly #plan: WarmPlanDefinition;
  readonly #options: RunPlanOptions;
  readonly #steps: readonly StepRun[];
  #last: StepRun | undefined;
  #unsaved = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(
    plan: WarmPlanDefinition,
    shares: readonly number[],
    options: RunPlanOptions,
    cursors: Readonly<Record<string, StepCursor>>,
  ) {
    this.#plan = plan;
    this.#options = options;
    // Stable: those of one priority stay in their order.
    const sorted = plan.steps.toSorted((a, b) => b.priority - a.priority);
    this.#steps = shares.flatMap((to, at) =>
      sorted.map((step) => new StepRun(step, { from: shares[at - 1] ?? 0, to }, cursors)),
    );
  }

  get skipped(): number {
    return this.#steps.reduce((total, step) => total + step.skipped, 0);
  }

  async *tasks(): AsyncGenerator<WarmTask> {
    for (const step of this.#steps) {
      for await (const item of step.items()) {
        if (step.isIn(item)) yield this.#task(step, item);
        else step.skip(item);
      }
    }
  }

  async tell(): Promise<void> {
    const last = this.#last;
    if (last === undefined) return;
    const { step, done, failed, skipped } = last;
    const totals = this.#steps.map((one) => one.part);
    const part = totals.includes(undefined)
      ? undefined
      : totals.reduce<number>((sum, one) => sum + (one ?? 0), 0) / totals.length;
    await this.#options.onProgress?.({
      plan: this.#plan.name,
      step: step.name,
      done,
      failed,
      skipped,
      total: step.total,
      part,
    });
  }

  /** One write after the other; the last has it all. */
  save(): Promise<void> {
    const { store } = this.#options;
    if (store === undefined) return Promise.resolve();
    this.#unsaved = 0;
    const write = (): Promise<void> =>
      store.write(
        storeName(this.#plan),
        JSON.stringify(Object.fromEntries(this.#steps.map((step) => [step.cursorName, step.cursor]))),
      );
    this.#saving = this.#saving.then(write, write);
    return this.#saving;
  }

  #task(step: StepRun, item: WarmItem): WarmTask {
    const begun = step.begin(item);
    return async () => {
      let ok = false;
      try {
        await item.run();
        ok = true;
      } finally {
        step.end(begun, ok);
        this.#last = step;
        this.#unsaved += 1;
        // A store that fails is told where the run ends; it must not fail a task that went well.
        if (this.#unsaved >= (this.#options.saveEvery ?? DEFAULT_SAVE_EVERY)) await this.save().catch(() => undefined);
      }
    };
  }
}

/** Keys of the share `to` that are not in the share `from`. */
interface Share {
  readonly from: number;
  readonly to: number;
}

interface Begun {
  readonly after: unknown;
  ended: boolean;
}

/** A step under way. Its cursor is behind the items that are all over: one that ends early does not move it. */
class StepRun {
  readonly step: WarmStep;
  readonly cursorName: string;
  readonly #share: Share;
  done = 0;
  failed = 0;
  skipped = 0;
  readonly #start: StepCursor;
  /** Begun and not behind the cursor yet, in order. */
  #open: Begun[] = [];
  #passed: number;
  #after: unknown;
  #ended = false;

  constructor(step: WarmStep, share: Share, cursors: Readonly<Record<string, StepCursor>>) {
    this.step = step;
    this.#share = share;
    this.cursorName = `${step.name}@${share.from}-${share.to}`;
    this.#start = cursors[this.cursorName] ?? { passed: 0 };
    this.#passed = this.#start.passed;
    this.#after = this.#start.after;
    this.skipped = this.#start.passed;
  }

  get cursor(): StepCursor {
    const isOver = this.#ended && this.#open.length === 0;
    return { passed: this.#passed, after: this.#after, ...(isOver && { ended: true as const }) };
  }

  get part(): number | undefined {
    if (this.#start.ended === true || (this.#ended && this.#open.length === 0)) return 1;
    const { total } = this.step;
    if (total === undefined) return undefined;
    return total === 0 ? 1 : Math.min(1, (this.done + this.failed + this.skipped) / total);
  }

  async *items(): AsyncGenerator<WarmItem> {
    if (this.#start.ended === true) {
      this.#ended = true;
      return;
    }
    let toPass = this.step.goesOn ? 0 : this.#start.passed;
    for await (const item of this.step.items(this.#start.after)) {
      toPass -= 1;
      if (toPass < 0) yield item;
    }
    this.#ended = true;
  }

  /** Whether it is this pass's: what is in a smaller share was warmed before. */
  isIn({ key }: WarmItem): boolean {
    return inShare(key, this.#share.to) && (this.#share.from === 0 || !inShare(key, this.#share.from));
  }

  begin({ after }: WarmItem): Begun {
    const begun: Begun = { after, ended: false };
    this.#open.push(begun);
    return begun;
  }

  end(begun: Begun, ok: boolean): void {
    if (ok) this.done += 1;
    else this.failed += 1;
    this.#close(begun);
  }

  skip(item: WarmItem): void {
    this.skipped += 1;
    this.#close(this.begin(item));
  }

  #close(begun: Begun): void {
    begun.ended = true;
    const over = this.#open.findIndex(({ ended }) => !ended);
    const behind = this.#open.splice(0, over === -1 ? this.#open.length : over);
    const last = behind.at(-1);
    if (last === undefined) return;
    this.#passed += behind.length;
    this.#after = last.after;
  }
}

/** @throws CacheError `ERR_CACHE_OPTION`. */
function sharesOf(share: number | readonly number[] = 1): readonly number[] {
  const shares = typeof share === "number" ? [share] : share;
  const rises = shares.every((one, at) => one > (shares[at - 1] ?? 0) && one <= 1);
  if (shares.length === 0 || !rises) throw optionError("share", "above 0, at most 1 and, of several, rising", share);
  return shares;
}

function storeName(plan: WarmPlanDefinition): string {
  return `cursor:${plan.name}`;
}

async function cursorsOf(
  plan: WarmPlanDefinition,
  store: WarmStore | undefined,
): Promise<Readonly<Record<string, StepCursor>>> {
  const text = await store?.read(storeName(plan));
  if (text === undefined) return {};
  try {
    const cursors: unknown = JSON.parse(text);
    if (typeof cursors === "object" && cursors !== null) return cursors as Readonly<Record<string, StepCursor>>;
  } catch {
    // Half of it: as what is not ours, it is passed over.
  }
  // To warm twice is harmless.
  return {};
}
