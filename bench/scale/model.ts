import type { Units } from "./units.js";

/** A system of processes that share masters, as far as its invalidations go. */
export interface Layout {
  readonly processes: number;
  readonly masters: number;
  /** Keys invalidated in a second, by all of them. */
  readonly keysPerSecond: number;
  /** Keys that one record names, as its writer or an appender before the log puts them together. */
  readonly keysPerRecord: number;
  /** Processes behind one subscription: 1, or those of a machine that share a relay. */
  readonly perSubscription: number;
  /** Parts that share nothing, each with its processes, its masters and its keys. */
  readonly cells: number;
  /** Milliseconds between two readings of the log's tail, by each subscription and of each master. */
  readonly heartbeat: number;
}

/** What a layout asks of its parts. */
export interface Load {
  /** Cores of each master that the log needs; above 1 it cannot be, as Redis runs scripts on one. */
  readonly masterCores: number;
  /** Cores of each master that heartbeats need, invalidations or not. */
  readonly heartbeatCores: number;
  /** Cores of each process that hearing needs. */
  readonly processCores: number;
  /** Records that each process hears in a second. */
  readonly recordsHeard: number;
  /** From the first subscriber's message to the last one's, of one record; milliseconds. */
  readonly fanOut: number;
}

/**
 * Costs by addition: a record is appended once and handed to each subscription of its cell, one after the other. A relay hands it
 * on within its machine, at the price of a master's delivery, paid by the machine.
 */
export function loadOf(layout: Layout, units: Units): Load {
  const { keysPerRecord, cells, masters, perSubscription } = layout;
  const processes = layout.processes / cells;
  const subscriptions = processes / perSubscription;
  const records = layout.keysPerSecond / cells / keysPerRecord;
  const delivery = units.deliver + units.deliverKey * (keysPerRecord - 1);
  const fanOut = subscriptions * delivery;
  const appended = units.append + units.appendKey * (keysPerRecord - 1);
  const applied = units.apply + units.applyKey * (keysPerRecord - 1);
  const relayed = perSubscription > 1 ? delivery : 0;
  return {
    masterCores: ((records / (masters / cells)) * (appended + fanOut)) / 1e6,
    heartbeatCores: (subscriptions * units.read) / (layout.heartbeat * 1e3),
    processCores: (records * (applied + relayed)) / 1e6,
    recordsHeard: records,
    fanOut: fanOut / 1e3,
  };
}

/** Keys that may be invalidated in a second when masters and processes give these shares of a core to it. */
export function mostKeys(layout: Layout, units: Units, shares: { master: number; process: number }): number {
  const { masterCores, processCores } = loadOf({ ...layout, keysPerSecond: 1 }, units);
  return Math.min(shares.master / masterCores, shares.process / processCores);
}
