import { caseResult, type CaseResult } from "../report.js";
import { interleave, type Contender } from "../slices.js";
import type { Setting } from "../suite.js";
import {
  bentocacheReader,
  boundedMemory,
  cacheableReader,
  cacheManagerReader,
  dedupeReader,
  memoryReaders,
  redis,
  tiercacheReader,
  type Load,
  type Reader,
} from "./contenders.js";
import { openRooms, type Rooms } from "./rooms.js";
import { contact, sleep } from "./workload.js";

const READERS = 1_000;
const LOAD_MS = 10;

/** A thousand readers of one key that nobody has: an operation is one reader. */
export async function stampede(setting: Setting): Promise<CaseResult[]> {
  const rooms = openRooms(await setting.redis());
  try {
    const counted = new LoadCount();
    const alone = memoryReaders(counted.load).map((reader) => [reader]);
    return [
      await run(
        setting,
        counted,
        "stampede",
        `${READERS} readers of a cold key, memory only, a load takes ${LOAD_MS} ms`,
        alone,
      ),
      await run(
        setting,
        counted,
        "stampede, two caches",
        `${READERS / 2} readers at each of two caches that share Redis, in one process`,
        await pairs(rooms, counted.load),
      ),
    ];
  } finally {
    rooms.close();
  }
}

/** Each instance has a connection of its own, as two processes would. async-cache-dedupe has no second tier: Redis is its only one. */
async function pairs(rooms: Rooms, load: Load): Promise<Reader[][]> {
  return [
    [
      tiercacheReader([boundedMemory(), redis(await rooms.nodeRedis())], load),
      tiercacheReader([boundedMemory(), redis(await rooms.nodeRedisBeside())], load),
    ],
    [
      bentocacheReader("both", load, await rooms.ioRedis()),
      bentocacheReader("both", load, await rooms.ioRedisBeside()),
    ],
    [
      cacheableReader("both", load, await rooms.nodeRedis()),
      cacheableReader("both", load, await rooms.nodeRedisBeside()),
    ],
    [
      cacheManagerReader("both", load, await rooms.nodeRedis()),
      cacheManagerReader("both", load, await rooms.nodeRedisBeside()),
    ],
    [dedupeReader(load, await rooms.ioRedis()), dedupeReader(load, await rooms.ioRedisBeside())],
  ];
}

class LoadCount {
  readonly #perKey = new Map<string, number>();

  readonly load = async (key: string): Promise<unknown> => {
    this.#perKey.set(key, (this.#perKey.get(key) ?? 0) + 1);
    await sleep(LOAD_MS);
    return contact(1, 300);
  };

  /** The most loads that one stampede of this contender has caused. */
  most(contender: string): number {
    return Math.max(...Array.from(this.#perKey, ([key, count]) => (key.startsWith(`${contender}:`) ? count : 0)));
  }
}

async function run(
  { plan }: Setting,
  counted: LoadCount,
  name: string,
  what: string,
  contenders: readonly (readonly Reader[])[],
): Promise<CaseResult> {
  const labels = new Map(contenders.map(([first], index) => [(first as Reader).name, `${name.length}x${index}`]));
  const measured = await interleave(
    contenders.map((instances): Contender => {
      const label = (instances[0] as Reader).name;
      let stampedes = 0;
      return {
        name: label,
        async run(operations) {
          stampedes += 1;
          const key = `${labels.get(label)}:${stampedes}`;
          const share = operations / instances.length;
          await Promise.all(instances.flatMap((reader) => Array.from({ length: share }, () => reader.get(key))));
        },
      };
    }),
    { ...plan, operations: READERS },
  );
  for (const reader of contenders.flat()) await reader.close();
  return caseResult(name, what, measured, (label) => ({ "loads (most)": counted.most(labels.get(label) ?? "") }));
}
