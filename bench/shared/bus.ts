import type { Cache } from "../../src/index.js";
import { openRooms } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { cacheOn } from "./rows.js";

const SUBSCRIBERS = 100;

/**
 * An invalidation that nobody else hears, and one that a hundred caches of this process hear and apply: the hundredth part
 * of the difference is what one message costs one subscriber.
 */
export async function bus(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const client = await rooms.nodeRedis();
  const alone = cacheOn(client, "alone");
  const writer = cacheOn(client, "crowd");
  const crowd: Cache[] = Array.from({ length: SUBSCRIBERS }, () => cacheOn(client, "crowd"));
  const counts: Record<string, Record<string, number>> = {};
  try {
    await Promise.all([alone, writer, ...crowd].map((cache) => cache.get("warm")));
    await heard(crowd, writer);
    const measured = await interleave(
      [
        { name: "heard by nobody", run: (operations) => invalidations(alone, operations) },
        {
          name: `heard by ${SUBSCRIBERS}`,
          async run(operations) {
            await invalidations(writer, operations);
            await heard(crowd, writer);
          },
        },
      ],
      setting.plan,
    );
    const [nobody, everybody] = measured.map(
      ({ perRound }) => perRound.toSorted((a, b) => a - b)[perRound.length >> 1] ?? 0,
    );
    const each = ((everybody ?? 0) - (nobody ?? 0)) / SUBSCRIBERS;
    counts[`heard by ${SUBSCRIBERS}`] = { "us a message": Math.round(each * 100) / 100 };
    return [caseResult("bus", "one invalidation of a key", measured, (name) => counts[name] ?? {})];
  } finally {
    await Promise.all([alone, writer, ...crowd].map((cache) => cache.close()));
    rooms.close();
  }
}

async function invalidations(cache: Cache, operations: number): Promise<void> {
  for (let left = operations; left > 0; left -= 1) await cache.invalidate({ key: "k" });
}

/** Until every subscriber stands where the writer does. */
async function heard(crowd: readonly Cache[], writer: Cache): Promise<void> {
  const position = (cache: Cache): number => cache.stats().shared?.position ?? 0;
  const { head } = { head: (await writer.invalidate({ key: "k" })).position };
  while (crowd.some((cache) => position(cache) < head)) await new Promise((resolve) => setTimeout(resolve, 1));
}
