import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { MAX_ENTRIES, memoryReaders } from "./contenders.js";
import { contact } from "./workload.js";

/** What a miss costs besides its load: always another key, in a memory that is full, so that something is evicted. */
export async function miss({ plan }: Setting): Promise<CaseResult[]> {
  const value = contact(1, 100);
  let loads = 0;
  const readers = memoryReaders(() => {
    loads += 1;
    return value;
  });
  const before = Array.from({ length: MAX_ENTRIES }, (_, id) => `before:${id}`);
  for (const reader of readers) await reader.read(before);
  loads = 0;
  let asked = 0;
  const measured = await interleave(
    readers.map((reader) => ({
      name: reader.name,
      async run(operations: number) {
        for (let left = operations; left > 0; left -= 1) await reader.get(`miss:${(asked += 1)}`);
      },
    })),
    plan,
  );
  if (loads !== asked) throw new Error(`Expected ${asked} misses, and ${loads} values were loaded`);
  for (const reader of readers) await reader.close();
  return [caseResult("miss", "loading a new key with a trivial loader, memory full at 100k entries", measured)];
}
