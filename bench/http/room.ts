import { caseResult, type CaseResult } from "../report.js";
import type { Setting } from "../suite.js";
import { BODY, HEADERS } from "./document.js";
import { world, type World } from "./world.js";

/** What stored responses take, and whether what comes and goes leaves anything behind. */
export async function room({ quick }: Setting): Promise<readonly CaseResult[]> {
  return [await perEntry(quick ? 2_000 : 10_000), await churn(quick ? 20_000 : 100_000)];
}

/** An answer of a kilobyte, as the other cases have it. */
async function kilobytes(maxBytes: string): Promise<World> {
  return world((_incoming, outgoing) => outgoing.writeHead(200, HEADERS).end(BODY), maxBytes);
}

async function perEntry(entries: number): Promise<CaseResult> {
  const { ask, close } = await kilobytes("256mb");
  await fill(ask, 0, 200);
  const before = used();
  const cpu = process.cpuUsage();
  await fill(ask, 1_000, entries);
  const { user, system } = process.cpuUsage(cpu);
  const bytes = (used() - before) / entries;
  const counts = { "bytes an entry": Math.round(bytes), "beside its body": Math.round(bytes - BODY.length) };
  await close();
  const measured = [{ name: "tiercache", operations: entries, perRound: [(user + system) / entries] }];
  return caseResult(
    "memory",
    `${entries} answers of a kilobyte; CPU of a miss, client included`,
    measured,
    () => counts,
  );
}

/** Far more URLs than there is room for, with the room full all the while: what an hour of a busy site brings. */
async function churn(requests: number): Promise<CaseResult> {
  const { ask, close } = await kilobytes("8mb");
  const half = Math.round(requests / 2);
  await fill(ask, 0, half);
  const middle = used();
  const cpu = process.cpuUsage();
  await fill(ask, half, half);
  const { user, system } = process.cpuUsage(cpu);
  const grown = used() - middle;
  const counts = { requests, "MB at half": megabytes(middle), "MB grown since": megabytes(grown) };
  await close();
  const measured = [{ name: "tiercache", operations: half, perRound: [(user + system) / half] }];
  return caseResult("churn", "each request another URL, the memory of 8 MB full", measured, () => counts);
}

async function fill(ask: World["ask"], from: number, count: number): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < from + count) await ask(`/api/items/${next++}`);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

function used(): number {
  for (let time = 0; time < 3; time += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 104_857.6) / 10;
}
