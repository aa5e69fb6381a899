import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Mark } from "../../src/invalidation/record.js";
import { memcached, type MemcachedOptions } from "../../src/memcached/index.js";
import type { Items } from "../../src/memcached/items.js";
import { layoutOf } from "../../src/memcached/layout.js";
import { entry, keyMarks, LONG, recordsSince, stampBytes } from "../../src/testing/suite/session.js";
import type { SharedTier } from "../../src/tiers/shared.js";
import { startMemcached, type MemcachedServer } from "../support/memcached-server.js";
import { memcachedAdmin, type MemcachedAdmin } from "./memcached-admin.js";

let server: MemcachedServer;
let admin: MemcachedAdmin;
let items: Items;

beforeAll(async () => {
  server = await startMemcached();
  admin = memcachedAdmin(server.port);
  items = admin.items;
});
afterAll(async () => {
  admin.close();
  await server.stop();
});
beforeEach(() => server.ask("flush_all", "OK\r\n"));

const LAYOUT = layoutOf("c", "");
const TAG: Mark = { kind: "tag", tag: "t" };
const PATTERN: Mark = { kind: "pattern", pattern: "p:*" };
const tag = (index: number): Mark => ({ kind: "tag", tag: `t${index}` });

function open(options: MemcachedOptions = {}): SharedTier {
  const tier = memcached({ port: server.port, ...options }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

function put(tier: SharedTier, key: string, value: Uint8Array): Promise<unknown> {
  return tier.store.put([{ key, value, ttl: LONG }], "me");
}

async function isStored(tier: SharedTier, key: string): Promise<boolean> {
  return (await tier.store.read([key])).values[0] !== undefined;
}

/** The generation and the numbers of the head, as they are stored. */
async function headWords(): Promise<string[]> {
  const item = await items.get(LAYOUT.head);
  return Buffer.from(item?.value ?? [])
    .toString()
    .split(" ");
}

function text(words: string): Uint8Array {
  return Buffer.from(words);
}

describe("the head", () => {
  it("lost: a generation begins, newer than the old, and no entry of that is believed, nor any lease of it filled", async () => {
    const [tier, other] = [open(), open()];
    await put(tier, "a", entry(1));
    await other.leases.acquire("b", { token: "t", ttl: LONG });
    const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
    await items.remove(LAYOUT.head);
    expect(await other.store.read(["a"])).toEqual({ values: [undefined], head: undefined });
    expect((await other.log.since(head.position, 10)).records).toBeUndefined();
    const begun = await tier.log.head();
    expect(begun.floor).toBeGreaterThan(head.position);
    expect(await tier.store.marks([TAG])).toEqual([{ hard: begun.floor, soft: 0 }]);
    expect(await tier.store.rules()).toEqual([]);
    expect(await isStored(tier, "a")).toBe(false);
    await other.leases.fill("b", "t", entry(2), LONG);
    expect(await isStored(tier, "b")).toBe(false);
    expect((await tier.leases.acquire("a", { token: "u", ttl: LONG })).state).toBe("won");
    expect(await tier.leases.fill("a", "u", entry(3), LONG)).toBe(true);
    expect(await isStored(other, "a")).toBe(true);
  });

  it.each([
    "nonsense",
    "",
    "1 short 5 5",
    "2 generation1 5 4 4 4 0 0 ",
    "2 generation1 1 9999999999999999 1 1 0 0 ",
    "2 generation1 1 5 5 5 0 7 ",
  ])("is replaced where it reads %j", async (words) => {
    const tier = open();
    const { head } = await tier.store.invalidate([TAG], false, "me");
    await items.store(LAYOUT.head, text(words), { ttl: 0 });
    expect((await tier.store.read([])).head).toBeUndefined();
    expect((await tier.log.head()).floor).toBeGreaterThan(head.position);
    expect((await open().store.invalidate([TAG], false, "me")).head.position).toBeGreaterThan(head.position);
  });

  it("lost again and again, by many at once: every generation is newer than all before it", async () => {
    const tiers = [open(), open(), open(), open()] as const;
    let last = 0;
    for (let round = 0; round < 30; round++) {
      const heads = await Promise.all([
        ...tiers.map(async (tier, index) => (await tier.store.invalidate([tag(index)], false, "me")).head),
        items.remove(LAYOUT.head).then(() => undefined),
      ]);
      const first = Math.min(...heads.map((head) => head?.position ?? Infinity));
      expect(first).toBeGreaterThan(last);
      last = Math.max((await tiers[0].log.head()).position, ...heads.map((head) => head?.position ?? 0));
      await Promise.all(tiers.map((tier) => tier.log.head()));
    }
  });

  it("of a past that a process knows to be over is replaced by one above what it knows", async () => {
    const [tier, fresh] = [open(), open()];
    await put(tier, "a", entry(1));
    const [, generation] = await headWords();
    const before = await items.get(LAYOUT.head);
    const { head } = await tier.store.invalidate([TAG], false, "me");
    await items.store(LAYOUT.head, before?.value ?? text(""), { ttl: 0 });
    // Who does not know better goes on from there, until it is told.
    expect((await fresh.log.head()).position).toBeLessThan(head.position);
    expect((await tier.store.read(["a"])).head).toBeUndefined();
    const begun = await tier.log.head();
    expect(begun.floor).toBeGreaterThan(head.position);
    expect((await headWords())[1]).not.toBe(generation);
    expect(await fresh.log.head()).toEqual(begun);
    expect(await isStored(fresh, "a")).toBe(false);
  });
});

describe("records and marks", () => {
  it("lost a record: the log does not reach back past it, and tells from where it is whole", async () => {
    const tier = open();
    const positions: number[] = [(await tier.log.head()).position];
    for (let index = 0; index < 5; index++) {
      positions.push((await tier.store.invalidate(keyMarks(`k${index}`), false, "me")).head.position);
    }
    const [, generation = ""] = await headWords();
    await items.remove(LAYOUT.record(generation, positions[2] ?? 0));
    const lost = await tier.log.since(positions[0] ?? 0, 10);
    expect(lost.records).toBeUndefined();
    expect(lost.oldest).toBe(positions[2]);
    expect(await recordsSince(tier, positions[2] ?? 0)).toHaveLength(3);
    await items.store(LAYOUT.record(generation, positions[4] ?? 0), text('["o",0,[["z"]]]'), { ttl: 0 });
    expect((await tier.log.since(positions[2] ?? 0, 10)).records).toBeUndefined();
  });

  it("keep about as many records as told", async () => {
    const tier = open({ logLength: 10 });
    const start = await tier.log.head();
    for (let index = 0; index < 30; index++) await tier.store.invalidate(keyMarks("k"), false, "me");
    expect((await tier.log.since(start.position, 100)).records).toBeUndefined();
    expect((await tier.log.since(start.position + 20, 100)).records).toHaveLength(10);
  });

  it("store the marks whole now and then: a process that comes later knows all of them", async () => {
    const [tier, other] = [open(), open()];
    const start = await tier.log.head();
    const moved: number[] = [];
    for (let index = 0; index < 150; index++) {
      const by = index % 3 === 0 ? other : tier;
      moved.push((await by.store.invalidate([tag(index), PATTERN], index % 2 === 0, "me")).head.position);
    }
    const [, generation = "", , , , , controls, snapshot] = await headWords();
    expect(Number(controls)).toBe(150);
    expect(Number(snapshot)).toBeGreaterThan(64);
    await expect.poll(() => items.kind(LAYOUT.control(generation, 1))).toBeUndefined();
    const late = open();
    const marks = await late.store.marks([...moved.map((_, index) => tag(index)), PATTERN]);
    for (const [index, position] of moved.entries()) {
      const expected = index % 2 === 0 ? { hard: start.floor, soft: position } : { hard: position, soft: 0 };
      expect(marks[index]).toEqual(expected);
    }
    expect(marks.at(-1)).toEqual({ hard: moved[149], soft: moved[148] });
    expect((await late.store.rules())[0]).toEqual({ mark: PATTERN, hard: moved[149], soft: moved[148] });
    expect((await late.log.head()).floor).toBe(start.floor);
  });

  it.each(["snapshot", "record"])(
    "lost the %s that the marks need: everything that was known is older than the new floor",
    async (what) => {
      const tier = open();
      await put(tier, "a", entry(1));
      for (let index = 0; index < 50; index++) await tier.store.invalidate([tag(index)], false, "me");
      const { head } = await tier.store.read([]);
      const [, generation = "", , , , , controls, snapshot] = await headWords();
      expect(Number(snapshot)).toBeGreaterThan(0);
      const key =
        what === "snapshot"
          ? LAYOUT.marks(generation, Number(snapshot))
          : LAYOUT.control(generation, Number(controls) - 1);
      expect(await items.remove(key)).toBe(true);
      // Who has applied them all needs neither.
      expect((await tier.store.marks([tag(0)]))[0]?.hard).toBeGreaterThan(head?.floor ?? 0);
      const [answer] = await open().store.marks([tag(0)]);
      expect(answer?.hard).toBeGreaterThan(head?.position ?? 0);
      const now = await tier.log.head();
      expect(await tier.store.marks([tag(0)])).toEqual([{ hard: now.floor, soft: 0 }]);
      expect(await isStored(tier, "a")).toBe(false);
      expect((await tier.store.invalidate([tag(1)], false, "me")).head.position).toBe(now.position + 1);
    },
  );

  it("take records of any length, and refuse what is past all bounds", async () => {
    const [tier, other] = [open(), open()];
    const { position } = await tier.log.head();
    const many = keyMarks(...Array.from({ length: 20_000 }, (_, index) => `${"x".repeat(60)}${index}`));
    const long: Mark = { kind: "prefix", prefix: "p".repeat(65_000) };
    await tier.store.invalidate(many.slice(0, 9_000), true, "me");
    const { head } = await tier.store.invalidate([...many.slice(0, 9_000), long], false, "me");
    await tier.store.invalidate(keyMarks("k"), false, "me");
    const records = await recordsSince(other, position);
    expect(records.map(({ marks }) => marks.length)).toEqual([9_000, 9_001, 1]);
    expect(records[1]?.marks).toEqual([...many.slice(0, 9_000), long]);
    expect(await open().store.marks([long])).toEqual([{ hard: head.position, soft: 0 }]);
    const huge: Mark = { kind: "tag", tag: "h".repeat(34_000_000) };
    await expect(tier.store.invalidate([huge], false, "me")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
  });

  it("four who append at the same time, of each kind: no record is lost, and the chain is whole", async () => {
    const tiers = [open(), open(), open(), open()];
    const start = await (tiers[0] as SharedTier).log.head();
    const heads = await Promise.all(
      tiers.flatMap((tier, at) =>
        Array.from({ length: 100 }, async (_, index) => {
          const origin = `${at}.${index}`;
          if (index % 3 === 0) {
            return { origin, head: await tier.store.put([{ key: `k${at}`, value: entry(index), ttl: LONG }], origin) };
          }
          const marks = index % 3 === 1 ? keyMarks(`k${at}`) : [tag(at * 100 + index), PATTERN];
          return { origin, head: (await tier.store.invalidate(marks, false, origin)).head };
        }),
      ),
    );
    const records = await recordsSince(open(), start.position);
    expect(records).toHaveLength(400);
    let previous = start.position;
    for (const record of records) {
      expect(record.previous).toBe(previous);
      previous = record.position;
    }
    const byOrigin = new Map(records.map((record) => [record.origin, record]));
    for (const { origin, head } of heads) expect(byOrigin.get(origin)?.position).toBe(head.position);
    // All four, and one that comes later, have applied the same.
    const asked = Array.from({ length: 400 }, (_, index) => tag(index));
    const expected = await open().store.marks(asked);
    for (const [index, mark] of asked.entries()) {
      const record = records.find(({ marks }) => marks.some((one) => one.kind === "tag" && one.tag === `t${index}`));
      expect([mark, expected[index]?.hard]).toEqual([mark, record?.position ?? start.floor]);
    }
    for (const tier of tiers) expect(await tier.store.marks(asked)).toEqual(expected);
  });
});

describe("processes that append all the time", () => {
  it("leave one another a turn", async () => {
    const tiers = [open(), open(), open(), open()];
    const done = tiers.map(() => 0);
    await Promise.all(
      tiers.map(async (tier, at) => {
        // Who is ahead goes on until the last is through.
        while (done.some((count) => count < 200)) {
          await tier.store.invalidate(keyMarks(`k${at}`), false, "me");
          done[at] = (done[at] ?? 0) + 1;
        }
      }),
    );
    expect(Math.max(...done)).toBeLessThan(200 * 100);
  });
});

describe("writers of one key", () => {
  it("of which one is stored, or none; and only who is, or nobody, may keep it in memory", async () => {
    const tiers = [open(), open(), open()] as const;
    for (let round = 0; round < 60; round++) {
      const key = `k${round}`;
      const heads = await Promise.all(
        tiers.map((tier, index) => tier.store.put([{ key, value: entry(index), ttl: LONG }], `o${index}`)),
      );
      const value = (await tiers[0].store.read([key])).values[0];
      // The newest record drops the copies of all but its writer, who may keep its own unless `control` is the position.
      const newest = heads.reduce((one, two) => (one.position > two.position ? one : two));
      const stored = value instanceof Uint8Array ? value[11] : undefined;
      const kept = newest.control < newest.position ? heads.indexOf(newest) : stored;
      expect(stored).toBe(kept);
    }
  });

  it("that read the old entry while another commits the new one read an older head than the record's", async () => {
    const [writer, reader] = [open(), open()];
    for (let round = 0; round < 40; round++) {
      const key = `k${round}`;
      await put(writer, key, entry(1));
      await writer.leases.acquire(key, { token: "w", ttl: LONG, takeOver: true });
      const committing = writer.leases.commit(key, "w", entry(2), LONG, "me");
      const reads = Array.from({ length: 10 }, async (_, index) => {
        for (let turn = 0; turn < index; turn++) await new Promise((resolve) => setImmediate(resolve));
        return reader.store.read([key]);
      });
      const head = await committing;
      for (const { values, head: seen } of await Promise.all(reads)) {
        if (values[0] instanceof Uint8Array && values[0][11] === 1)
          expect(seen?.position).toBeLessThan(head?.position ?? 0);
      }
      expect((await reader.store.read([key])).values[0]).toEqual(entry(2));
    }
  });

  it("that stop half-way hold the key no longer than their lease", async () => {
    const tier = open();
    // What is left of a put that was cut off before it appended.
    await put(tier, "a", entry(1));
    const left = open();
    await left.leases.acquire("a", { token: "put", ttl: 1, takeOver: true });
    await left.close();
    await expect
      .poll(async () => (await tier.leases.acquire("a", { token: "t", ttl: LONG, seen: stampBytes(1) })).state, {
        timeout: 10_000,
        interval: 100,
      })
      .toBe("won");
  });
});

describe("one memcached for many", () => {
  it("keeps apart those with different prefixes, also where keys are too long to be themselves", async () => {
    const tiers = ["", "one:", "two:"].map((prefix) => open({ prefix }));
    const keys = ["a", "long".repeat(100), "é".repeat(120)];
    for (const [at, tier] of tiers.entries()) {
      for (const key of keys) await put(tier, key, entry(at));
    }
    for (const [at, tier] of tiers.entries()) {
      expect((await tier.store.read(keys)).values).toEqual(keys.map(() => entry(at)));
      expect((await tier.store.invalidate(keyMarks(...keys), false, "me")).hit).toBe(3);
      expect((await tier.store.read(keys)).values).toEqual([undefined, undefined, undefined]);
    }
  });
});

describe("items that are not ours", () => {
  it("are misses when they are read, go when they are invalidated, and are written over by a load", async () => {
    const tier = open();
    await tier.log.head();
    for (const [index, words] of ["x", "somebody else's text", "tm\u0001short"].entries()) {
      const key = `k${index}`;
      await items.store(LAYOUT.entry(key), text(words), { ttl: 0 });
      expect(await isStored(tier, key)).toBe(false);
      expect(await tier.leases.fill(key, "t", entry(1), LONG)).toBe(false);
      expect((await tier.store.invalidate(keyMarks(key), false, "me")).hit).toBe(1);
      await items.store(LAYOUT.entry(key), text(words), { ttl: 0 });
      expect((await tier.leases.acquire(key, { token: "t", ttl: LONG })).state).toBe("won");
      expect(await tier.leases.fill(key, "t", entry(1), LONG)).toBe(true);
      expect(await isStored(tier, key)).toBe(true);
    }
  });

  it("in place of a large entry's parts make it a miss", async () => {
    const tier = open();
    const large = entry(1, new Uint8Array(1_200_000).fill(7));
    await put(tier, "a", large);
    const [value] = (await tier.store.read(["a"])).values;
    if (value === undefined || value instanceof Uint8Array) throw new Error("expected a large value");
    expect(Buffer.compare((await value.fetch()) ?? text(""), large)).toBe(0);
    const item = await items.get(LAYOUT.entry("a"));
    const id = Buffer.from(item?.value ?? [])
      .toString("latin1")
      .slice(-16);
    await items.store(LAYOUT.part(id, 1), text("short"), { ttl: 0 });
    expect(await value.fetch()).toBeUndefined();
    await items.remove(LAYOUT.part(id, 1));
    expect(await value.fetch()).toBeUndefined();
  });

  it("and values past all bounds are refused before anything is written", async () => {
    const tier = open();
    const { position } = await tier.log.head();
    const value = new Uint8Array(33_554_433);
    await expect(put(tier, "a", value)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect((await tier.log.head()).position).toBe(position);
  });
});
