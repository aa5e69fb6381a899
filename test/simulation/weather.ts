import type { Pending } from "./network.js";
import type { Random } from "./random.js";

/** How unkind one run is. */
export interface Weather {
  /** How often a step of a kind is passed over when its turn comes: what is slow in this run. */
  readonly slow: Readonly<Record<Pending["kind"], number>>;
  /** Rows that are asked for and aimed at; 0: all. */
  readonly rows: number;
  /** How often a caller is in the same process as the last one, and how often it wants the same row: races are about one key. */
  readonly stays: number;
  /** How often callers read, and write, and how often time passes; a step of what is under way weighs 10 and more. */
  readonly reads: number;
  readonly writes: number;
  readonly time: number;
  /** Servers that the shared tier is spread over. */
  readonly shards: number;
  /** Steps come in any order; else those of a connection and kind in the order they were made. */
  readonly reordered: boolean;
  /** Pushes are lost and doubled. */
  readonly pushes: boolean;
  /** Requests and answers are lost; connections hang and heal. */
  readonly calls: boolean;
  /** Of that only refusals, and many of them. */
  readonly flaky: boolean;
  /** Processes are cut off from a server for a time, both ways or one. */
  readonly partitions: boolean;
  /** Processes die, and others start in their place. */
  readonly crashes: boolean;
  /** The shared tier restarts empty, and its log is trimmed. */
  readonly server: boolean;
  /** Replicas that lag behind take over. */
  readonly failover: boolean;
  /** How far the processes' wall clocks may be wrong, in milliseconds. */
  readonly skew: number;
  /** Loads fail now and then. */
  readonly source: boolean;
  /** Milliseconds a stale value may be served, on either ground; 0 never. */
  readonly stale: number;
  /** Milliseconds after which memory that hears nothing is silent; 0 never. */
  readonly maxStaleness: number;
  /** Milliseconds between two looks at the log by whoever hears nothing of it. */
  readonly heartbeat: number;
  /** Some reads are strict. */
  readonly strict: boolean;
  /** Locks are taken. */
  readonly locks: boolean;
  /** Milliseconds a lease lasts without renewal. */
  readonly leaseTtl: number;
  /** Loads at once in a process, and behind them. */
  readonly concurrency: number;
  readonly queue: number;
  /** Failures in a row that open the breaker: soon, or hardly ever. */
  readonly breakerFailures: number;
  /** Milliseconds for which a feed of the source bounds what is served; 0: there is none, and writers invalidate themselves. */
  readonly fed: number;
  /** Memory is looked at after every step. Looking judges and drops, which may hide what waits to be judged. */
  readonly watched: boolean;
  /** Times that trouble ends and everything is looked at. */
  readonly calms: number;
}

export const HEARTBEAT = 500;

const QUICK = { request: 0, reply: 0, push: 0, source: 0, database: 0, feed: 0 } as const;
const SLOW = [0, 0, 0.7, 0.95] as const;

/** What one kind of trouble needs; the rest is fair. */
const NAMED: Readonly<Record<string, (random: Random) => Partial<Weather>>> = {
  fair: () => ({}),
  joins: (random) => ({
    slow: { ...QUICK, source: random.pick([0.8, 0.95]) },
    rows: 2,
    stays: 0.85,
    reads: 12,
    writes: random.pick([2, 6]),
    source: false,
  }),
  writers: (random) => ({ rows: random.pick([1, 2]), reads: 3, writes: random.pick([2, 6]), time: 0.5 }),
  leases: () => ({ slow: { ...QUICK, source: 0.95 }, leaseTtl: 300, reads: 6, writes: 3, time: 2.5 }),
  pushes: () => ({ pushes: true }),
  calls: () => ({ calls: true }),
  partitions: (random) => ({ partitions: true, pushes: random.chance(0.3) }),
  refusals: () => ({
    calls: true,
    flaky: true,
    rows: 2,
    stays: 0.7,
    reads: 6,
    writes: 2,
    time: 0.5,
    breakerFailures: 1_000,
  }),
  crashes: (random) => ({ crashes: true, calls: random.chance(0.3) }),
  server: (random) => ({ server: true, pushes: random.chance(0.5) }),
  failover: (random) => ({ failover: true, crashes: random.chance(0.3), partitions: random.chance(0.3), calms: 2 }),
  shards: (random) => ({ ...mixed(random), shards: random.pick([2, 3]), failover: false }),
  skew: () => ({ skew: 4_000, pushes: true }),
  busy: (random) => ({ concurrency: random.pick([1, 2]), queue: random.pick([0, 2, 100]), source: random.chance(0.3) }),
  bounded: (random) => ({ maxStaleness: random.pick([150, 700]), partitions: true, pushes: random.chance(0.5) }),
  strict: (random) => ({
    strict: true,
    rows: random.pick([0, 2]),
    pushes: true,
    calls: random.chance(0.3),
    partitions: random.chance(0.3),
  }),
  feed: (random) => fed(random, fair(random), 1),
  standby: (random) => ({
    ...fed(random, fair(random), 1),
    slow: QUICK,
    rows: random.pick([1, 3]),
    reads: 2,
    writes: 0.5,
    time: 1,
    shards: 3,
    reordered: false,
    pushes: true,
    calls: false,
    partitions: random.chance(0.5),
    crashes: false,
    server: false,
    heartbeat: 3_000,
    fed: 300,
    watched: true,
  }),
  locks: (random) => ({ locks: true, time: 6, calls: random.chance(0.7), crashes: random.chance(0.5) }),
};

/** The kinds of weather there are: anything at once, or one trouble at a time. */
export const WEATHERS: readonly string[] = ["mixed", ...Object.keys(NAMED)];

/** @param name one of `WEATHERS`. */
export function drawWeather(random: Random, name: string): Weather {
  if (name === "mixed") return fed(random, mixed(random), 0.1);
  return { ...fair(random), ...NAMED[name]?.(random) };
}

function fair(random: Random): Weather {
  return {
    slow: {
      request: random.pick(SLOW),
      reply: random.pick(SLOW),
      push: random.pick(SLOW),
      source: random.pick(SLOW),
      database: 0,
      feed: 0,
    },
    rows: 0,
    stays: 0.25,
    reads: random.pick([3, 6, 12]),
    writes: random.pick([1, 3, 6]),
    time: random.pick([0.5, 2.5]),
    shards: 1,
    reordered: random.chance(0.7),
    pushes: false,
    calls: false,
    flaky: false,
    partitions: false,
    crashes: false,
    server: false,
    failover: false,
    skew: 0,
    source: random.chance(0.2),
    stale: random.pick([0, 0, 3_000]),
    maxStaleness: 0,
    heartbeat: HEARTBEAT,
    strict: false,
    locks: false,
    leaseTtl: random.pick([2_000, 2_000, 300]),
    concurrency: 64,
    queue: 1_000,
    breakerFailures: random.pick([3, 1_000]),
    fed: 0,
    watched: random.chance(0.5),
    calms: 1,
  };
}

/**
 * The same with a feed, as often as `share` says. A replica that lags behind may forget what the feed has told, which nothing
 * bounds; and what is served because its load failed is as old as that allows.
 */
function fed(random: Random, weather: Weather, share: number): Weather {
  if (!random.chance(share)) return weather;
  const { slow, source, queue, stale } = weather;
  return {
    ...weather,
    slow: { ...slow, database: random.pick(SLOW), feed: random.pick(SLOW) },
    rows: random.pick([0, 1, 3]),
    failover: false,
    pushes: random.chance(0.8),
    calls: random.chance(0.3),
    partitions: random.chance(0.4),
    crashes: random.chance(0.4),
    server: random.chance(0.2),
    shards: random.pick([1, 2, 3]),
    skew: random.pick([0, 4_000]),
    stale: source || queue < 100 ? 0 : stale,
    fed: random.pick([100, 200]),
    // As short as the feed's: then the log and the feed may both be unheard when the tier comes back.
    maxStaleness: random.pick([weather.maxStaleness, 150]),
  };
}

function mixed(random: Random): Weather {
  return {
    ...fair(random),
    shards: random.pick([1, 1, 1, 2, 3]),
    pushes: random.chance(0.7),
    calls: random.chance(0.4),
    partitions: random.chance(0.3),
    crashes: random.chance(0.3),
    server: random.chance(0.2),
    failover: random.chance(0.15),
    skew: random.pick([0, 0, 4_000]),
    source: random.chance(0.3),
    maxStaleness: random.pick([0, 0, 0, 700]),
    strict: random.chance(0.2),
    locks: random.chance(0.25),
    concurrency: random.pick([64, 64, 64, 2, 1]),
    queue: random.pick([1_000, 1_000, 2]),
    calms: random.pick([1, 1, 2]),
  };
}
