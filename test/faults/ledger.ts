import type { Row, Sample, WriteRecord } from "./protocol.js";

/** What one process did. */
export interface Account {
  readonly process: string;
  readonly samples: readonly Sample[];
  readonly writes: readonly WriteRecord[];
}

/** What the reads of all processes, held against all writes, come to. */
export interface Judgement {
  readonly reads: number;
  /** Rejected reads by what they said. */
  readonly errors: ReadonlyMap<string, number>;
  readonly errorCount: number;
  /** Reads that began after an invalidation of their own process had settled, and gave what it was to remove. */
  readonly ownStale: readonly string[];
  /** Reads that gave less than an earlier one of their process, which had ended before they began. */
  readonly backwards: readonly string[];
  /** For each acknowledged invalidation, other process and key: how long after it reads still began and gave the old value. */
  readonly lags: readonly number[];
  readonly largestStaleness: number;
  /** The same for each process. */
  readonly stalenessOf: ReadonlyMap<string, number>;
  /** Invalidations that resolved, and that rejected. */
  readonly acked: number;
  readonly rejected: number;
}

interface Settled {
  readonly process: string;
  readonly version: number;
  readonly at: number;
  readonly acked: boolean;
}

/** Every write that was told of, and what it obliges readers to. Reads are judged by versions alone. */
export class Ledger {
  readonly #accounts: Account[] = [];
  readonly #settled = new Map<string, Settled[]>();

  add(account: Account): void {
    this.#accounts.push(account);
    for (const write of account.writes) {
      for (const { key, version } of write.rows) {
        const ofKey = this.#settled.get(key) ?? [];
        this.#settled.set(key, ofKey);
        ofKey.push({ process: account.process, version, at: write.settledAt, acked: write.error === undefined });
      }
    }
  }

  /** The newest version whose invalidation resolved; whoever gives less has lost it. */
  acked(key: string): number {
    return Math.max(1, ...this.#of(key).map((write) => (write.acked ? write.version : 1)));
  }

  /** The newest version whose invalidation was tried, by a process that lives to try again. */
  tried(key: string, dead: ReadonlySet<string> = new Set()): number {
    return Math.max(1, ...this.#of(key).map((write) => (write.acked || !dead.has(write.process) ? write.version : 1)));
  }

  judge(): Judgement {
    const errors = new Map<string, number>();
    const ownStale: string[] = [];
    const backwards: string[] = [];
    const lags: number[] = [];
    const stalenessOf = new Map<string, number>();
    let reads = 0;
    for (const { process, samples } of this.#accounts) {
      for (const [key, ofKey] of byKey(samples)) {
        reads += ofKey.length;
        for (const { error } of ofKey) if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1);
        const answered = ofKey.filter((sample) => sample.error === undefined);
        const settled = this.#of(key);
        ownStale.push(...ownStaleOf(process, answered, settled));
        backwards.push(...backwardsOf(process, answered));
        const ofOthers = settled.filter((write) => write.acked && write.process !== process);
        for (const write of ofOthers) {
          const lag = lagOf(write, answered);
          lags.push(lag);
          if (lag > (stalenessOf.get(process) ?? 0)) stalenessOf.set(process, lag);
        }
      }
    }
    const writes = this.#accounts.flatMap((account) => account.writes);
    return {
      reads,
      errors,
      errorCount: sum(errors.values()),
      ownStale,
      backwards,
      lags,
      largestStaleness: Math.max(0, ...stalenessOf.values()),
      stalenessOf,
      acked: writes.filter((write) => write.error === undefined).length,
      rejected: writes.filter((write) => write.error !== undefined).length,
    };
  }

  #of(key: string): readonly Settled[] {
    return this.#settled.get(key) ?? [];
  }
}

/** An invalidation that rejects binds its own process too: it serves nothing of it any more. */
function ownStaleOf(process: string, samples: readonly Sample[], settled: readonly Settled[]): string[] {
  const own = settled.filter((write) => write.process === process);
  const found: string[] = [];
  for (const { key, version, startedAt } of samples) {
    const broken = own.find((write) => write.at <= startedAt && write.version > version);
    if (broken !== undefined) {
      found.push(
        `${process} read ${key} v${version} ${Math.round(startedAt - broken.at)} ms after its own ${broken.acked ? "acknowledged" : "rejected"} invalidation of v${broken.version}`,
      );
    }
  }
  return found;
}

function backwardsOf(process: string, samples: readonly Sample[]): string[] {
  const found: string[] = [];
  const ended = [...samples].sort((a, b) => a.endedAt - b.endedAt);
  const begun = [...samples].sort((a, b) => a.startedAt - b.startedAt);
  let next = 0;
  let newest = 0;
  for (const sample of begun) {
    for (let done = ended[next]; done !== undefined && done.endedAt <= sample.startedAt; done = ended[next]) {
      newest = Math.max(newest, done.version);
      next += 1;
    }
    if (sample.version < newest) found.push(`${process} read ${sample.key} v${sample.version} after v${newest}`);
  }
  return found;
}

/** How long after the write was acknowledged a read still began that gave an older version; 0 for none. */
function lagOf(write: Settled, samples: readonly Sample[]): number {
  let lag = 0;
  for (const { version, startedAt } of samples) {
    if (startedAt >= write.at && version < write.version) lag = Math.max(lag, startedAt - write.at);
  }
  return lag;
}

function byKey(samples: readonly Sample[]): Map<string, Sample[]> {
  const map = new Map<string, Sample[]>();
  for (const sample of samples) {
    const ofKey = map.get(sample.key);
    if (ofKey === undefined) map.set(sample.key, [sample]);
    else ofKey.push(sample);
  }
  return map;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/** The rows of a space in which a reader's answer is too old. */
export function olderThan(samples: readonly Sample[], least: (key: string) => number): Row[] {
  return samples
    .filter((sample) => sample.error === undefined && sample.version < least(sample.key))
    .map(({ key, version }) => ({ key, version }));
}
