import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "../clock.js";
import { mergeReports } from "./merge.js";
import { REPORT_VERSION, type ProcessReport } from "./report.js";
import type { CacheSampler } from "./sampler.js";

/** Places for reports: so many processes of a cache are seen. */
export const PLACES = 64;
const NAMES: readonly string[] = Array.from({ length: PLACES }, (_, place) => `admin-${place}`);
const WATCH = "admin-watch";
/** How often each process asks whether anybody looks; milliseconds. */
const ASK_EVERY = 3_000;
/** How often the one that is looked at says so, and for how long that holds. */
const CALL_EVERY = 4_000;
const CALL_FOR = 12_000;
/** How often reports are pinned and read while somebody looks, and how long one is good for. */
const REPORT_EVERY = 2_000;
const REPORT_FOR = 10_000;
/** Longest report, in characters: more of it is left out, the longest lists first. */
const MOST_TEXT = 64_000;

/**
 * How the processes of a cache hear of each other, through its shared tier: whoever is looked at calls (a text that lasts
 * twelve seconds); the others ask every three seconds whether anybody does, and while so pin a report into one of 64 places every two
 * seconds. Nobody looks: one small read every three seconds for each process, and nothing is written.
 */
export class Processes {
  readonly #sampler: CacheSampler;
  readonly #clock: Clock;
  readonly #own = randomBytes(6).toString("hex");
  readonly #timers = new Map<string, Timer>();
  readonly #others = new Map<string, ProcessReport>();
  #place: { readonly name: string; readonly stamp: Uint8Array } | undefined;
  #looking = false;
  #called = false;
  #closed = false;
  /** The shared tier did not answer the last time. */
  #failing = false;

  constructor(sampler: CacheSampler, clock: Clock) {
    this.#sampler = sampler;
    this.#clock = clock;
    if (sampler.inspector.pinboard.stands) this.#every("ask", ASK_EVERY, () => this.#ask());
  }

  /** Somebody looks here: the others are called, and their reports read. */
  look(): void {
    if (this.#looking || this.#closed || !this.#sampler.inspector.pinboard.stands) return;
    this.#looking = true;
    this.#every("call", CALL_EVERY, () => this.#call());
    this.#every("read", REPORT_EVERY, () => this.#read());
  }

  rest(): void {
    this.#looking = false;
    this.#stop("call");
    this.#stop("read");
    this.#others.clear();
  }

  /** Whether another process is looked at, so that this one reports. */
  get called(): boolean {
    return this.#called;
  }

  /** What the others last said, if that is not long ago. */
  others(): readonly ProcessReport[] {
    return [...this.#others.values()];
  }

  get failing(): boolean {
    return this.#failing;
  }

  /** Takes its report down, so that it is not taken for a process that runs. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    const place = this.#place;
    if (place === undefined) return;
    const { pinboard } = this.#sampler.inspector;
    // Out of reach, or closed before: then its time is over in a few seconds.
    await pinboard.pin(place.name, "", { ttl: 1, seen: place.stamp }).catch(() => undefined);
  }

  async #ask(): Promise<void> {
    const [text] = await this.#sampler.inspector.pinboard.read([WATCH]);
    const isCalled = text !== undefined && text !== this.#own;
    if (isCalled && !this.#called) this.#every("report", REPORT_EVERY, () => this.#report());
    if (!isCalled && this.#called) this.#stop("report");
    if (isCalled) this.#sampler.watch();
    else if (this.#called && !this.#looking) this.#sampler.rest();
    this.#called = isCalled;
  }

  async #call(): Promise<void> {
    await this.#sampler.inspector.pinboard.pin(WATCH, this.#own, { ttl: CALL_FOR, over: true });
  }

  async #report(): Promise<void> {
    const text = reportText(this.#sampler.report());
    const { pinboard } = this.#sampler.inspector;
    const kept = this.#place;
    if (kept !== undefined) {
      const answer = await pinboard.pin(kept.name, text, { ttl: REPORT_FOR, seen: kept.stamp });
      this.#place = answer.state === "pinned" ? { name: kept.name, stamp: answer.stamp } : undefined;
      return;
    }
    const hanging = await pinboard.read(NAMES);
    const free = NAMES.filter((_, place) => hanging[place] === undefined);
    // Not the first of them: processes that begin together would all try for it.
    const name = free[Math.floor(Math.random() * Math.min(free.length, PLACES))];
    if (name === undefined) return;
    const answer = await pinboard.pin(name, text, { ttl: REPORT_FOR });
    if (answer.state === "pinned") this.#place = { name, stamp: answer.stamp };
  }

  async #read(): Promise<void> {
    const texts = await this.#sampler.inspector.pinboard.read(NAMES);
    const found = texts.flatMap((text) => (text === undefined ? [] : (parseReport(text) ?? [])));
    this.#others.clear();
    const own = this.#sampler.report().process.id;
    for (const report of found) if (report.process.id !== own) this.#others.set(report.process.id, report);
  }

  /** Now, and again so long after each end; a failure is told by the guard of the tier. */
  #every(name: string, ms: number, act: () => Promise<void>): void {
    const run = (): void => {
      act()
        .then(
          () => (this.#failing = false),
          () => (this.#failing = true),
        )
        .finally(() => {
          if (!this.#closed && this.#timers.has(name)) this.#timers.set(name, this.#clock.after(ms, run));
        });
    };
    this.#timers.set(name, this.#clock.after(0, run));
  }

  #stop(name: string): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
  }
}

/** As much of a report as others need; still too long, the longest lists go first. */
function reportText(report: ProcessReport): string {
  const { sampled } = report;
  const usual: ProcessReport = {
    ...report,
    minutes: report.minutes.slice(-60),
    notes: report.notes.slice(-80),
    sampled: sampled && { ...sampled, misses: sampled.misses.slice(-50) },
  };
  const text = JSON.stringify(usual);
  if (text.length <= MOST_TEXT) return text;
  const less: ProcessReport = { ...usual, notes: report.notes.slice(-20), sampled: undefined };
  const shorter = JSON.stringify(less);
  if (shorter.length <= MOST_TEXT) return shorter;
  return JSON.stringify({ ...less, notes: [], stats: { ...less.stats, entities: {} } });
}

/** What hangs in the shared tier may be anybody's: what does not look like a report, or cannot be added to one, is none. */
function parseReport(text: string): ProcessReport | undefined {
  try {
    const report = JSON.parse(text) as Partial<ProcessReport> | null;
    if (report?.version !== REPORT_VERSION || typeof report.process?.id !== "string") return undefined;
    mergeReports([report as ProcessReport]);
    return report as ProcessReport;
  } catch {
    return undefined;
  }
}
