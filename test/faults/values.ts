import { deepStrictEqual } from "node:assert";
import fc from "fast-check";

import { values } from "../fixtures/entries/values.js";
import type { PeerCache } from "./peers/peer.js";

/**
 * Reads the same values in every process, and says which came back as something else. Part "load" stores them and reads
 * them again, from memory; part "shared", in another process, finds them in Redis and must not load.
 */
export async function compareValues(
  cache: PeerCache,
  { count, seed, part }: { readonly count: number; readonly seed: number; readonly part: "load" | "shared" },
): Promise<string[]> {
  const sample = fc.sample(values, { seed, numRuns: count });
  const wrong: string[] = [];
  for (const [at, expected] of sample.entries()) {
    for (const turn of ["first", "second"]) {
      try {
        const got = await cache.value(`value:${at}`, async () => {
          if (part === "shared" || turn === "second") throw new Error("it was not stored");
          return expected;
        });
        deepStrictEqual(got, expected);
      } catch (error) {
        const what = error instanceof Error ? error.message.split("\n", 1)[0] : String(error);
        wrong.push(`${part}, ${turn} read of ${fc.stringify(expected).slice(0, 60)}: ${what ?? ""}`);
      }
    }
  }
  return wrong;
}
