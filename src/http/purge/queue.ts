import type { Timer } from "../../clock.js";
import { CacheError } from "../../errors.js";
import { optionError } from "../../policy.js";
import { listOf, type PurgeTarget } from "../purge.js";
import { normalTarget, purgeTargetOf } from "./normal-target.js";
import type { HttpPurger, NormalTarget, PurgeEvent, PurgeOptions, PurgeReport } from "./purger.js";
import { resolveQueueOptions, type PurgeQueueOptions, type ResolvedQueueOptions } from "./queue-options.js";
import { TokenBucket } from "./token-bucket.js";
import type { CallResult, PurgeCall, PurgeVendor } from "./vendor.js";

/** A target on its way: one for all who ask for it while it waits. */
interface Item {
  readonly target: NormalTarget;
  soft: boolean;
  /** Requests that have yet to be answered. */
  open: number;
  reason: string | undefined;
  readonly settled: Promise<string | undefined>;
  readonly settle: (reason: string | undefined) => void;
}

/** A request on its way. */
interface Job {
  readonly call: PurgeCall;
  readonly items: readonly Item[];
  attempt: number;
}

/** Longest `close` waits for what is under way, in milliseconds. */
const CLOSE_WAIT = 5_000;

/** A vendor with a queue before it: gathers, batches, keeps to the rate, sends again, and says what came of it. */
export function queuedPurger(vendor: PurgeVendor, options: PurgeQueueOptions = {}): HttpPurger {
  return new PurgeQueue(vendor, resolveQueueOptions(options, vendor.rate));
}

/**
 * For implementers:
 * - A target that *waits* is one for all who ask for it. One that is under way is not joined: what was asked for later may be about a
 *   copy that was made since the vendor dropped the last one, so it is sent again.
 * - An item is acknowledged when every request that names it is: a vendor with several servers has one for each.
 * - Items are bounded by `maxQueued` from the moment they are taken in until they are settled, so requests are bounded as well.
 */
class PurgeQueue implements HttpPurger {
  readonly name: string;
  readonly #vendor: PurgeVendor;
  readonly #options: ResolvedQueueOptions;
  readonly #bucket: TokenBucket;
  readonly #waiting = new Map<string, Item>();
  readonly #unsettled = new Set<Item>();
  readonly #jobs: Job[] = [];
  readonly #timers = new Set<Timer>();
  readonly #abort = new AbortController();
  #running = 0;
  #gathering: Timer | undefined;
  #pausing: Timer | undefined;
  #closing: Promise<void> | undefined;

  constructor(vendor: PurgeVendor, options: ResolvedQueueOptions) {
    this.name = vendor.name;
    this.#vendor = vendor;
    this.#options = options;
    this.#bucket = new TokenBucket(options.clock, options.perSecond, options.burst);
  }

  async purge(
    targets: PurgeTarget | readonly PurgeTarget[],
    { mode = "hard" }: PurgeOptions = {},
  ): Promise<PurgeReport> {
    if (this.#closing !== undefined) throw new CacheError("ERR_CACHE_CLOSED", `The purger ${this.name} was closed`);
    if (mode !== "hard" && mode !== "soft") throw optionError("mode", '"hard" or "soft"', mode);
    const wanted = new Map(
      listOf(targets)
        .map((target) => normalTarget(target))
        .map((one) => [one.id, one] as const),
    );
    const outcomes = Array.from(wanted.values(), async (target) => ({
      target: purgeTargetOf(target),
      reason: await this.#take(target, mode === "soft"),
    }));
    const acknowledged: PurgeTarget[] = [];
    const failed: { target: PurgeTarget; reason: string }[] = [];
    for (const { target, reason } of await Promise.all(outcomes)) {
      if (reason === undefined) acknowledged.push(target);
      else failed.push({ target, reason });
    }
    return { purger: this.name, acknowledged, failed };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#gathering?.cancel();
    this.#gather();
    const settled = Promise.all(Array.from(this.#unsettled, (item) => item.settled));
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(CLOSE_WAIT, resolve, true);
    });
    await Promise.race([settled, late]);
    timer?.cancel();
    this.#abort.abort();
    this.#pausing?.cancel();
    for (const waiting of this.#timers) waiting.cancel();
    this.#jobs.length = 0;
    for (const item of this.#unsettled) this.#settle(item, "the purger was closed");
  }

  /** Why a target was not purged; `undefined` when it was. */
  #take(target: NormalTarget, soft: boolean): Promise<string | undefined> {
    const refusal = this.#vendor.refusal(target);
    if (refusal !== undefined) return this.#refuse(refusal);
    const waiting = this.#waiting.get(target.id);
    if (waiting !== undefined) {
      // Gone is stale as well.
      waiting.soft &&= soft;
      return waiting.settled;
    }
    if (this.#unsettled.size >= this.#options.maxQueued) return this.#refuse("the queue is full");
    const item = newItem(target, soft);
    this.#waiting.set(target.id, item);
    this.#unsettled.add(item);
    this.#gathering ??= this.#options.clock.after(Math.max(1, this.#options.window), () => this.#gather());
    return item.settled;
  }

  #refuse(reason: string): Promise<string> {
    this.#tell({ type: "failed", purger: this.name, targets: 1, reason });
    return Promise.resolve(reason);
  }

  /** What waits becomes requests. */
  #gather(): void {
    this.#gathering = undefined;
    const items = [...this.#waiting.values()];
    this.#waiting.clear();
    const everything = items.find(({ target, soft }) => target.kind === "all" && !soft);
    if (everything !== undefined) this.#queue([everything], false, items);
    else
      for (const soft of [false, true])
        this.#queue(
          items.filter((item) => item.soft === soft),
          soft,
        );
    this.#pump();
  }

  /** @param riders items that are done when these are. */
  #queue(items: readonly Item[], soft: boolean, riders: readonly Item[] = items): void {
    if (items.length === 0) return;
    const byTarget = new Map(items.map((item) => [item.target, item] as const));
    for (const call of this.#vendor.calls([...byTarget.keys()], soft)) {
      const own = riders === items ? call.targets.flatMap((target) => byTarget.get(target) ?? []) : riders;
      for (const item of own) item.open += 1;
      this.#jobs.push({ call, items: own, attempt: 1 });
    }
    for (const item of riders) if (item.open === 0) this.#settle(item, "no request of the vendor's names it");
  }

  /** Sends what the rate allows. */
  #pump(): void {
    const { clock } = this.#options;
    while (this.#running < this.#vendor.rate.concurrency && this.#pausing === undefined) {
      const [job] = this.#jobs;
      if (job === undefined) return;
      const wait = this.#bucket.take(job.call.cost);
      if (wait > 0) {
        this.#pausing = clock.after(wait, () => {
          this.#pausing = undefined;
          this.#pump();
        });
        return;
      }
      this.#jobs.shift();
      this.#running += 1;
      // It does not reject: what fails is the items' outcome.
      void this.#send(job).then(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
  }

  async #send(job: Job): Promise<void> {
    const { clock, timeout } = this.#options;
    const began = clock.now();
    const late = new AbortController();
    const timer = clock.after(timeout, () => late.abort(), true);
    let result: CallResult;
    try {
      result = await job.call.send(AbortSignal.any([late.signal, this.#abort.signal]));
    } catch {
      // Only a vendor's own fault comes here; what it says is not shown, as it may hold anything.
      result = { kind: "failed", reason: "the request could not be made", again: false };
    } finally {
      timer.cancel();
    }
    if (result.kind === "failed") return this.#failed(job, result);
    const missing = new Set(result.missing);
    const { length: targets } = job.items;
    this.#tell({ type: "purged", purger: this.name, targets, attempt: job.attempt, took: clock.now() - began });
    for (const item of job.items) this.#answered(item, missing.has(item.target) ? "not acknowledged" : undefined);
  }

  #failed(job: Job, { reason, again, after = 0 }: Extract<CallResult, { kind: "failed" }>): void {
    const { attempts, clock } = this.#options;
    const { length: targets } = job.items;
    if (!again || job.attempt >= attempts || this.#abort.signal.aborted) {
      this.#tell({ type: "failed", purger: this.name, targets, reason });
      for (const item of job.items) this.#answered(item, reason);
      return;
    }
    const delay = this.#delay(job.attempt, after);
    this.#tell({ type: "retried", purger: this.name, targets, attempt: job.attempt, delay, reason });
    job.attempt += 1;
    const timer = clock.after(delay, () => {
      this.#timers.delete(timer);
      // Before what has not been sent at all: it was asked for earlier.
      this.#jobs.unshift(job);
      this.#pump();
    });
    this.#timers.add(timer);
  }

  /** Random up to a bound that doubles (full jitter), so that processes that failed together do not come back together. */
  #delay(attempt: number, after: number): number {
    const { retryDelay, maxRetryDelay, random } = this.#options;
    const bound = Math.min(maxRetryDelay, retryDelay * 2 ** (attempt - 1));
    return Math.max(1, Math.round(random() * bound), Math.min(after, maxRetryDelay));
  }

  #answered(item: Item, reason: string | undefined): void {
    item.open -= 1;
    item.reason ??= reason;
    if (item.open === 0) this.#settle(item, item.reason);
  }

  #settle(item: Item, reason: string | undefined): void {
    this.#unsettled.delete(item);
    item.settle(reason);
  }

  #tell(event: PurgeEvent): void {
    try {
      this.#options.onEvent(event);
    } catch {
      // A listener's fault is not the purge's.
    }
  }
}

function newItem(target: NormalTarget, soft: boolean): Item {
  let settle: (reason: string | undefined) => void = () => undefined;
  const settled = new Promise<string | undefined>((resolve) => {
    settle = resolve;
  });
  return { target, soft, open: 0, reason: undefined, settled, settle };
}
