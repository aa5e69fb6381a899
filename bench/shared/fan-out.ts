import type { Cache } from "../../src/index.js";
import { openRooms, type NodeRedis } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { cacheOn } from "./rows.js";
import { serverMicros } from "./server-cpu.js";

const SUBSCRIBERS = 50;
const SERVER_OPERATIONS = 300;

interface Crowd {
  readonly name: string;
  readonly keys: readonly string[];
  readonly writer: Cache;
  readonly listeners: readonly Cache[];
}

/**
 * What an invalidation costs by how many keys its record names and how many hear it: the units of docs/scale.md. Counted besides:
 * microseconds of the server's CPU for one invalidation, its scripts, its writes to sockets and the kernel's part included.
 */
export async function fanOut(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const client = await rooms.nodeRedis();
  const crowds = [1, 100].flatMap((keys) => [0, SUBSCRIBERS].map((heardBy) => crowdOf(client, keys, heardBy)));
  const counts: Record<string, Record<string, number>> = {};
  try {
    await Promise.all(crowds.flatMap(({ writer, listeners }) => [writer, ...listeners]).map((one) => one.get("warm")));
    for (const crowd of crowds) await run(crowd, 1);
    const measured = await interleave(
      crowds.map((crowd) => ({ name: crowd.name, run: (operations: number) => run(crowd, operations) })),
      setting.plan,
    );
    for (const crowd of crowds) {
      const micros = await serverMicros(client, SERVER_OPERATIONS, (operations) => run(crowd, operations));
      counts[crowd.name] = { "server us": micros };
    }
    return [caseResult("fan-out", "one invalidation, one after the other", measured, (name) => counts[name] ?? {})];
  } finally {
    await Promise.all(crowds.flatMap(({ writer, listeners }) => [writer, ...listeners]).map((one) => one.close()));
    rooms.close();
  }
}

function crowdOf(client: NodeRedis, keys: number, heardBy: number): Crowd {
  const name = `${keys === 1 ? "1 key" : `${keys} keys`}, heard by ${heardBy}`;
  const room = `fan-${keys}-${heardBy}`;
  return {
    name,
    keys: Array.from({ length: keys }, (_, id) => `acme:contact:${id}`),
    writer: cacheOn(client, room),
    listeners: Array.from({ length: heardBy }, () => cacheOn(client, room)),
  };
}

/** So many invalidations, and every listener has applied the last of them. */
async function run({ keys, writer, listeners }: Crowd, operations: number): Promise<void> {
  let head = 0;
  for (let left = operations; left > 0; left -= 1) head = (await writer.invalidate({ keys })).position;
  while (listeners.some((cache) => (cache.stats().shared?.position ?? 0) < head)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
