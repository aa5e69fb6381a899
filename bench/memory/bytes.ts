import type { CaseResult, ContenderResult } from "../report.js";
import type { Setting } from "../suite.js";
import { runAlone } from "./child.js";
import { BARE_MAP, libraries, TIER } from "./stores.js";
import { once } from "./once.js";

/** An entry of the tier is to take at most so much, of a million with their ttl and size. */
const BAR = 65;

interface Weighed {
  /** Bytes for each entry of the bound, when so many were set. */
  readonly filled: number;
  /** When twice as many were set. */
  readonly inUse: number;
  /** CPU microseconds of a set, of those that filled it. */
  readonly micros: number;
}

/** What an entry takes beside its key and value, of a full cache. Each library in a process of its own. */
export async function bytes({ quick }: Setting): Promise<CaseResult[]> {
  const entries = quick ? 100_000 : 1_000_000;
  const results: CaseResult[] = [];
  for (const ttl of [false, true]) {
    const contenders: ContenderResult[] = [];
    for (const [name] of libraries(ttl)) {
      const args = ["--library", name, "--entries", String(entries), ...(ttl ? ["--ttl"] : [])];
      const weighed = (await runAlone("bytes-child.js", args)) as Weighed;
      contenders.push(
        once(name, weighed.micros, contenders[0], {
          "B filled": Math.round(weighed.filled),
          "B in use": Math.round(weighed.inUse),
          ...(name === TIER && ttl && !quick ? { bar: BAR } : {}),
        }),
      );
    }
    results.push({
      name: `bytes ${quick ? "100k" : "1m"}${ttl ? ", ttl" : ""}`,
      what: "an entry beside its key and value, when filled, and in use: all of it replaced once; the cost is that of filling",
      baseline: BARE_MAP,
      contenders,
    });
  }
  return results;
}
