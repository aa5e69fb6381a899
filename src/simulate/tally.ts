/** What a simulated cache did. */
export interface Tally {
  gets: number;
  hits: number;
  /** Bytes of the values asked for, and of those held. */
  bytes: number;
  hitBytes: number;
  sets: number;
  deletes: number;
}

export function newTally(): Tally {
  return { gets: 0, hits: 0, bytes: 0, hitBytes: 0, sets: 0, deletes: 0 };
}

export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = newTally();
  for (const tally of tallies) {
    for (const name of Object.keys(sum) as (keyof Tally)[]) sum[name] += tally[name];
  }
  return sum;
}

/** Part of whole; 0 of nothing. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
