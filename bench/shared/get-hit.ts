import { openRooms } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { byTurns, BYTES, cacheOn, cycle, KEYS, row } from "./rows.js";

const CONCURRENCIES = [1, 64, 512];

/** A hit in Redis without memory before it, so many at once: CPU time of this process, not of the server. */
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
      const measured = await interleave(
        [
          {
            name: "client.get + JSON.parse",
            run: (operations) =>
              byTurns(operations, concurrency, async () => JSON.parse((await plain.get(theirs())) ?? "") as unknown),
          },
          { name: "cache.get", run: (operations) => byTurns(operations, concurrency, () => cache.get(ours())) },
        ],
        setting.plan,
      );
      results.push(caseResult(`get-hit, ${concurrency} at once`, `a hit in Redis, ${BYTES} B`, measured));
    }
    const { misses } = cache.stats().total;
    if (misses > 0) throw new Error(`Expected hits only, got ${misses} misses`);
    return results;
  } finally {
    await cache.close();
    rooms.close();
  }
}
