import { describe, expect, it } from "vitest";

import { createCache, memory, type Entity } from "../src/index.js";
import { decodeEnvelope } from "../src/entries/envelope.js";
import { FakeClock, SharedMemory, type SharedStep } from "../src/testing/index.js";
import type { SharedTier, StoredValue } from "../src/tiers/shared.js";

interface Row {
  readonly v: number;
}

const RUNS = 80;
const PROCESSES = 2;
const CALLS = 14;

/** Numbers from 0 to 1 that depend on nothing but the seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Reads what the server holds, in this very moment. */
function inspector(server: SharedMemory): (key: string) => Promise<StoredValue | undefined> {
  const steps: SharedStep[] = [];
  const tier: SharedTier = server.factory((step) => steps.push(step)).open("test");
  return (key) => {
    const read = tier.store.read([key]);
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) step.run();
    return read.then(({ values }) => values[0]);
  };
}

/** What one run did. */
interface Outcome {
  /** Versions in the shared tier, in the order it had them. */
  readonly stored: readonly (number | undefined)[];
  readonly refused: number;
  readonly last: readonly Row[];
  readonly newest: number;
}

/**
 * Writers and readers with loaders that answer from replicas behind one another, on a tier whose every question and answer takes as
 * long as the seed says.
 */
async function run(seed: number, versioned: boolean): Promise<Outcome> {
  const random = numbers(seed);
  const clock = new FakeClock();
  const seen: Promise<number | undefined>[] = [];
  let key = "";
  let look: (key: string) => Promise<StoredValue | undefined> = async () => undefined;
  const versionNow = async (): Promise<number | undefined> => {
    const bytes = await look(key);
    return bytes instanceof Uint8Array ? (decodeEnvelope(bytes).value as Row).v : undefined;
  };
  let quiet = false;
  const server = new SharedMemory({
    clock,
    schedule: (step) => {
      clock.after(quiet ? 0 : Math.floor(random() * 20), () => {
        step.run();
        if (step.kind === "request") seen.push(versionNow());
      });
    },
  });
  look = inspector(server);
  let newest = 1;
  const caches = Array.from({ length: PROCESSES }, () =>
    createCache({ name: "test", clock, random, jitter: 0, ttl: "40ms", tiers: [memory(), server.factory()] }),
  );
  const entities: Entity<number, Row>[] = caches.map((cache) =>
    cache.entity<number, Row>({
      name: "row",
      staleIfError: "1h",
      load: () => ({ v: quiet ? newest : Math.max(1, newest - Math.floor(random() * 4)) }),
      ...(versioned ? { rowVersion: (row: Row) => row.v } : {}),
    }),
  );
  key = entities[0]?.key(1) ?? "";
  await clock.advance(100);
  const calls: Promise<unknown>[] = [];
  for (let call = 0; call < CALLS; call += 1) {
    const entity = entities[Math.floor(random() * PROCESSES)] as Entity<number, Row>;
    const what = random();
    const lag = Math.floor(random() * 3);
    if (what < 0.3) calls.push(entity.set(1, { v: Math.max(1, (newest += 1) - lag) }));
    else if (what < 0.4)
      calls.push(
        entity.writeThrough(1, async () => {
          newest += 1;
          return { v: newest };
        }),
      );
    else if (what < 0.5) calls.push(entity.refresh(1));
    else calls.push(entity.get(1));
    await clock.advance(Math.floor(random() * 30));
  }
  await clock.advance(10_000);
  await Promise.all(calls);
  quiet = true;
  await clock.advance(70_000);
  const reads = Promise.all(entities.map((entity) => entity.get(1, { forceFresh: true })));
  await clock.advance(5_000);
  const last = await reads;
  const refused = caches.reduce((total, cache) => total + (cache.stats().total.refused.older ?? 0), 0);
  const closing = Promise.all(caches.map((cache) => cache.close()));
  await clock.advance(20_000);
  await closing;
  return { stored: await Promise.all(seen), refused, last, newest };
}

/** Times an older row took the place of a newer one. */
function stepsBack({ stored }: Outcome): number {
  return stored.filter((v, index) => {
    const before = stored[index - 1];
    return v !== undefined && before !== undefined && v < before;
  }).length;
}

describe(`rows with versions, in ${RUNS} random schedules`, () => {
  it("no older row takes the place of a newer one in the shared tier, and the newest is there in the end", async () => {
    let refused = 0;
    for (let seed = 1; seed <= RUNS; seed += 1) {
      const outcome = await run(seed, true);
      expect(stepsBack(outcome), `seed ${seed}`).toBe(0);
      expect(outcome.last, `seed ${seed}`).toEqual(Array.from({ length: PROCESSES }, () => ({ v: outcome.newest })));
      refused += outcome.refused;
    }
    expect(refused).toBeGreaterThan(RUNS);
  });

  it("without versions the same schedules do it", async () => {
    let back = 0;
    for (let seed = 1; seed <= 10; seed += 1) back += stepsBack(await run(seed, false));
    expect(back).toBeGreaterThan(0);
  });
});
