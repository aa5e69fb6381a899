import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import { mapReader, memoryReaders, type Reader } from "./contenders.js";
import { contact, zipf } from "./workload.js";

/** Draws prepared beforehand; slices go round in them. */
const DRAWS = 2 ** 17;
/** Keys read between two looks at how much is left to do. */
const CHUNK = 64;

/** `await getOrLoad(key)` of what memory holds. */
export async function l1Hit(setting: Setting): Promise<CaseResult[]> {
  const all = [
    [10_000, 100],
    [10_000, 2_000],
    [100_000, 100],
    [100_000, 2_000],
  ] as const;
  const results: CaseResult[] = [];
  for (const [population, bytes] of setting.quick ? all.slice(0, 1) : all)
    results.push(await hits(setting, population, bytes));
  return results;
}

async function hits({ plan }: Setting, population: number, bytes: number): Promise<CaseResult> {
  const keys = Array.from({ length: population }, (_, id) => `acme:contact:${id}`);
  const values = new Map(keys.map((key, id) => [key, contact(id, bytes)]));
  let loads = 0;
  const load = (key: string): unknown => {
    loads += 1;
    return values.get(key);
  };
  const readers = [...memoryReaders(load), mapReader(load)];
  for (const reader of readers) await reader.read(keys);
  const filled = loads;
  const chunks = chunksOf(Array.from(zipf(population, DRAWS), (rank) => keys[rank] as string));
  const measured = await interleave(
    readers.map((reader) => cycling(reader, chunks)),
    plan,
  );
  if (loads !== filled) throw new Error(`Expected hits only, and ${loads - filled} values were loaded`);
  for (const reader of readers) await reader.close();
  return caseResult(
    `l1-hit ${population / 1_000}k keys, ${bytes} B`,
    "awaiting the value of a key in memory, drawn by Zipf's law",
    measured,
  );
}

function chunksOf(keys: readonly string[]): string[][] {
  return Array.from({ length: keys.length / CHUNK }, (_, index) => keys.slice(index * CHUNK, (index + 1) * CHUNK));
}

function cycling(reader: Reader, chunks: readonly (readonly string[])[]): Contender {
  let at = 0;
  return {
    name: reader.name,
    async run(operations) {
      for (let left = operations; left > 0; left -= CHUNK) {
        const chunk = chunks[at] as readonly string[];
        at = (at + 1) % chunks.length;
        await reader.read(left < CHUNK ? chunk.slice(0, left) : chunk);
      }
    },
  };
}
