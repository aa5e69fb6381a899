import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { open } from "lmdb";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { lmdb } from "../../src/lmdb/index.js";
import { KIND, USAGE_KEY } from "../../src/lmdb/layout.js";
import { decodeUsage, type Usage } from "../../src/lmdb/records.js";
import { FakeClock } from "../../src/testing/index.js";
import { entry, keyMarks } from "../../src/testing/suite/session.js";
import type { SharedTier } from "../../src/tiers/shared.js";
import { lmdbFolder, type LmdbFolder } from "../support/lmdb-folder.js";

const MB = 1_024 * 1_024;
const LONG = 600_000;
const { open: openLmdb } = createRequire(import.meta.url)("lmdb") as { open: typeof open };

let folder: LmdbFolder;
let clock: FakeClock;

beforeEach(() => {
  folder = lmdbFolder();
  clock = new FakeClock();
  return () => folder.remove();
});

function openTier(maxBytes: number): SharedTier {
  const tier = lmdb({ path: folder.path, maxBytes, clock }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

/** What the tier counts, and what is there. */
async function measure(): Promise<{ usage: Usage; entries: number; leases: number }> {
  const database = openLmdb({
    path: join(folder.path, "current"),
    noSync: true,
    overlappingSync: false,
    keyEncoding: "binary",
    encoding: "binary",
  });
  const count = (kind: number): number =>
    [...database.getKeys({ start: Uint8Array.of(kind), end: Uint8Array.of(kind + 1) })].length;
  const bytes = database.getBinary(USAGE_KEY);
  const measured = {
    usage: bytes === undefined ? { bytes: 0, entries: 0 } : decodeUsage(USAGE_KEY, bytes),
    entries: count(KIND.entry),
    leases: count(KIND.lease),
  };
  await database.close();
  return measured;
}

async function fill(tier: SharedTier, key: string, value: Uint8Array, ttl: number = LONG): Promise<void> {
  await tier.leases.acquire(key, { token: "t", ttl: LONG, takeOver: true });
  expect(await tier.leases.fill(key, "t", value, ttl)).toBe(true);
}

describe("the host tier", () => {
  it.each([
    ["small", (index: number): number => 100 + (index % 400)],
    ["of every size", (index: number): number => (index * 7_919) % 40_000],
  ])(
    "keeps its entries, %s, within its bytes, and its file within three times that",
    async (_what, sizeOf) => {
      const maxBytes = 2 * MB;
      const tier = openTier(maxBytes);
      let written = 0;
      let largest = 0;
      for (let round = 0; written < 6 * maxBytes; round++) {
        const puts = Array.from({ length: 20 }, (_, index) => {
          const number = round * 20 + index;
          return { key: `k${number}`, value: entry(number, new Uint8Array(sizeOf(number))), ttl: LONG };
        });
        await tier.store.put(puts, "me");
        if (round % 4 === 0) await tier.store.invalidate(keyMarks(`k${round * 20}`), round % 8 === 0, "me");
        written += puts.reduce((sum, { value }) => sum + value.length, 0);
        if (round % 500 === 0) largest = Math.max(largest, (await measure()).usage.bytes);
      }
      const { usage, entries } = await measure();
      expect(usage.entries).toBe(entries);
      expect(largest).toBeLessThanOrEqual(maxBytes);
      expect(usage.bytes).toBeGreaterThan(maxBytes * 0.9);
      expect(statSync(folder.data).size).toBeLessThan(3 * maxBytes);
    },
    60_000,
  );

  it("evicts what was not read for longest, as far as it can tell", async () => {
    const tier = openTier(MB);
    const hot = Array.from({ length: 50 }, (_, index) => `hot${index}`);
    for (const [index, key] of hot.entries()) await fill(tier, key, entry(index, new Uint8Array(1_000)));
    for (let index = 0; index < 3_000; index++) {
      await clock.advance(1);
      await fill(tier, `cold${index}`, entry(index, new Uint8Array(1_000)));
      if (index % 20 === 0) await tier.store.read(hot);
    }
    const { values } = await tier.store.read(hot);
    // Of what nobody reads, less than a third of those written are still there.
    expect(values.filter((value) => value !== undefined).length).toBeGreaterThan(40);
  });

  it("takes no entry that would push out a quarter of the others, and drops the old one", async () => {
    const tier = openTier(MB);
    await fill(tier, "a", entry(1, new Uint8Array(1_000)));
    await fill(tier, "b", entry(2, new Uint8Array(1_000)));
    await fill(tier, "a", entry(3, new Uint8Array(MB / 4)));
    const { values } = await tier.store.read(["a", "b"]);
    expect(values).toEqual([undefined, entry(2, new Uint8Array(1_000))]);
  });

  it("gives back the room of entries and leases whose time is over", async () => {
    const tier = openTier(64 * MB);
    for (let index = 0; index < 2_000; index++) {
      await fill(tier, `short${index}`, entry(index, new Uint8Array(500)), 1_000);
      await tier.leases.acquire(`dead${index}`, { token: "t", ttl: 1_000 });
    }
    await clock.advance(2_000);
    for (let index = 0; index < 4_000; index++) {
      await fill(tier, `other${index % 10}`, entry(index));
    }
    const { usage, entries, leases } = await measure();
    expect(usage.entries).toBe(entries);
    expect(entries).toBeLessThan(400);
    expect(leases).toBeLessThan(400);
  });

  it("bounds its log in bytes as well", async () => {
    const tier = openTier(MB);
    const { position } = await tier.log.head();
    const keys = Array.from({ length: 100 }, (_, index) => `${"long".repeat(20)}${index}`);
    for (let round = 0; round < 100; round++) await tier.store.invalidate(keyMarks(...keys), false, "me");
    const { records, oldest = 0 } = await tier.log.since(position, 1);
    expect(records).toBeUndefined();
    const kept = await tier.log.since(oldest, 1_000);
    expect(kept.records?.length).toBeGreaterThan(5);
    expect(JSON.stringify(kept.records).length).toBeLessThan(MB / 8 + 20_000);
  });

  it("refuses more than one step should take, and does nothing of it", async () => {
    const tier = openTier(MB);
    const { position } = await tier.log.head();
    const many = Array.from({ length: 10_001 }, (_, index) => `k${index}`);
    await expect(tier.store.invalidate(keyMarks(...many), false, "me")).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
    });
    const long = Array.from({ length: 100 }, (_, index) => `${"x".repeat(60_000)}${index}`);
    await expect(tier.store.invalidate(keyMarks(...long), false, "me")).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
    });
    expect((await tier.log.head()).position).toBe(position);
  });

  it("takes the longest keys there are, and keeps those apart that begin alike", async () => {
    const tier = openTier(16 * MB);
    const keys = Array.from({ length: 5 }, (_, index) => `${"é".repeat(65_000)}${index}`);
    for (const [index, key] of keys.entries()) await fill(tier, key, entry(index));
    const { values } = await tier.store.read(keys);
    expect(values).toEqual(keys.map((_, index) => entry(index)));
    expect((await tier.store.invalidate(keyMarks(...keys.slice(0, 2)), false, "me")).hit).toBe(2);
    await tier.store.invalidate([{ kind: "prefix", prefix: keys[0] ?? "" }], false, "me");
    const [first, second] = await tier.store.marks(keys.map((prefix) => ({ kind: "prefix", prefix })));
    expect(first?.hard).toBeGreaterThan(second?.hard ?? Infinity);
  });
});

describe("when the machine's clock is set", () => {
  it("back, positions go on growing and no entry lives longer than one more time to live", async () => {
    const tier = openTier(MB);
    await fill(tier, "old", entry(1), 7_200_000);
    const first = (await tier.store.invalidate(keyMarks("x"), false, "me")).head.position;
    await clock.advance(7_000_000);
    await fill(tier, "young", entry(2), 7_200_000);
    clock.stepWall(-3_600_000);
    // Written in the future, as far as anybody can tell.
    expect((await tier.store.read(["old", "young"])).values).toEqual([entry(1), undefined]);
    const second = (await tier.store.invalidate(keyMarks("x"), false, "me")).head.position;
    expect(second).toBeGreaterThan(first);
    await clock.advance(3_600_000 + 200_000);
    expect((await tier.store.read(["old"])).values).toEqual([undefined]);
  });

  it("back, a lease from the future is nobody's", async () => {
    const tier = openTier(MB);
    await tier.leases.acquire("a", { token: "t", ttl: 30_000 });
    clock.stepWall(-3_600_000);
    expect(await tier.leases.fill("a", "t", entry(1), LONG)).toBe(false);
    expect(await tier.leases.acquire("a", { token: "u", ttl: 30_000 })).toMatchObject({ state: "won" });
  });

  it("ahead, entries are lost and nothing else", async () => {
    const tier = openTier(MB);
    await fill(tier, "a", entry(1), LONG);
    const { head } = await tier.store.invalidate([{ kind: "tag", tag: "t" }], false, "me");
    clock.stepWall(3_600_000);
    expect((await tier.store.read(["a"])).values).toEqual([undefined]);
    expect(await tier.store.marks([{ kind: "tag", tag: "t" }])).toEqual([{ hard: head.position, soft: 0 }]);
    clock.stepWall(-3_600_000);
    const next = await tier.store.invalidate(keyMarks("a"), false, "me");
    expect(next.head.position).toBeGreaterThan(head.position);
  });
});
