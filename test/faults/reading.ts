import type { PeerCache } from "./peers/peer.js";
import { now, seeded, type ReadPlan, type Row, type Sample } from "./protocol.js";

/** Reads under way beyond which a plan begins no more: a process is not to drown in its own harness. */
const MOST_UNDER_WAY = 20_000;
/** How long the reads under way are waited for at the end of a plan. */
const LAST_PATIENCE = 12_000;

/** Reads one cache, and keeps what it got and when. */
export class Reader {
  readonly #cache: PeerCache;
  readonly #load: (key: string) => Promise<Row>;
  /** The library takes the caller's patience itself. */
  readonly #toldPatience: boolean;
  readonly #awaited = new Map<string, number>();

  constructor(cache: PeerCache, load: (key: string) => Promise<Row>, toldPatience: boolean) {
    this.#cache = cache;
    this.#load = load;
    this.#toldPatience = toldPatience;
  }

  /** Whether somebody waits for the key. */
  isAwaited(key: string): boolean {
    return this.#awaited.has(key);
  }

  async read(key: string, patience?: number): Promise<Sample> {
    this.#await(key, 1);
    const startedAt = now();
    try {
      const answer = this.#cache.get(key, { load: () => this.#load(key), patience });
      const row = await (patience === undefined || this.#toldPatience ? answer : within(answer, patience));
      const endedAt = now();
      if (row?.key !== key)
        return { key, startedAt, endedAt, version: -1, error: `another value: ${row?.key ?? "none"}` };
      return { key, startedAt, endedAt, version: row.version };
    } catch (error) {
      return { key, startedAt, endedAt: now(), version: -1, error: describe(error) };
    } finally {
      this.#await(key, -1);
    }
  }

  #await(key: string, by: number): void {
    const count = (this.#awaited.get(key) ?? 0) + by;
    if (count === 0) this.#awaited.delete(key);
    else this.#awaited.set(key, count);
  }
}

/** A plan being carried out. */
export interface Reading {
  stop(): Promise<Sample[]>;
}

/** Begins reads at their times, whether or not earlier ones have been answered. */
export function startReading(reader: Reader, plan: ReadPlan): Reading {
  const samples: Sample[] = [];
  const random = plan.seed === undefined ? undefined : seeded(plan.seed);
  const { keys, batch = 1 } = plan;
  let begun = 0;
  const underWay = new Map<number, { readonly key: string; readonly startedAt: number }>();
  const begin = (): void => {
    if (underWay.size >= MOST_UNDER_WAY) return;
    const turn = begun;
    begun += 1;
    const at = random === undefined ? turn % keys.length : Math.floor(random() * keys.length);
    const key = plan.cold === true ? `${keys[at]}:${turn}` : (keys[at] ?? "");
    underWay.set(turn, { key, startedAt: now() });
    void reader.read(key, plan.patience).then((sample) => {
      underWay.delete(turn);
      samples.push(sample);
    });
  };
  // By the clock and not by ticks: a late timer must not thin out the arrivals.
  const from = now();
  let due = 0;
  const timer = setInterval(
    () => {
      const ticks = Math.floor((now() - from) / plan.every);
      // What a frozen process has missed is not made up for.
      due = Math.max(due, ticks - 50);
      for (; due < ticks; due += 1) for (let i = 0; i < batch; i += 1) begin();
    },
    Math.max(1, plan.every),
  );
  return {
    async stop() {
      clearInterval(timer);
      const until = now() + LAST_PATIENCE;
      while (underWay.size > 0 && now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
      const never = [...underWay.values()].map(({ key, startedAt }) => ({
        key,
        startedAt,
        endedAt: now(),
        version: -1,
        error: "not answered",
      }));
      return [...samples, ...never];
    },
  };
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("out of patience")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : error.message;
}
