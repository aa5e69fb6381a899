import { seededRandom } from "../../src/simulate/mix.js";
import type { Units } from "./units.js";

export interface CellOptions {
  readonly subscriptions: number;
  readonly keysPerRecord: number;
  /** Records in a second, at moments that know nothing of one another. */
  readonly recordsPerSecond: number;
  /** Share of each process's core that its requests take, in slices that a message waits for; 0 to below 1. */
  readonly busy: number;
  /** Length of such a slice, microseconds. */
  readonly slice: number;
  readonly records: number;
  readonly seed: number;
}

/** From an invalidation's arrival at the master until a process has applied it; milliseconds. */
export interface Lag {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** Subscribers that are looked at: the first, the last and some between. */
const WATCHED = 20;

/**
 * One master and its subscribers, record by record: records queue at the master, which appends each and then hands it to one
 * subscription after the other; at a process they queue behind one another and behind slices of its own work.
 */
export function simulateCell(options: CellOptions, units: Units): Lag {
  const random = seededRandom(options.seed);
  const { subscriptions, keysPerRecord } = options;
  const further = keysPerRecord - 1;
  const append = units.append + units.appendKey * further;
  const deliver = units.deliver + units.deliverKey * further;
  const apply = units.apply + units.applyKey * further;
  const watched = Array.from({ length: WATCHED }, (_, index) =>
    Math.round(((subscriptions - 1) * index) / (WATCHED - 1)),
  );
  const free = watched.map(() => 0);
  const lags: number[] = [];
  let now = 0;
  let masterFree = 0;
  for (let record = 0; record < options.records; record += 1) {
    now += (-Math.log(1 - random()) * 1e6) / options.recordsPerSecond;
    const begun = Math.max(now, masterFree);
    masterFree = begun + append + deliver * subscriptions;
    for (const [index, place] of watched.entries()) {
      const arrived = begun + append + deliver * (place + 1);
      // What is left of a slice under way when the message comes, if one is (Poisson arrivals see time averages).
      const wait = random() < options.busy ? random() * options.slice : 0;
      const done = Math.max(arrived + wait, free[index] ?? 0) + apply;
      free[index] = done;
      lags.push((done - now) / 1e3);
    }
  }
  lags.sort((a, b) => a - b);
  const at = (share: number): number => lags[Math.min(lags.length - 1, Math.floor(share * lags.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}
