import type { Contender } from "../slices.js";
import type * as Loops from "./loops.js";
import type { IdRound, Round, Tally } from "./loops.js";
import { libraries, TTL, type Store } from "./stores.js";
import { VALUE } from "./keys.js";

/** One library of a case, and what was counted of it. */
export interface Rival {
  readonly name: string;
  readonly store: Store;
  readonly loops: typeof Loops;
  readonly tally: Tally;
}

/** Each library with loops of its own. */
export async function rivals(max: number, withTtl: boolean): Promise<Rival[]> {
  const ttl = withTtl ? TTL : undefined;
  return Promise.all(libraries(withTtl).map(([name, { make }]) => rival(name, make(max, ttl))));
}

export async function rival(name: string, store: Store): Promise<Rival> {
  const specifier = `./loops.js?for=${encodeURIComponent(name)}`;
  const loops = (await import(specifier)) as typeof Loops;
  return { name, store, loops, tally: { reads: 0, hits: 0 } };
}

export async function fill({ store, loops }: Rival, keys: readonly string[], value: unknown = VALUE): Promise<void> {
  const round: Round = { keys, at: 0 };
  if (store.awaited === true) await loops.setsAwaited(store, round, keys.length, value);
  else loops.sets(store, round, keys.length, value);
}

export function reader({ name, store, loops, tally }: Rival, keys: readonly string[]): Contender {
  const round: Round = { keys, at: 0 };
  return { name, run: (operations) => loops.reads(store, round, operations, tally) };
}

export function builtReader({ name, store, loops, tally }: Rival, ids: Uint32Array): Contender {
  const round: IdRound = { ids, at: 0 };
  return { name, run: (operations) => loops.readsBuilt(store, round, operations, tally) };
}

export function setter({ name, store, loops }: Rival, keys: readonly string[]): Contender {
  const round: Round = { keys, at: 0 };
  const run = store.awaited === true ? loops.setsAwaited : loops.sets;
  return { name, run: (operations) => run(store, round, operations, VALUE) };
}

export function mixer({ name, store, loops, tally }: Rival, keys: readonly string[]): Contender {
  const round: Round = { keys, at: 0 };
  const run = store.awaited === true ? loops.mixedAwaited : loops.mixed;
  return { name, run: (operations) => run(store, round, operations, tally, VALUE) };
}

export async function closeAll(all: readonly Rival[]): Promise<void> {
  for (const { store } of all) await store.close?.();
}

/** What is printed beside the costs: the hit ratio, and for tiercache the cost it may have. */
export function counts(
  all: readonly Rival[],
  bar: number | undefined,
): (name: string) => Readonly<Record<string, number>> {
  return (name) => {
    const one = all.find((other) => other.name === name);
    const hits = one === undefined || one.tally.reads === 0 ? undefined : one.tally.hits / one.tally.reads;
    return {
      ...(hits === undefined ? {} : { "hits %": Math.round(hits * 1_000) / 10 }),
      ...(bar !== undefined && name.startsWith("tiercache") ? { "bar (cost)": bar } : {}),
    };
  };
}
