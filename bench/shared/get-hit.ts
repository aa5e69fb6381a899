import { openRooms } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { byTurns, BYTES, cacheOn, cycle, KEYS, row } from "./rows.js";
import { serverMicros } from "./server-cpu.js";

const CONCURRENCIES = [1, 64, 512];
const SERVER_OPERATIONS = 5_120;

/** A hit in Redis without memory before it, so many at once: CPU time of this process, and beside it the server's. */
export async function getHit(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const plain = await rooms.nodeRedis();
  const cache = cacheOn(await rooms.nodeRedis());
  try {
    for (const [id, key] of KEYS.entries()) await plain.set(key, JSON.stringify(row(id)));
    await cache.setMany(KEYS.map((key, id) => [key, row(id)] as const));
    const results: CaseResult[] = [];
    for (const concurrency of CONCURRENCIES) {
      const [ours, theirs] = [cycle(), cycle()];
      const contenders = [
        {
          name: "client.get + JSON.parse",
          run: (operations: number) =>
            byTurns(operations, concurrency, async () => JSON.parse((await plain.get(theirs())) ?? "") as unknown),
        },
        { name: "cache.get", run: (operations: number) => byTurns(operations, concurrency, () => cache.get(ours())) },
      ];
      const measured = await interleave(contenders, setting.plan);
      const counts: Record<string, Record<string, number>> = {};
      for (const { name, run } of contenders) {
        counts[name] = { "server us": await serverMicros(plain, SERVER_OPERATIONS, run) };
      }
      const title = `get-hit, ${concurrency} at once`;
      results.push(caseResult(title, `a hit in Redis, ${BYTES} B`, measured, (name) => counts[name] ?? {}));
    }
    const { misses } = cache.stats().total;
    if (misses > 0) throw new Error(`Expected hits only, got ${misses} misses`);
    return results;
  } finally {
    await cache.close();
    rooms.close();
  }
}
