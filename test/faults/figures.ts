import type { PeerName } from "./protocol.js";

/** What one scenario came to for one library; milliseconds. A figure that does not apply is left out. */
export interface Figures {
  readonly scenario: string;
  readonly peer: PeerName;
  /** Loads of the source per cold key that everybody asked for at once: the most seen. */
  readonly loadsPerStampede?: number | undefined;
  /** Keys times processes that were wrong after everything had been calm for a while. */
  readonly staleAfterQuiet?: number | undefined;
  /** Keys times processes older than an invalidation that had resolved, after the same calm. */
  readonly ackedAndLost?: number | undefined;
  /** Reads older than what the same process had invalidated before. */
  readonly ownStale?: number | undefined;
  /** Reads older than an earlier read of the same process. */
  readonly backwards?: number | undefined;
  /** The longest after an acknowledged invalidation that another process began a read and got the old value. */
  readonly largestStaleness?: number | undefined;
  /** Of what the scenario says it measures. */
  readonly p50?: number | undefined;
  readonly p99?: number | undefined;
  readonly max?: number | undefined;
  /** Reads that were rejected, or not answered at all. */
  readonly errors?: number | undefined;
  /** Rejections and exceptions nobody handled, in any process. */
  readonly unhandled?: number | undefined;
  /** From the end of the fault until all was as before. */
  readonly recoveryMs?: number | undefined;
  /** How long the scenario took, its processes not counted. */
  readonly took?: number | undefined;
  /** What else the scenario measured. */
  readonly more?: Readonly<Record<string, number | string>> | undefined;
  /** Whether every rule of correctness was kept. */
  readonly ok: boolean;
  /** The rules that were broken. */
  readonly why: readonly string[];
  /** The times that were not kept: told, but no failure, as a busy machine breaks them too. */
  readonly slow: readonly string[];
  /** Why the scenario cannot be asked of this library. */
  readonly unsupported?: string | undefined;
}

/** What a scenario measured, without its verdict. */
export type Measured = Omit<Figures, "scenario" | "peer" | "took" | "ok" | "why" | "slow" | "unsupported">;

/** Collects broken rules while a scenario is judged. */
export class Verdict {
  readonly why: string[] = [];
  readonly slow: string[] = [];

  /** A rule of correctness: breaking it is a failure. */
  must(kept: boolean, rule: string): void {
    if (!kept) this.why.push(rule);
  }

  /** A time to be kept on a machine that is not busy. */
  aim(kept: boolean, rule: string): void {
    if (!kept) this.slow.push(rule);
  }
}

/** The value below which this share of the numbers lies; `undefined` of none. */
export function percentile(numbers: readonly number[], share: number): number | undefined {
  if (numbers.length === 0) return undefined;
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** p50, p99 and max, rounded to a tenth of a millisecond. */
export function latency(numbers: readonly number[]): Pick<Measured, "p50" | "p99" | "max"> {
  return {
    p50: tenth(percentile(numbers, 0.5)),
    p99: tenth(percentile(numbers, 0.99)),
    max: tenth(percentile(numbers, 1)),
  };
}

export function tenth(number: number | undefined): number | undefined {
  return number === undefined ? undefined : Math.round(number * 10) / 10;
}
