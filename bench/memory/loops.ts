import type { Store } from "./stores.js";

/*
 * The measured loops. Every contender imports this module under a name of its own (`loops.ts?for=…`) and so has functions
 * of its own: what the engine learns in a loop that sees one library is not spoilt by the next.
 */

/** A list that is gone through again and again, from where the last loop stopped. */
export interface Round {
  readonly keys: readonly string[];
  at: number;
}

export interface IdRound {
  readonly ids: Uint32Array;
  at: number;
}

export interface Tally {
  reads: number;
  hits: number;
}

/** Reads keys. */
export function reads(store: Store, round: Round, operations: number, tally: Tally): void {
  const { keys } = round;
  let { at } = round;
  let hits = 0;
  for (let left = operations; left > 0; left -= 1) {
    if (at === keys.length) at = 0;
    if (store.get(keys[at++] as string) !== undefined) hits += 1;
  }
  round.at = at;
  tally.reads += operations;
  tally.hits += hits;
}

/** Reads keys that are put together for each read, from ids. */
export function readsBuilt(store: Store, round: IdRound, operations: number, tally: Tally): void {
  const { ids } = round;
  let { at } = round;
  let hits = 0;
  for (let left = operations; left > 0; left -= 1) {
    if (at === ids.length) at = 0;
    if (store.get(`acme:contact:${ids[at++]}`) !== undefined) hits += 1;
  }
  round.at = at;
  tally.reads += operations;
  tally.hits += hits;
}

/** Reads keys and, in vain, sets them. */
export function mixed(store: Store, round: Round, operations: number, tally: Tally, value: unknown): void {
  const { keys } = round;
  let { at } = round;
  let hits = 0;
  for (let left = operations; left > 0; left -= 1) {
    if (at === keys.length) at = 0;
    const key = keys[at++] as string;
    if (store.get(key) !== undefined) hits += 1;
    else store.set(key, value);
  }
  round.at = at;
  tally.reads += operations;
  tally.hits += hits;
}

/** The same for a store that sets in its own time. */
export async function mixedAwaited(
  store: Store,
  round: Round,
  operations: number,
  tally: Tally,
  value: unknown,
): Promise<void> {
  const { keys } = round;
  let { at } = round;
  let hits = 0;
  for (let left = operations; left > 0; left -= 1) {
    if (at === keys.length) at = 0;
    const key = keys[at++] as string;
    if (store.get(key) !== undefined) hits += 1;
    else await store.set(key, value);
  }
  round.at = at;
  tally.reads += operations;
  tally.hits += hits;
}

/** Sets keys, read or not. */
export function sets(store: Store, round: Round, operations: number, value: unknown): void {
  const { keys } = round;
  let { at } = round;
  for (let left = operations; left > 0; left -= 1) {
    if (at === keys.length) at = 0;
    store.set(keys[at++] as string, value);
  }
  round.at = at;
}

/** The same for a store that sets in its own time. */
export async function setsAwaited(store: Store, round: Round, operations: number, value: unknown): Promise<void> {
  const { keys } = round;
  let { at } = round;
  for (let left = operations; left > 0; left -= 1) {
    if (at === keys.length) at = 0;
    await store.set(keys[at++] as string, value);
  }
  round.at = at;
}
