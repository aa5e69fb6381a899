import { zipf } from "../core/workload.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { VALUE } from "./keys.js";
import { cacheOf, TTL } from "./stores.js";

const DRAWS = 2 ** 20;

/** Reading by numeric id, as code has it: a Map's key has to be put together for that. */
export async function byId(setting: Setting): Promise<CaseResult[]> {
  const results = [await reads(setting, 100_000, "100k")];
  if (!setting.quick) results.push(await reads(setting, 1_000_000, "1m"));
  return results;
}

async function reads({ plan }: Setting, entries: number, size: string): Promise<CaseResult> {
  const draws = zipf(entries, DRAWS);
  const cache = cacheOf(entries, TTL);
  const entity = cache.entity<number, object>({ name: "contact", scope: "tenant", load: () => VALUE });
  const contacts = entity.in("acme");
  const map = new Map<string, object>();
  for (let id = 0; id < entries; id += 1) {
    await contacts.set(id, VALUE);
    map.set(`acme:contact:${id}`, VALUE);
  }
  let at = 0;
  const measured = await interleave(
    [
      {
        name: "bare Map, key put together",
        run(operations) {
          let hits = 0;
          const from = at;
          for (let i = 0; i < operations; i += 1)
            if (map.get(`acme:contact:${draws[(from + i) & (DRAWS - 1)]}`) !== undefined) hits += 1;
          checked(hits, operations);
        },
      },
      {
        name: "tiercache, handle kept",
        run(operations) {
          let hits = 0;
          const from = at;
          for (let i = 0; i < operations; i += 1)
            if (contacts.peek(draws[(from + i) & (DRAWS - 1)] as number) !== undefined) hits += 1;
          checked(hits, operations);
          at = (at + operations) & (DRAWS - 1);
        },
      },
      {
        name: 'tiercache, in("acme") each time',
        run(operations) {
          let hits = 0;
          const from = at;
          for (let i = 0; i < operations; i += 1)
            if (entity.in("acme").peek(draws[(from + i) & (DRAWS - 1)] as number) !== undefined) hits += 1;
          checked(hits, operations);
        },
      },
    ],
    plan,
  );
  await cache.close();
  return caseResult(`by-id ${size}`, "reading contacts by numeric id, with ttl and statistics", measured);
}

function checked(hits: number, reads: number): void {
  if (hits !== reads) throw new Error("Expected hits only, and an id was missing");
}
