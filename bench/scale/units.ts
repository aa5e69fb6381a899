/**
 * What one step costs, in microseconds of CPU, as measured by `npm run bench -- shared --only fan-out,get-hit` on the machine that
 * bench/RESULTS.md names, one operation after the other: the most it costs, as steps that come together share system calls.
 */
export interface Units {
  /** A server appends a record with one key. */
  readonly append: number;
  /** The same for each further key. */
  readonly appendKey: number;
  /** A server hands one record with one key to one subscriber. */
  readonly deliver: number;
  /** The same for each further key. */
  readonly deliverKey: number;
  /** A process reads and applies a record with one key. */
  readonly apply: number;
  /** The same for each further key. */
  readonly applyKey: number;
  /** A server answers a read that came alone, as a heartbeat's does. */
  readonly read: number;
  /** A server answers one of 64 reads that came together. */
  readonly readTogether: number;
}

/** What was measured of one kind of record. */
interface FanOut {
  readonly keys: number;
  readonly subscribers: number;
  /** Of writer and subscribers together, and of the server; microseconds a record. */
  readonly process: number;
  readonly server: number;
}

const MEASURED: readonly [FanOut, FanOut, FanOut, FanOut] = [
  { keys: 1, subscribers: 0, process: 104.7, server: 65.9 },
  { keys: 1, subscribers: 50, process: 719, server: 343.6 },
  { keys: 100, subscribers: 0, process: 331, server: 191.5 },
  { keys: 100, subscribers: 50, process: 2924.5, server: 782.9 },
];

/** What a server spends on one read, alone and of 64 at once (`--only get-hit`). */
const READ = { alone: 70.7, together: 1.8 } as const;

export const UNITS: Units = unitsOf(...MEASURED);

function unitsOf(one: FanOut, oneHeard: FanOut, many: FanOut, manyHeard: FanOut): Units {
  const further = many.keys - one.keys;
  const deliver = (oneHeard.server - one.server) / oneHeard.subscribers;
  const apply = (oneHeard.process - one.process) / oneHeard.subscribers;
  const deliverMany = (manyHeard.server - many.server) / manyHeard.subscribers;
  const applyMany = (manyHeard.process - many.process) / manyHeard.subscribers;
  return {
    append: one.server,
    appendKey: (many.server - one.server) / further,
    deliver,
    deliverKey: (deliverMany - deliver) / further,
    apply,
    applyKey: (applyMany - apply) / further,
    read: READ.alone,
    readTogether: READ.together,
  };
}
