/**
 * Which transactions a reader sees: `pg_current_snapshot()`. Transaction ids are the 64-bit ones, which do not wrap.
 *
 * The server wakes its log's readers when a commit is flushed, before the transaction leaves the list of running ones: a
 * `SELECT` may still show the old row when the event is here. (With synchronous replication that takes as long as the
 * replica does.) So an event is acted upon when a snapshot sees its transaction.
 */
export interface Snapshot {
  /** All below have ended. */
  readonly xmin: bigint;
  /** None from here on has ended. */
  readonly xmax: bigint;
  /** Those between that are running. */
  readonly running: ReadonlySet<bigint>;
}

/** @throws TypeError for what is not `xmin:xmax:xip,…`. */
export function parseSnapshot(text: unknown): Snapshot {
  const match = typeof text === "string" ? /^(\d+):(\d+):([\d,]*)$/.exec(text) : null;
  const [, xmin, xmax, running] = match ?? [];
  if (xmin === undefined || xmax === undefined || running === undefined)
    throw new TypeError(`Not a snapshot: ${String(text)}`);
  const ids = running === "" ? [] : running.split(",").map(BigInt);
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), running: new Set(ids) };
}

export function snapshotText({ xmin, xmax, running }: Snapshot): string {
  return `${xmin}:${xmax}:${[...running].join(",")}`;
}

/** Whether a transaction that has committed is seen. */
export function isVisible(xid: bigint, { xmin, xmax, running }: Snapshot): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid));
}

/** Whether `later` sees all that `earlier` sees. */
export function seesAllOf(later: Snapshot, earlier: Snapshot): boolean {
  if (later.xmax < earlier.xmax) return false;
  for (const xid of later.running) if (isVisible(xid, earlier)) return false;
  return true;
}

const HALF = 1n << 31n;
const WHOLE = 1n << 32n;

/**
 * The 64-bit id of a transaction from the 32 bits that the log carries: the one nearest to `near`, for no two transactions
 * that are alive at a time are 2^31 apart.
 */
export function widenXid(low: number, near: bigint): bigint {
  const xid = (near & ~(WHOLE - 1n)) | BigInt(low);
  if (xid > near + HALF && xid >= WHOLE) return xid - WHOLE;
  return xid + HALF < near ? xid + WHOLE : xid;
}
