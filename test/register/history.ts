import type { Acknowledged, Seen } from "./protocol.js";

export interface Verdict {
  readonly reads: number;
  readonly commits: number;
  /** Pairs of a row and a version that were read more than B after a newer version was known to be committed. */
  readonly staler: number;
  /** The largest staleness of a read, in milliseconds. */
  readonly stalest: number;
  readonly worst: { readonly row: number; readonly version: number; readonly staleness: number } | undefined;
}

/** What was written and what was read, in bounded memory: of each version only its last read can be the stalest. */
export class History {
  readonly #committed = new Map<number, Map<number, number>>();
  readonly #seen = new Map<number, Map<number, number>>();
  reads = 0;
  failed = 0;
  loads = 0;
  commits = 0;
  rolledBack = 0;

  acknowledged(all: readonly Acknowledged[]): void {
    for (const [row, version, at] of all) {
      put(this.#committed, row, version, at);
      this.commits += 1;
    }
  }

  seen(all: readonly Seen[]): void {
    for (const [row, version, last] of all) {
      const known = this.#seen.get(row)?.get(version);
      if (known === undefined || known < last) put(this.#seen, row, version, last);
    }
  }

  /** A read is stale by the time from when a newer version was known to be committed until it began. */
  judge(bound: number): Verdict {
    let staler = 0;
    let worst: Verdict["worst"];
    for (const [row, versions] of this.#seen) {
      const commits = [...(this.#committed.get(row) ?? [])].sort((a, b) => a[0] - b[0]);
      // A commit whose answer was lost is as late as the next one that was answered.
      for (let at = commits.length - 2; at >= 0; at--) {
        const [here, next] = [commits[at], commits[at + 1]];
        if (here !== undefined && next !== undefined) here[1] = Math.min(here[1], next[1]);
      }
      for (const [version, last] of versions) {
        const newer = firstAfter(commits, version);
        const staleness = newer === undefined ? 0 : last - newer;
        if (staleness > bound) staler += 1;
        if (worst === undefined || staleness > worst.staleness) worst = { row, version, staleness };
      }
    }
    return { reads: this.reads, commits: this.commits, staler, stalest: Math.max(0, worst?.staleness ?? 0), worst };
  }
}

function firstAfter(commits: readonly (readonly [number, number])[], version: number): number | undefined {
  let [low, high] = [0, commits.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((commits[middle]?.[0] ?? 0) > version) high = middle;
    else low = middle + 1;
  }
  return commits[low]?.[1];
}

function put(into: Map<number, Map<number, number>>, row: number, version: number, at: number): void {
  const versions = into.get(row);
  if (versions === undefined) into.set(row, new Map([[version, at]]));
  else versions.set(version, at);
}
