import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import { boundedMemory, memoryReaders, tiercacheWith } from "./contenders.js";
import { contact, zipf, type Contact } from "./workload.js";

const DRAWS = 2 ** 17;
const POPULATION = 10_000;

/** Reading one tenant's contact by its numeric id: rivals are given the key that has to be put together for that. */
export async function entityGet({ plan }: Setting): Promise<CaseResult[]> {
  const draws = zipf(POPULATION, DRAWS);
  const cache = tiercacheWith([boundedMemory()]);
  const contacts = cache.entity<number, Contact>({ name: "contact", scope: "tenant", load: (id) => contact(id, 100) });
  const map = new Map<string, Contact>();
  for (let id = 0; id < POPULATION; id += 1) {
    await contacts.in("acme").get(id);
    map.set(`acme:contact:${id}`, contact(id, 100));
  }
  const rivals = memoryReaders((key) => contact(Number(key.slice("acme:contact:".length)), 100)).slice(1);
  for (const rival of rivals) await rival.read([...map.keys()]);

  const awaited = await interleave(
    [
      {
        name: "tiercache",
        async run(operations) {
          for (let i = 0; i < operations; i += 1) await contacts.in("acme").get(draws[i & (DRAWS - 1)] as number);
        },
      },
      ...rivals.map((rival): Contender => ({
        name: rival.name,
        async run(operations) {
          for (let i = 0; i < operations; i += 1) await rival.get(`acme:contact:${draws[i & (DRAWS - 1)]}`);
        },
      })),
    ],
    plan,
  );
  const scoped = contacts.in("acme");
  const peeked = await interleave(
    [
      {
        name: "bare Map, key put together",
        run(operations) {
          let sum = 0;
          for (let i = 0; i < operations; i += 1)
            sum += map.get(`acme:contact:${draws[i & (DRAWS - 1)]}`)?.id ?? Number.NaN;
          checked(sum);
        },
      },
      {
        name: "tiercache, handle kept",
        run(operations) {
          let sum = 0;
          for (let i = 0; i < operations; i += 1)
            sum += scoped.peek(draws[i & (DRAWS - 1)] as number)?.id ?? Number.NaN;
          checked(sum);
        },
      },
      {
        name: 'tiercache, in("acme") each time',
        run(operations) {
          let sum = 0;
          for (let i = 0; i < operations; i += 1)
            sum += contacts.in("acme").peek(draws[i & (DRAWS - 1)] as number)?.id ?? Number.NaN;
          checked(sum);
        },
      },
    ],
    plan,
  );
  await cache.close();
  for (const rival of rivals) await rival.close();
  return [
    caseResult("entity-get", 'awaiting contacts.in("acme").get(id), 10k ids in memory', awaited),
    caseResult("entity-peek", "the same without awaiting", peeked),
  ];
}

function checked(sum: number): void {
  if (Number.isNaN(sum)) throw new Error("Expected hits only, and an id was missing");
}
