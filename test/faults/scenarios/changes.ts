import { latency, percentile, tenth, type Measured, type Verdict } from "../figures.js";
import { sleep, type Harness, type Member } from "../harness.js";
import {
  keyOf,
  keysOf,
  now,
  orderOf,
  tagOf,
  type KeySpace,
  type Sample,
  type WorkerSettings,
  type WriteOrder,
  type WriteRecord,
} from "../protocol.js";
import type { Servers } from "../servers.js";
import { rush } from "./stampede.js";

const WAYS = ["key", "tag", "prefix", "pattern"] as const;

/** From when on something was wrong with the servers, and when all was there again; for the caches it may take longer. */
export interface Change {
  readonly from: number;
  readonly to: number;
}

/** Some changes of who serves what, one after the other. */
interface Changes {
  readonly servers: Servers;
  readonly space: KeySpace;
  readonly settings?: Partial<WorkerSettings> | undefined;
  readonly rounds: number;
  /** @param writeOnce writes rows that are not touched again: nothing later hides what is forgotten of them. */
  change(writeOnce: () => Promise<void>): Promise<Change>;
  /** After each change, when the caches have had time to find their way. */
  mend?(): Promise<void>;
  /** The servers forget what they acknowledged, until processes that know it tell them again. */
  readonly forgetful?: boolean | undefined;
  /** For a while two servers take themselves for the master, and each is heard by somebody. */
  readonly split?: boolean | undefined;
}

/** What all processes did meanwhile. */
interface Done {
  readonly changes: readonly Change[];
  /** When each process had an invalidation acknowledged again, after each change. */
  readonly recovered: readonly number[];
  readonly samples: readonly Sample[];
  readonly broken: Stampeded;
  /** Every row that was written. */
  readonly keys: readonly string[];
}

/** Longest that any read may take, and that invalidations may be rejected after a change is over; and what is expected. */
const BOUNDS = { read: { must: 10_000, aim: 1_500 }, recovery: { must: 10_000, aim: 3_000 } } as const;
/** A lease goes along to the server that takes over, while its holder's word that it ended is lost: readers wait for its end. */
const LEASE_TTL = 1_000;
/** Of one process of the three. */
const MAX_STALENESS = 1_000;
/** Readers in each process that ask for a cold key at once, and how long its load takes. */
const READERS = 20;
const LOAD = 5;
/** Each process's reads and writes, in milliseconds; a write invalidates six keys or so. */
const READ_EVERY = 2;
const WRITE_EVERY = 100;
/** Where the groups and ids of rows written once, and the groups of cold keys, begin: beside those of any space. */
const ONCE = 500;
const COLD = 1_000;

/**
 * Three processes, of both client libraries, read, write and invalidate all the time while servers take each other's
 * places; a fourth comes when it is over, and believes whatever Redis has kept.
 */
export async function throughChanges(harness: Harness, verdict: Verdict, given: Changes): Promise<Measured> {
  const { servers, forgetful = false, split = false } = given;
  const settings = { leaseTtl: LEASE_TTL, ...given.settings };
  const members = await harness.open(servers, [
    settings,
    { ...settings, client: "ioredis" },
    { ...settings, maxStaleness: MAX_STALENESS },
  ]);
  const stampedes = new Stampedes(harness, members);
  const done = await underLoad(harness, members, given, stampedes);
  const [late] = (await harness.open(servers, [settings])) as [Member];
  const everybody = [...members, late];
  const { judgement, ...measured } = await harness.judged(verdict, everybody, done.keys, { outage: true, forgetful });
  await stampedes.some(3);
  const calm = stampedes.take();
  const times = timesOf(done);
  judgeTimes(verdict, times);
  judgeStampedes(verdict, done.broken, calm, members.length);
  verdict.must(judgement.acked > 0, "no invalidation was acknowledged");
  const bounded = judgement.stalenessOf.get(members[2]?.name ?? "") ?? 0;
  const kept = `with maxStaleness ${MAX_STALENESS} ms, an answer was stale for ${Math.round(bounded)} ms`;
  if (forgetful || split) verdict.aim(bounded <= MAX_STALENESS, kept);
  else verdict.must(bounded <= MAX_STALENESS, kept);
  return {
    ...measured,
    ...latency(times.reads),
    loadsPerStampede: calm.most,
    recoveryMs: tenth(times.recovery),
    more: {
      "loads per stampede while broken": done.broken.most,
      "stampedes while broken": done.broken.count,
      "broken for": tenth(times.broken) ?? 0,
      "staleness, p99": tenth(percentile(judgement.lags, 0.99)) ?? 0,
      "staleness with maxStaleness": tenth(bounded) ?? 0,
      reads: judgement.reads,
      "invalidations acknowledged": judgement.acked,
      "invalidations rejected": judgement.rejected,
    },
  };
}

/** All changes, with everybody reading and writing from before the first until after the last. */
async function underLoad(
  harness: Harness,
  members: readonly Member[],
  given: Changes,
  stampedes: Stampedes,
): Promise<Done> {
  harness.source.latency = LOAD;
  const { space } = given;
  const keys = keysOf(space);
  await harness.readAll(members, keys);
  await harness.startReading(members, { keys, every: READ_EVERY });
  await Promise.all(
    members.map(({ worker }, seed) =>
      worker.send({ type: "start-writing", plan: { ...space, every: WRITE_EVERY, hows: harness.hows(...WAYS), seed } }),
    ),
  );
  const changes: Change[] = [];
  const recovered: number[] = [];
  const once: string[] = [];
  for (let round = 0; round < given.rounds; round += 1) {
    const orders = ordersOnce(round);
    const rows = orders.flatMap((order) => order.keys);
    once.push(...rows);
    await harness.readAll(members, rows);
    // Replicas have got all of it by then.
    await sleep(harness.sized(1_000, 400));
    changes.push(await stampedes.during(given.change(() => writeAll(harness, members, orders))));
    recovered.push(await acknowledged(harness, members, space));
    await sleep(harness.sized(1_500, 500));
    await given.mend?.();
  }
  const broken = stampedes.take();
  const stopped = await harness.stop(members);
  const samples = [...stopped.values()].flatMap((one) => one.samples);
  return { changes, recovered, samples: [...samples, ...broken.samples], broken, keys: [...keys, ...once] };
}

/** A key, a tag and a prefix of rows that nothing else writes; patterns end with the id, and name smaller ones. */
function ordersOnce(round: number): WriteOrder[] {
  const group = ONCE + round * 3;
  const rows = (of: number): string[] => [0, 1, 2].map((id) => keyOf(of, ONCE + id));
  const key = keyOf(group, ONCE);
  return [
    { how: "key", keys: [key], target: key },
    { how: "tag", keys: rows(group + 1), target: tagOf(keyOf(group + 1, ONCE)) },
    { how: "prefix", keys: rows(group + 2), target: `item:g${group + 2}:` },
  ];
}

/** Each by another process. */
async function writeAll(harness: Harness, members: readonly Member[], orders: readonly WriteOrder[]): Promise<void> {
  await Promise.all(
    orders.map(async (order, at) => {
      const member = members[at % members.length] as Member;
      const write = await member.worker.send({ type: "write", order });
      harness.ledger.add({ process: member.name, samples: [], writes: [write] });
    }),
  );
}

/** Has each process invalidate, on every shard, until that is acknowledged; when the last of them was. */
async function acknowledged(harness: Harness, members: readonly Member[], space: KeySpace): Promise<number> {
  const until = now() + BOUNDS.recovery.must;
  const order = orderOf("tag", space, () => 0);
  const probed = members.map(async (member) => {
    const writes: WriteRecord[] = [];
    do {
      if (writes.length > 0) await sleep(50);
      writes.push(await member.worker.send({ type: "write", order }));
    } while (writes.at(-1)?.error !== undefined && now() < until);
    harness.ledger.add({ process: member.name, samples: [], writes });
    return writes.at(-1)?.error === undefined ? now() : Number.POSITIVE_INFINITY;
  });
  return Math.max(...(await Promise.all(probed)));
}

interface Times {
  /** What reads took that began while something was broken. */
  readonly reads: readonly number[];
  /** The longest change. */
  readonly broken: number;
  /** The longest after a change until every process had an invalidation acknowledged. */
  readonly recovery: number;
}

function timesOf({ changes, recovered, samples }: Done): Times {
  const reads: number[] = [];
  let recovery = 0;
  for (const [at, { from, to }] of changes.entries()) {
    const until = recovered[at] ?? to;
    recovery = Math.max(recovery, until - to);
    for (const { startedAt, endedAt } of samples)
      if (startedAt >= from && startedAt <= until) reads.push(endedAt - startedAt);
  }
  return { reads, recovery, broken: Math.max(0, ...changes.map(({ from, to }) => to - from)) };
}

function judgeTimes(verdict: Verdict, { reads, recovery }: Times): void {
  const longest = Math.round(percentile(reads, 1) ?? 0);
  const recovered = `invalidations were rejected until ${Math.round(recovery)} ms after the change`;
  verdict.must(longest <= BOUNDS.read.must, `a read took ${longest} ms while servers changed`);
  verdict.aim(longest <= BOUNDS.read.aim, `a read took ${longest} ms while servers changed`);
  verdict.must(recovery <= BOUNDS.recovery.must, recovered);
  verdict.aim(recovery <= BOUNDS.recovery.aim, recovered);
}

/** Cold keys that everybody asks for at once. */
interface Stampeded {
  readonly count: number;
  readonly samples: readonly Sample[];
  /** Loads of one key. */
  readonly most: number;
}

/** Without Redis each process loads for itself, and once. */
function judgeStampedes(verdict: Verdict, broken: Stampeded, calm: Stampeded, processes: number): void {
  const failed = [...broken.samples, ...calm.samples].find(({ error }) => error !== undefined);
  verdict.must(failed === undefined, `a read of a cold key was rejected: ${failed?.error ?? ""}`);
  verdict.must(broken.most <= processes, `${broken.most} loads of one cold key in ${processes} processes`);
  verdict.must(calm.most <= processes, `${calm.most} loads of one cold key in ${processes} processes`);
  verdict.aim(calm.most === 1, `${calm.most} loads of one cold key after all was calm`);
}

class Stampedes {
  readonly #harness: Harness;
  readonly #members: readonly Member[];
  #next = 0;
  #taken = 0;
  #samples: Sample[] = [];

  constructor(harness: Harness, members: readonly Member[]) {
    this.#harness = harness;
    this.#members = members;
  }

  /** One after the other until it is over. */
  async during<T>(change: Promise<T>): Promise<T> {
    const over = { is: false };
    const end = (): void => void (over.is = true);
    // Its failure is the caller's.
    change.then(end, end);
    while (!over.is) {
      await this.some(1);
      await sleep(50);
    }
    return change;
  }

  async some(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.#samples.push(...(await rush(this.#members, this.#key(this.#next), READERS)));
      this.#next += 1;
    }
  }

  /** What came of those since this was last called. */
  take(): Stampeded {
    const loads: number[] = [];
    for (let at = this.#taken; at < this.#next; at += 1) loads.push(this.#harness.source.count(this.#key(at)));
    const taken = { count: loads.length, samples: this.#samples, most: Math.max(0, ...loads) };
    this.#taken = this.#next;
    this.#samples = [];
    return taken;
  }

  #key(turn: number): string {
    return keyOf(COLD + turn, 0);
  }
}
