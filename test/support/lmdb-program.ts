import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { createCache, memory, type Cache } from "../../src/index.js";
import { lmdb } from "../../src/lmdb/index.js";
import { entry, keyMarks, stampBytes } from "../../src/testing/suite/session.js";
import type { SharedTier } from "../../src/tiers/shared.js";
import type { LmdbCalls } from "./lmdb-process.js";

/** A process that shares a host tier with its parent and its siblings; see `lmdb-process.ts`. */

const LONG = 600_000;

let cache: Cache | undefined;
let tier: SharedTier | undefined;
let loads = 0;

const calls: { [K in keyof LmdbCalls]: (argument: Parameters<LmdbCalls[K]>[0]) => Promise<ReturnType<LmdbCalls[K]>> } =
  {
    async openCache({ path }) {
      cache = createCache({ name: "shared", tiers: [memory(), lmdb({ path })] });
    },
    async openTier({ path, maxBytes }) {
      tier = lmdb({ path, maxBytes }).open("shared");
    },
    async read({ key, readers, value, slow }) {
      const before = loads;
      const reading = Array.from({ length: readers }, () => {
        return given(cache).getOrLoad(key, async () => {
          loads += 1;
          await sleep(slow);
          return value;
        });
      });
      return { values: [...new Set(await Promise.all(reading))], loads: loads - before };
    },
    async peek({ key }) {
      return given(cache).get<string>(key);
    },
    async invalidate({ key }) {
      await given(cache).invalidate({ key });
    },
    async close() {
      await cache?.close();
      await tier?.close();
    },
    async hammer() {
      void hammer(given(tier));
    },
    async takeLease({ key, ttl }) {
      return (await given(tier).leases.acquire(key, { token: `of ${process.pid}`, ttl })).state;
    },
    async exercise({ path, keys }) {
      return exercise(path, keys);
    },
    async echo() {
      const own = given(tier);
      await own.log.subscribe((signal) => {
        if (signal.type !== "record" || signal.record.origin !== "ping") return;
        void own.store.invalidate(keyMarks("pong"), false, "pong");
      });
    },
  };

/** Writes for ever, giving way now and then. */
async function hammer(own: SharedTier): Promise<void> {
  for (let round = 0; ; round++) {
    try {
      await strike(own, round);
    } catch (error) {
      // On a busy machine another process may look as if it stood still.
      if (!String(error).includes("stands still")) throw error;
    }
    if (round % 200 === 0) await turn();
  }
}

async function strike(own: SharedTier, round: number): Promise<void> {
  const key = `k${round % 500}`;
  const value = entry(round, new Uint8Array((round * 37) % 6_000));
  if (round % 3 === 0) await own.store.put([{ key, value, ttl: LONG }], "hammer");
  else if (round % 3 === 1) await own.store.invalidate([{ kind: "tag", tag: `t${round % 50}` }], false, "hammer");
  else if ((await own.leases.acquire(key, { token: "hammer", ttl: LONG, takeOver: true })).state === "won") {
    await own.leases.fill(key, "hammer", value, LONG);
  }
}

/** Everything a cache does with a host tier, once: what is read must be what was written under the key, or nothing. */
async function exercise(path: string, keys: number): Promise<{ found: number; wrong: number; warnings: string[] }> {
  const warnings: string[] = [];
  const own = lmdb({ path, maxBytes: "8mb", onWarning: (message) => warnings.push(message) }).open("shared");
  let found = 0;
  let wrong = 0;
  for (let index = 0; index < keys; index++) {
    const { values } = await own.store.read([`k${index}`]);
    const [value] = values;
    if (value === undefined) continue;
    found += 1;
    if (!(value instanceof Uint8Array) || Buffer.compare(value, valueOf(index)) !== 0) wrong += 1;
  }
  const { position } = await own.log.head();
  await own.log.since(position - 1, 1_000);
  await own.store.rules();
  await own.store.marks([{ kind: "all" }, { kind: "tag", tag: "t1" }]);
  for (let index = 0; index < keys; index += 3) {
    const key = `k${index}`;
    await own.store.invalidate(keyMarks(key), index % 2 === 0, "exercise");
    await own.store.discard(key, stampBytes(index));
    if ((await own.leases.acquire(key, { token: "t", ttl: LONG, takeOver: true })).state === "won") {
      await own.leases.fill(key, "t", valueOf(index), LONG);
    }
  }
  await own.close();
  return { found, wrong, warnings };
}

/** The value that `exercise` expects under the key of this number. */
export function valueOf(index: number): Uint8Array {
  return entry(index, new Uint8Array((index * 97) % 9_000).fill(index));
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("It was not opened");
  return value;
}

process.on("message", (message: { id: number; name: keyof LmdbCalls; argument: never }) => {
  const answer = (reply: object): void => void process.send?.({ id: message.id, ...reply });
  calls[message.name](message.argument).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
