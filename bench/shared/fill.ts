import { openRooms } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { byTurns, BYTES, cacheOn, row } from "./rows.js";

const CONCURRENCIES = [1, 64];

/**
 * A key that is nowhere: read, lease, load, fill. The bare client reads, loads and sets, without a lease: nothing keeps
 * two processes from loading at once or a late one from storing what was invalidated.
 */
export async function fill(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const plain = await rooms.nodeRedis();
  const cache = cacheOn(await rooms.nodeRedis());
  try {
    const results: CaseResult[] = [];
    let next = 0;
    const bare = async (): Promise<void> => {
      const key = `cold:${(next += 1)}`;
      if ((await plain.get(key)) === null) await plain.set(key, JSON.stringify(row(next)), { PX: 60_000 });
    };
    const ours = (): Promise<unknown> => {
      const id = (next += 1);
      return cache.getOrLoad(`cold:${id}`, () => row(id), { ttl: "1m" });
    };
    for (const concurrency of CONCURRENCIES) {
      const measured = await interleave(
        [
          { name: "client.get, client.set", run: (operations) => byTurns(operations, concurrency, bare) },
          { name: "cache.getOrLoad", run: (operations) => byTurns(operations, concurrency, ours) },
        ],
        setting.plan,
      );
      results.push(caseResult(`fill, ${concurrency} at once`, `a cold key, loaded and stored, ${BYTES} B`, measured));
    }
    return results;
  } finally {
    await cache.close();
    rooms.close();
  }
}
