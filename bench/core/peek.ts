import { LRUCache } from "lru-cache";

import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import { boundedMemory, MAX_ENTRIES, tiercacheWith } from "./contenders.js";
import { contact, zipf, type Contact } from "./workload.js";

const DRAWS = 2 ** 17;

/** The synchronous read of what memory holds. */
export async function peek(setting: Setting): Promise<CaseResult[]> {
  const results = [await peeks(setting, 10_000)];
  if (!setting.quick) results.push(await peeks(setting, 100_000));
  return results;
}

async function peeks({ plan }: Setting, population: number): Promise<CaseResult> {
  const keys = Array.from({ length: population }, (_, id) => `acme:contact:${id}`);
  const draws = Array.from(zipf(population, DRAWS), (rank) => keys[rank] as string);
  const cache = tiercacheWith([boundedMemory()]);
  const map = new Map<string, Contact>();
  const lru = new LRUCache<string, Contact>({ max: MAX_ENTRIES, ttl: 300_000 });
  const timeless = new LRUCache<string, Contact>({ max: MAX_ENTRIES });
  for (const [id, key] of keys.entries()) {
    const value = contact(id, 100);
    await cache.set(key, value);
    map.set(key, value);
    lru.set(key, value);
    timeless.set(key, value);
  }
  // A loop of its own for each, so that no call site sees more than one of them.
  const contenders: Contender[] = [
    {
      name: "bare Map",
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i += 1) sum += map.get(draws[i & (DRAWS - 1)] as string)?.id ?? Number.NaN;
        checked(sum);
      },
    },
    {
      name: "tiercache",
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i += 1)
          sum += cache.peek<Contact>(draws[i & (DRAWS - 1)] as string)?.id ?? Number.NaN;
        checked(sum);
      },
    },
    {
      name: "lru-cache, no ttl",
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i += 1) sum += timeless.get(draws[i & (DRAWS - 1)] as string)?.id ?? Number.NaN;
        checked(sum);
      },
    },
    {
      name: "lru-cache, ttl",
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i += 1) sum += lru.get(draws[i & (DRAWS - 1)] as string)?.id ?? Number.NaN;
        checked(sum);
      },
    },
  ];
  const measured = await interleave(contenders, plan);
  await cache.close();
  return caseResult(`peek ${population / 1_000}k keys`, "reading a key in memory without awaiting", measured);
}

function checked(sum: number): void {
  if (Number.isNaN(sum)) throw new Error("Expected hits only, and a key was missing");
}
