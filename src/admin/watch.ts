import { randomBytes } from "node:crypto";
import type { Cache } from "../api.js";
import type { Clock, Timer } from "../clock.js";
import { LiveStream } from "./live.js";
import { mergeReports, type Overview } from "./merge.js";
import type { AdminSettings } from "./options.js";
import { Processes } from "./processes.js";
import type { ProcessReport } from "./report.js";
import { CacheSampler, processFacts } from "./sampler.js";

/** How often pages are told; milliseconds. */
const TICK = 1_000;
/** How long somebody is taken to look after a request without a stream. */
const GRACE = 15_000;

/** One cache that is looked at. */
export interface WatchedCache {
  readonly name: string;
  readonly cache: Cache;
  readonly sampler: CacheSampler;
  readonly processes: Processes | undefined;
}

/** What was sent to pages of one process, so that the next message has what is new. */
interface Sent {
  at: number;
  note: number;
  miss: number;
}

/** The caches, and who looks at them: counts by key, calls of other processes and messages to pages happen only meanwhile. */
export class Watch {
  readonly caches: readonly WatchedCache[];
  readonly live: LiveStream;
  readonly #clock: Clock;
  readonly #sent = new Map<string, Sent>();
  #until = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(caches: readonly Cache[], settings: AdminSettings) {
    const { clock, name, environment } = settings;
    this.#clock = clock;
    const facts = processFacts(randomBytes(6).toString("hex"), name, environment, clock);
    this.caches = caches.map((cache) => {
      const sampler = new CacheSampler(cache, facts, clock);
      const processes = settings.processes ? new Processes(sampler, clock) : undefined;
      return { name: sampler.inspector.cacheName, cache, sampler, processes };
    });
    this.live = new LiveStream(clock, { onFirst: () => this.attend(), onLast: () => this.attend() });
  }

  /** Somebody looks, and does for a while. */
  attend(): void {
    this.#until = this.#clock.now() + GRACE;
    if (this.#timer !== undefined) return;
    for (const { sampler, processes } of this.caches) {
      sampler.watch();
      processes?.look();
    }
    this.#timer = this.#clock.after(TICK, () => this.#tick());
  }

  /** What is known of a cache: by this process, and by others that report. */
  reports(cache: WatchedCache): readonly ProcessReport[] {
    return [cache.sampler.report(), ...(cache.processes?.others() ?? [])];
  }

  /** One process's, or of all as one; `undefined` for a process that does not report. */
  overview(cache: WatchedCache, process: string): Overview | undefined {
    const reports = this.reports(cache);
    return mergeReports(process === "all" ? reports : reports.filter((report) => report.process.id === process));
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.live.close();
    for (const { sampler } of this.caches) sampler.close();
    await Promise.all(this.caches.flatMap(({ processes }) => (processes === undefined ? [] : [processes.close()])));
  }

  #tick(): void {
    if (this.live.clients === 0 && this.#clock.now() > this.#until) {
      this.#timer = undefined;
      this.#sent.clear();
      for (const { sampler, processes } of this.caches) {
        processes?.rest();
        // Another process is looked at, which this one reports to.
        if (processes?.called !== true) sampler.rest();
      }
      return;
    }
    for (const cache of this.caches) {
      const reports = this.reports(cache).flatMap((report) => this.#news(report) ?? []);
      const { failing } = cache.processes ?? { failing: false };
      if (reports.length > 0) this.live.send("reports", { cache: cache.name, failing, reports });
    }
    this.#timer = this.#clock.after(TICK, () => this.#tick());
  }

  /** The report without what was sent before; `undefined` when all of it was. */
  #news(report: ProcessReport): ProcessReport | undefined {
    const name = `${report.cache}\n${report.process.id}`;
    const sent = this.#sent.get(name) ?? { at: 0, note: 0, miss: 0 };
    this.#sent.set(name, sent);
    if (report.at <= sent.at) return undefined;
    const notes = report.notes.filter(({ number }) => number > sent.note);
    const misses = report.sampled?.misses.filter(({ number }) => number > sent.miss) ?? [];
    sent.at = report.at;
    sent.note = notes.at(-1)?.number ?? sent.note;
    sent.miss = misses.at(-1)?.number ?? sent.miss;
    const sampled = report.sampled && { ...report.sampled, misses };
    return { ...report, minutes: report.minutes.slice(-1), notes, sampled };
  }
}
