/** Milliseconds on the machine's monotonic clock: the same in all its processes. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * What a process's feed leaves out. `at-once`: it publishes a change when it hears of it, seen or not. `no-bound`: entries are
 * believed whatever happens to the feed.
 */
export type Variant = "whole" | "at-once" | "no-bound";

export interface ReaderSettings {
  readonly postgres: string;
  readonly redis: string;
  /** B, in milliseconds. */
  readonly bound: number;
  readonly rows: number;
  readonly variant: Variant;
  readonly method: "replication" | "outbox";
  /** Reads each 20 ms; none: it only feeds. */
  readonly burst: number;
}

export interface WriterSettings {
  readonly postgres: string;
  readonly rows: number;
  readonly seed: number;
}

export type ToChild =
  | { readonly type: "read"; readonly settings: ReaderSettings }
  | { readonly type: "write"; readonly settings: WriterSettings }
  | { readonly type: "ask"; readonly id: number; readonly what: "role" | "values" | "stop" };

/** Reads of one version of a row: how many, and when the last of them began. */
export type Seen = readonly [row: number, version: number, last: number];
/** A version of a row, and when its writer knew that it was committed. */
export type Acknowledged = readonly [row: number, version: number, at: number];

export type FromChild =
  | { readonly type: "ready" }
  | {
      readonly type: "seen";
      readonly reads: number;
      readonly failed: number;
      readonly loads: number;
      readonly seen: readonly Seen[];
    }
  | { readonly type: "acknowledged"; readonly rolledBack: number; readonly acknowledged: readonly Acknowledged[] }
  | { readonly type: "news"; readonly what: string }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown };
