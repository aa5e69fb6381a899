import { openRooms, type NodeRedis } from "../core/rooms.js";
import { caseResult, type CaseResult } from "../report.js";
import { interleave } from "../slices.js";
import type { Setting } from "../suite.js";
import { cacheOn } from "./rows.js";

const FEW = 1_000;

/**
 * One tag over a thousand entries and over a million: the cost must not depend on how many there are. Counted besides: what
 * the server spends on one invalidation (its own account of the script, in microseconds), and the longest that a PING of
 * somebody else takes while invalidations run, against the longest while none do (milliseconds).
 */
export async function invalidateTag(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  const client = await rooms.nodeRedis();
  const somebody = await rooms.nodeRedisBeside();
  const few = cacheOn(client, "few");
  const many = cacheOn(client, "many");
  const counts: Record<string, Record<string, number>> = {};
  const million = setting.quick ? 100_000 : 1_000_000;
  try {
    await populate(few, FEW);
    await populate(many, million);
    const idle = await worstPing(somebody, async () => undefined);
    const contenders = [
      { name: `${FEW} entries`, cache: few },
      { name: `${million} entries`, cache: many },
    ].map(({ name, cache }) => ({
      name,
      cache,
      async run(operations: number) {
        for (let left = operations; left > 0; left -= 1) await cache.invalidate({ tag: "all" });
      },
    }));
    const measured = await interleave(contenders, setting.plan);
    for (const contender of contenders) {
      await client.sendCommand(["CONFIG", "RESETSTAT"]);
      const busy = await worstPing(somebody, () => contender.run(300));
      counts[contender.name] = {
        "server us": await scriptMicros(client),
        "ping ms": round(busy),
        "idle ping ms": round(idle),
      };
    }
    return [
      caseResult(
        "invalidate-tag",
        "one tag, the entries of which are never touched",
        measured,
        (name) => counts[name] ?? {},
      ),
    ];
  } finally {
    await few.close();
    await many.close();
    rooms.close();
  }
}

async function populate(cache: ReturnType<typeof cacheOn>, count: number): Promise<void> {
  const step = 20_000;
  for (let from = 0; from < count; from += step) {
    const entries = Array.from(
      { length: Math.min(step, count - from) },
      (_, index) => [`e${from + index}`, index] as const,
    );
    await cache.setMany(entries, { tags: ["all"] });
  }
}

/** The longest of the PINGs sent one after the other while something goes on, at least fifty; milliseconds. */
async function worstPing(client: NodeRedis, during: () => Promise<unknown>): Promise<number> {
  const state = { running: true };
  const work = during().finally(() => {
    state.running = false;
  });
  let worst = 0;
  for (let pings = 0; state.running || pings < 50; pings += 1) {
    const sent = performance.now();
    await client.ping();
    worst = Math.max(worst, performance.now() - sent);
  }
  await work;
  return worst;
}

/** Microseconds of the server for one script since the statistics were reset. */
async function scriptMicros(client: NodeRedis): Promise<number> {
  const text = await client.info("commandstats");
  const found = /cmdstat_evalsha:.*?usec_per_call=([\d.]+)/.exec(text);
  return round(Number(found?.[1] ?? Number.NaN));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
