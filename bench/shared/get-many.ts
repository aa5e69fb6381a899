import { openRooms } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { BYTES, cacheOn, KEYS, row } from "./rows.js";

const MANY = 100;

/** A hundred entries in one call. */
export async function getMany(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const plain = await rooms.nodeRedis();
  const cache = cacheOn(await rooms.nodeRedis());
  try {
    const keys = KEYS.slice(0, MANY);
    for (const [id, key] of keys.entries()) await plain.set(key, JSON.stringify(row(id)));
    await cache.setMany(keys.map((key, id) => [key, row(id)] as const));
    const measured = await interleave(
      [
        {
          name: "client.mGet + JSON.parse",
          async run(operations) {
            for (let left = operations; left > 0; left -= 1)
              for (const text of await plain.mGet([...keys])) JSON.parse(text ?? "");
          },
        },
        {
          name: "cache.getMany",
          async run(operations) {
            for (let left = operations; left > 0; left -= 1) await cache.getMany(keys);
          },
        },
      ],
      setting.plan,
    );
    return [caseResult("get-many", `${MANY} entries of ${BYTES} B in one call`, measured)];
  } finally {
    await cache.close();
    rooms.close();
  }
}
