import type { WarmOptions, WarmPlan, WarmReport, WarmTask } from "./api.js";
import type { Clock, Timer } from "./clock.js";
import { knownOptions, wholeNumber } from "./policy.js";
import { WarmPace } from "./warm-pace.js";

const DEFAULT_CONCURRENCY = 4;
const DEFAULT_PER_SECOND = 1_000;
const MAX_ERRORS = 10;
/** Milliseconds between two looks at a gate before which loads wait. */
const BUSY_PAUSE = 50;

/**
 * Runs the tasks of a plan, a few at a time and no more per second than asked for, so that warming never is the
 * stampede it is there to prevent. It goes slower while tasks take longer than they did, and begins none while others' loads
 * wait at the gate. A task that fails is counted; the others go on.
 *
 * @param busy whether loads wait at the gate.
 * @throws the signal's reason when aborted; the plan's own error when iterating it fails.
 */
export async function warm(
  clock: Clock,
  plan: WarmPlan,
  options: WarmOptions,
  busy: () => boolean = () => false,
): Promise<WarmReport> {
  knownOptions(options, ["concurrency", "perSecond", "signal", "onProgress"], "warm");
  const concurrency = wholeNumber(options.concurrency ?? DEFAULT_CONCURRENCY, "concurrency", 1);
  const pace = new WarmPace(wholeNumber(options.perSecond ?? DEFAULT_PER_SECOND, "perSecond", 1));
  const started = clock.now();
  const running = new Set<Promise<void>>();
  const errors: unknown[] = [];
  let done = 0;
  let failed = 0;
  let due = started;

  const run = async (task: WarmTask): Promise<void> => {
    const began = clock.now();
    try {
      await task();
      done += 1;
    } catch (error) {
      failed += 1;
      if (errors.length < MAX_ERRORS) errors.push(error);
    }
    pace.ended(clock.now() - began);
    try {
      await options.onProgress?.(done, failed);
    } catch (error) {
      // Kept with the tasks' errors: thrown here it would be nobody's rejection.
      if (errors.length < MAX_ERRORS) errors.push(error);
    }
  };

  const { signal } = options;
  for await (const task of plan) {
    if (due > clock.now()) await pause(clock, due - clock.now(), signal);
    while (running.size >= concurrency) await unlessAborted(Promise.race(running), signal);
    // Loads of this plan may be what waits there: those under way end all the same.
    while (busy()) await pause(clock, BUSY_PAUSE, signal);
    signal?.throwIfAborted();
    due += 1_000 / pace.rate;
    const one: Promise<void> = run(task).finally(() => running.delete(one));
    running.add(one);
  }
  await unlessAborted(Promise.all(running), signal);
  return { done, failed, took: clock.now() - started, errors };
}

async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: Timer | undefined;
  const over = new Promise<void>((resolve) => {
    timer = clock.after(ms, resolve, true);
  });
  await unlessAborted(over, signal).finally(() => timer?.cancel());
}

/** What `running` comes to; a task that hangs must not keep the caller who has given up. */
function unlessAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return running;
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    void running.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
