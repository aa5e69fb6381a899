import type { Cache } from "../../api.js";
import { systemClock, type Clock, type Timer } from "../../clock.js";
import { toMilliseconds, type Duration } from "../../duration.js";
import { CacheError } from "../../errors.js";
import type { CacheEvent } from "../../events.js";
import type { Mark } from "../../invalidation/record.js";
import { knownOptions, optionError } from "../../policy.js";
import type { PurgeTarget } from "../purge.js";
import { Election } from "./election.js";
import { markTargets, type MarkRules } from "./mark-targets.js";
import { normalTarget } from "./normal-target.js";
import type { HttpPurger, PurgeReport } from "./purger.js";

/** Which process sends, and what. */
export interface ForwardOptions {
  /**
   * Which of the processes on one shared tier sends what is invalidated: one of them that is `elected`, and sends what any process
   * invalidated; the `writer`, each what it invalidated itself; or `every` one what it hears. @default "elected"
   */
  by?: "elected" | "writer" | "every" | undefined;
  /** Keys that are no entity's are forwarded too, as the surrogate key `=` and the key. @default false */
  keys?: boolean | undefined;
  /** Origins whose URLs are purged outside when they are purged here: `["https://www.example.org"]`. @default [] */
  origins?: readonly string[] | undefined;
  /** What no surrogate key names (a pattern, a whole scope, everything) is only told (`tell`), or purges everything. @default "tell" */
  wide?: "tell" | "purge" | undefined;
  /** Purges outside once more so much later: what was on its way there when the first purge came was stored after it. @default not */
  repeatAfter?: Duration | undefined;
  /** Hears what came of each purge, and what could not be forwarded. */
  onEvent?: ((event: ForwardEvent) => void) | undefined;
  /** Source of time; tests inject one. @default the machine's */
  clock?: Clock | undefined;
}

export type ForwardEvent =
  /** A purger has answered; `report.failed` says what it has not done. */
  | { readonly type: "forwarded"; readonly report: PurgeReport }
  /** Nothing outside was purged for these marks: no surrogate key names them. */
  | { readonly type: "unnamed"; readonly marks: readonly Mark[] }
  /** The log was lost for a while: what was invalidated meanwhile is not known, and was not forwarded. */
  | { readonly type: "gap"; readonly position: number }
  /** This process has become the one that sends, or is not any more. */
  | { readonly type: "elected"; readonly elected: boolean };

/** What `forwardInvalidations` gives. */
export interface Forwarding {
  /** Whether this process sends. */
  readonly elected: boolean;
  /** Waits for what has been heard until now: the answers of all purgers since the last call, 1,000 at most. */
  flush(): Promise<readonly PurgeReport[]>;
  /** Hears nothing more, waits for what is under way, and lets another process be elected. The purgers stay open. */
  close(): Promise<void>;
}

const FIELDS = ["by", "keys", "origins", "wide", "repeatAfter", "onEvent", "clock"];
const BY: readonly unknown[] = ["elected", "writer", "every"];
/** Reports kept for `flush`. */
const MAX_REPORTS = 1_000;

/**
 * Makes what is invalidated in a cache leave the HTTP caches in front of it: `contacts.invalidate(7)` purges the responses that carry
 * `surrogateKey("contact", 7)`, a tag those that carry it.
 *
 * The purgers are told in their order, the nearest to the origin first: a CDN that is purged before the proxy behind it fetches
 * the old response from there.
 *
 * @throws CacheError `ERR_CACHE_OPTION`, naming the option, its rule and the value.
 */
export function forwardInvalidations(
  cache: Cache,
  purgers: HttpPurger | readonly HttpPurger[],
  options: ForwardOptions = {},
): Forwarding {
  knownOptions(options, FIELDS, "forwarding");
  if (options.by !== undefined && !BY.includes(options.by)) throw optionError("by", BY.join(", "), options.by);
  if (options.wide !== undefined && options.wide !== "tell" && options.wide !== "purge") {
    throw optionError("wide", '"tell" or "purge"', options.wide);
  }
  return new Forwarder(
    cache,
    Array.isArray(purgers) ? [...(purgers as readonly HttpPurger[])] : [purgers as HttpPurger],
    options,
  );
}

type Invalidated = Extract<CacheEvent, { type: "invalidated" }>;

/** Targets of one event. */
interface Batch {
  readonly own: readonly PurgeTarget[];
  readonly outward: readonly PurgeTarget[];
  readonly soft: boolean;
}

/**
 * For implementers: a purge of our own HTTP cache by a tag is an invalidation itself, which is heard here as well. Tags are not sent
 * to our own caches, so it ends there; and while such a purge is under way its tag is not sent outward again, because it goes there
 * next. In other processes that send (`every`), it goes outward once more.
 */
class Forwarder implements Forwarding {
  readonly #purgers: readonly HttpPurger[];
  readonly #rules: MarkRules;
  readonly #wide: "tell" | "purge";
  readonly #by: "elected" | "writer" | "every";
  readonly #repeatAfter: number | undefined;
  readonly #onEvent: (event: ForwardEvent) => void;
  readonly #clock: Clock;
  readonly #election: Election<Batch> | undefined;
  readonly #offs: (() => void)[];
  /** Tags our own caches are being purged by. */
  readonly #echoes = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  readonly #repeats = new Set<Timer>();
  #reports: PurgeReport[] = [];

  constructor(cache: Cache, purgers: readonly HttpPurger[], options: ForwardOptions) {
    this.#purgers = purgers;
    this.#by = options.by ?? "elected";
    this.#wide = options.wide ?? "tell";
    this.#rules = { keys: options.keys === true, origins: originsOf(options.origins ?? []) };
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#clock = options.clock ?? systemClock;
    this.#repeatAfter =
      options.repeatAfter === undefined ? undefined : toMilliseconds(options.repeatAfter, "repeatAfter");
    this.#offs = [
      cache.on("invalidated", (event) => this.#heard(event)),
      cache.on("log-gap", ({ position }) => this.#tell({ type: "gap", position })),
    ];
    this.#election =
      this.#by !== "elected"
        ? undefined
        : new Election(cache, this.#clock, {
            onElected: (missed) => {
              this.#tell({ type: "elected", elected: true });
              for (const batch of missed) this.#start(batch);
            },
            onLost: () => this.#tell({ type: "elected", elected: false }),
          });
  }

  get elected(): boolean {
    return this.#election?.isElected ?? true;
  }

  async flush(): Promise<readonly PurgeReport[]> {
    await Promise.all(this.#running);
    const reports = this.#reports;
    this.#reports = [];
    return reports;
  }

  async close(): Promise<void> {
    for (const off of this.#offs.splice(0)) off();
    for (const timer of this.#repeats) timer.cancel();
    await Promise.all(this.#running);
    await this.#election?.close();
  }

  #heard(event: Invalidated): void {
    if (this.#by === "writer" && event.origin !== "own") return;
    const batch = this.#batchOf(event.names, event.soft);
    if (batch.own.length === 0 && batch.outward.length === 0) return;
    if (this.#election === undefined || this.#election.isElected) this.#start(batch);
    else this.#election.remember(batch);
  }

  #batchOf(marks: readonly Mark[], soft: boolean): Batch {
    const own: PurgeTarget[] = [];
    const outward: PurgeTarget[] = [];
    const unnamed: Mark[] = [];
    for (const mark of marks) {
      const targets = markTargets(mark, this.#rules);
      own.push(...targets.own);
      outward.push(...targets.outward.filter((target) => !this.#isEcho(target)));
      if (targets.isWide) unnamed.push(mark);
    }
    if (unnamed.length > 0) {
      if (this.#wide === "purge") outward.push({ all: true });
      else this.#tell({ type: "unnamed", marks: unnamed });
    }
    return { own: distinct(own), outward: distinct(outward), soft };
  }

  #isEcho(target: PurgeTarget): boolean {
    return "tag" in target && this.#echoes.has(normalTarget(target).id);
  }

  #start(batch: Batch): void {
    this.#track(this.#send(batch));
  }

  #track(sending: Promise<void>): void {
    const done = sending.then(() => {
      this.#running.delete(done);
    });
    this.#running.add(done);
  }

  /** One purger after another. Never rejects. */
  async #send({ own, outward, soft }: Batch): Promise<void> {
    for (const purger of this.#purgers) {
      const targets = purger.cache === undefined ? outward : own;
      if (targets.length === 0) continue;
      if (purger.cache === undefined) await this.#purge(purger, targets, soft);
      else await this.#purgeOwn(purger, targets, soft);
    }
    if (this.#repeatAfter === undefined || outward.length === 0) return;
    const timer = this.#clock.after(Math.max(1, this.#repeatAfter), () => {
      this.#repeats.delete(timer);
      this.#track(this.#sendOutward(outward, soft));
    });
    this.#repeats.add(timer);
  }

  async #sendOutward(targets: readonly PurgeTarget[], soft: boolean): Promise<void> {
    for (const purger of this.#purgers) if (purger.cache === undefined) await this.#purge(purger, targets, soft);
  }

  async #purgeOwn(purger: HttpPurger, targets: readonly PurgeTarget[], soft: boolean): Promise<void> {
    const ids = targets.map((target) => normalTarget(target).id);
    for (const id of ids) this.#echoes.set(id, (this.#echoes.get(id) ?? 0) + 1);
    await this.#purge(purger, targets, soft);
    for (const id of ids) {
      const left = (this.#echoes.get(id) ?? 1) - 1;
      if (left === 0) this.#echoes.delete(id);
      else this.#echoes.set(id, left);
    }
  }

  async #purge(purger: HttpPurger, targets: readonly PurgeTarget[], soft: boolean): Promise<void> {
    let report: PurgeReport;
    try {
      report = await purger.purge(targets, { mode: soft ? "soft" : "hard" });
    } catch (error) {
      const reason = error instanceof CacheError ? error.code : "the purger threw";
      report = { purger: purger.name, acknowledged: [], failed: targets.map((target) => ({ target, reason })) };
    }
    if (this.#reports.length < MAX_REPORTS) this.#reports.push(report);
    this.#tell({ type: "forwarded", report });
  }

  #tell(event: ForwardEvent): void {
    try {
      this.#onEvent(event);
    } catch {
      // A listener's fault is not the purge's.
    }
  }
}

/** Each once: a row's other versions are the same outside. */
function distinct(targets: readonly PurgeTarget[]): readonly PurgeTarget[] {
  return [...new Map(targets.map((target) => [normalTarget(target).id, target])).values()];
}

function originsOf(origins: unknown): ReadonlySet<string> {
  const isList = Array.isArray(origins) && origins.every((one) => typeof one === "string" && URL.canParse(one));
  if (!isList) throw optionError("origins", "an array of origins", origins);
  return new Set((origins as readonly string[]).map((one) => new URL(one).origin));
}
