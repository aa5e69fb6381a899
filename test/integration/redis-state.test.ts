import { Redis } from "ioredis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Mark } from "../../src/invalidation/record.js";
import { redis, type RedisOptions } from "../../src/redis/index.js";
import { atHand, entry, keyMarks, LONG, stampBytes } from "../../src/testing/suite/session.js";
import type { SharedTier } from "../../src/tiers/shared.js";
import { connected, eventually, hear, ioRedis, LIBRARIES, nodeRedis, type Connect, oneRedis } from "./redis-clients.js";
import { startRedis } from "../support/redis-server.js";

const real = oneRedis();

const TAG: Mark = { kind: "tag", tag: "t" };
const PATTERN: Mark = { kind: "pattern", pattern: "p:*" };

async function open(
  options: RedisOptions = {},
  connect: Connect = nodeRedis(),
  url = real.server.url,
): Promise<SharedTier> {
  const client = await connected(connect, url, onTestFinished);
  const tier = redis(client, options).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

function put(tier: SharedTier, key: string, value: Uint8Array): Promise<unknown> {
  return tier.store.put([{ key, value, ttl: LONG }], "me");
}

describe.each(LIBRARIES)("scripts by $library", ({ connect }) => {
  it("are sent again to a server that forgot them", async () => {
    const tier = await open({}, connect);
    const everything = async (): Promise<void> => {
      await put(tier, "a", entry(1));
      await tier.store.invalidate(keyMarks("a"), true, "me");
      await tier.store.invalidate([TAG], false, "me");
      const won = await tier.leases.acquire("a", { token: "t", ttl: LONG });
      expect(won.state).toBe("won");
      expect(await tier.leases.renew("a", "t", LONG)).toBe(true);
      expect(await tier.leases.fill("a", "t", entry(2), LONG)).toBe(true);
      await tier.leases.acquire("b", { token: "t", ttl: LONG });
      expect(await tier.leases.release("b", "t")).toBe(true);
      await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
      expect(await tier.leases.commit("a", "t", entry(3), LONG, "me")).toEqual(await tier.log.head());
      expect(await tier.store.discard("a", stampBytes(3))).toBe(true);
      expect((await tier.store.marks([TAG]))[0]?.hard).toBeGreaterThan(0);
      expect(await tier.store.rules()).toEqual([]);
      const { position } = await tier.log.head();
      expect((await tier.log.since(position, 1)).records).toEqual([]);
    };
    await everything();
    await real.admin.script("FLUSH");
    await everything();
    await real.admin.script("FLUSH");
    await Promise.all([everything, () => put(tier, "x", entry(1))].map((act) => act()));
  });
});

describe("the keys of the log", () => {
  it("lost their head: a generation begins, newer than the old, and forgets it", async () => {
    const tier = await open();
    const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
    await real.admin.del("c#head");
    expect((await tier.store.read([])).head).toBeUndefined();
    const begun = await tier.log.head();
    expect(begun.floor).toBeGreaterThan(head.position);
    expect(await tier.store.marks([TAG])).toEqual([{ hard: begun.floor, soft: 0 }]);
    expect(await tier.store.rules()).toEqual([]);
    expect((await tier.log.since(head.position, 10)).records).toBeUndefined();
  });

  it("lost their head while the clock stood behind the log: positions go on past it", async () => {
    const tier = await open();
    const future = 4_000_000_000_000_000;
    await tier.log.head();
    await real.admin.xadd("c#log", `${future}-0`, "r", "[]");
    await real.admin.del("c#head");
    expect((await tier.log.head()).position).toBeGreaterThan(future + 1);
  });

  it("give no position to two records while the clock stands behind, whatever was lost in between", async () => {
    const tier = await open();
    const future = 4_000_000_000_000_000;
    const positionOf = async (tag: string): Promise<number> => {
      // As a replica that lacks the record before it would have them.
      await real.admin.set("c#head", `${future} ${future} ${future}`);
      await real.admin.del("c#log");
      return (await tier.store.invalidate([{ kind: "tag", tag }], false, "me")).head.position;
    };
    await tier.log.head();
    const positions = new Set<number>();
    for (const tag of ["t", "u", "v", "w"]) positions.add(await positionOf(tag));
    // Twelve bits of a digest: four alike have no chance, two of four nearly none.
    expect(positions.size).toBeGreaterThan(2);
    for (const position of positions) expect(position).toBeGreaterThan(future + 1);
  });

  it("hold something else for a head: a generation begins", async () => {
    const tier = await open();
    const { head } = await tier.store.invalidate([TAG], false, "me");
    await real.admin.set("c#head", "nonsense");
    expect((await tier.store.read([])).head).toBeUndefined();
    expect((await tier.log.head()).floor).toBeGreaterThan(head.position);
  });

  it.each(["c#marks", "c#rules"])("lost %s: everything that was known is older than the new floor", async (key) => {
    const tier = await open();
    const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
    await real.admin.del(key);
    // Moved again, it exists again, and still does not know the others.
    await tier.store.invalidate(
      [
        { kind: "tag", tag: "u" },
        { kind: "pattern", pattern: "u" },
      ],
      false,
      "me",
    );
    const [answer] =
      key === "c#marks"
        ? await tier.store.marks([TAG])
        : [await tier.store.rules(), ...(await tier.store.marks([TAG]))].slice(1);
    const { floor } = await tier.log.head();
    expect(floor).toBeGreaterThan(head.position);
    expect(answer).toEqual({ hard: floor, soft: 0 });
    expect((await tier.log.since(head.position, 10)).records).toBeUndefined();
  });

  it.each(["c#head", "c#log", "c#marks", "c#rules", "c#fence"])(
    "hold a value of another type under %s: it is lost like any other, and everything goes on",
    async (key) => {
      const foreign = [
        () => real.admin.lpush(key, "x"),
        () => real.admin.hset(key, "x", "y"),
        () => (key === "c#head" || key === "c#fence" ? real.admin.sadd(key, "x") : real.admin.set(key, "x")),
      ];
      const tier = await open();
      const fence = async (): Promise<number> => {
        const answer = await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
        return answer.state === "won" ? answer.fence : 0;
      };
      for (const put of foreign) {
        const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
        const before = await fence();
        // Whoever meets it first.
        for (const meet of [
          () => tier.store.invalidate([TAG, PATTERN], false, "me"),
          () => tier.store.marks([TAG]),
          () => tier.store.rules(),
          () => tier.log.since(head.position, 10),
          () => tier.log.head(),
          fence,
        ]) {
          await real.admin.del(key);
          await put();
          await meet();
          expect(await fence()).toBeGreaterThan(before);
          const { head: next } = await tier.store.invalidate([TAG, PATTERN], false, "me");
          expect(next.position).toBeGreaterThan(head.position);
          expect((await tier.store.marks([TAG]))[0]?.hard).toBeGreaterThanOrEqual(next.position);
          const { position } = await tier.log.head();
          expect((await tier.log.since(position, 10)).records).toEqual([]);
        }
      }
    },
  );

  it("lost the marks while the clock stood behind the log: the new generation is newer still", async () => {
    const tier = await open();
    const far = 4_000_000_000_000_000;
    await tier.log.head();
    await real.admin.set("c#head", `${far} ${far} ${far}`);
    await real.admin.del("c#marks", "c#log");
    const [mark] = await tier.store.marks([TAG]);
    const begun = await tier.log.head();
    expect(begun.position).toBeGreaterThan(far);
    expect(begun).toEqual({ position: begun.position, control: begun.position, floor: begun.position });
    expect(mark).toEqual({ hard: begun.floor, soft: 0 });
  });

  it("lost the log: it does not reach back, and goes on", async () => {
    const tier = await open();
    const first = (await tier.store.invalidate([TAG], false, "me")).head;
    const second = (await tier.store.invalidate([TAG], false, "me")).head;
    await real.admin.del("c#log");
    expect(await tier.log.since(first.position, 10)).toEqual({ records: undefined, head: second });
    const third = (await tier.store.invalidate([TAG], false, "me")).head;
    expect((await tier.log.since(first.position, 10)).records).toBeUndefined();
    expect((await tier.log.since(second.position, 10)).records?.map(({ position }) => position)).toEqual([
      third.position,
    ]);
    expect(third.floor).toBe(first.floor);
  });

  it("lost the fence counter: fences still grow", async () => {
    const tier = await open();
    const first = await tier.leases.acquire("a", { token: "t", ttl: LONG });
    await real.admin.del("c#fence");
    const second = await tier.leases.acquire("a", { token: "t", ttl: LONG });
    expect(second.state === "won" && first.state === "won" && second.fence > first.fence).toBe(true);
  });

  it("hold a record nobody can read: the log does not reach back past it", async () => {
    const tier = await open();
    const { position } = await tier.log.head();
    await real.admin.xadd("c#log", `${position + 5}-0`, "r", `[${position + 5},${position},"x",0,[["new-kind","y"]]]`);
    await real.admin.set("c#head", `${position + 5} ${position} ${position}`);
    expect((await tier.log.since(position, 10)).records).toBeUndefined();
    const { head } = await tier.store.invalidate([TAG], false, "me");
    expect((await tier.log.since(position + 5, 10)).records?.map((record) => record.position)).toEqual([head.position]);
  });

  it("keep positions exact where Lua's own formatting would round them", async () => {
    const tier = await open();
    const far = 8_999_999_999_900_000;
    await tier.log.head();
    await real.admin.set("c#head", `${far} ${far} ${far}`);
    const given: number[] = [];
    for (let step = 1; step <= 20; step++) {
      const { head } = await tier.store.invalidate([TAG, PATTERN], false, "me");
      expect(head.position).toBeGreaterThan(given.at(-1) ?? far);
      given.push(head.position);
      expect(await tier.store.marks([TAG, PATTERN])).toEqual([
        { hard: head.position, soft: 0 },
        { hard: head.position, soft: 0 },
      ]);
    }
    const since = await tier.log.since(given[6] as number, 3);
    expect(since.records?.map(({ position }) => position)).toEqual(given.slice(7, 10));
  });

  it("stay about as long as told", async () => {
    const tier = await open({ logLength: 200 });
    const start = await tier.log.head();
    for (let batch = 0; batch < 10; batch++) {
      await Promise.all(Array.from({ length: 100 }, () => tier.store.invalidate(keyMarks("a"), false, "me")));
    }
    expect(await real.admin.xlen("c#log")).toBeLessThanOrEqual(400);
    const { records, head } = await tier.log.since(start.position, 10);
    expect(records).toBeUndefined();
    const oldest = JSON.parse((await real.admin.xrange("c#log", "-", "+", "COUNT", 1))[0]?.[1][1] ?? "") as [
      number,
      number,
    ];
    expect((await tier.log.since(oldest[1], 1_000)).records?.at(-1)?.position).toBe(head.position);
  });

  it("forget a mark older than any entry, and every entry older than it", async () => {
    const tier = await open({ entryRetention: "50ms" });
    const { head: old } = await tier.store.invalidate([TAG, PATTERN], false, "me");
    await eventually(async () => {
      const { head } = await tier.store.invalidate(
        [
          { kind: "tag", tag: "young" },
          { kind: "pattern", pattern: "young" },
        ],
        false,
        "me",
      );
      expect(head.floor).toBe(old.position);
    });
    expect(await tier.store.marks([TAG])).toEqual([{ hard: old.position, soft: 0 }]);
    expect(await tier.store.rules()).toHaveLength(1);
    expect(await real.admin.zcard("c#marks")).toBe(2);
  });

  it("forget a bounded number of marks at once when the limit is lowered", async () => {
    const marks = (from: number): Mark[] =>
      Array.from({ length: 10_000 }, (_, index) => ({ kind: "tag", tag: `t${from + index}` }));
    const wide = await open();
    for (let from = 0; from < 30_000; from += 10_000) await wide.store.invalidate(marks(from), false, "me");
    const narrow = await open({ maxMarks: 10 });
    await narrow.store.invalidate([TAG], false, "me");
    expect(await real.admin.zcard("c#marks")).toBe(10_002);
    const { head } = await narrow.store.invalidate([TAG], false, "me");
    expect(await real.admin.zcard("c#marks")).toBe(2);
    expect((await narrow.store.marks([{ kind: "tag", tag: "t3" }]))[0]?.hard).toBe(head.floor);
  });
});

describe("keys that are not ours", () => {
  beforeEach(() =>
    real.admin.multi().hset("c:hash", "f", "v").set("c:short", "short").set("c:text", "somebody else's text").exec(),
  );

  it("are misses when read, whatever their type", async () => {
    const tier = await open();
    await put(tier, "a", entry(1));
    const { values } = await tier.store.read(["hash", "short", "none", "a"]);
    expect(values.map((value) => atHand(value)?.length)).toEqual([undefined, 5, undefined, 12]);
  });

  it("do not stop a soft invalidation half-way", async () => {
    const tier = await open();
    await put(tier, "a", entry(1));
    const { hit } = await tier.store.invalidate(keyMarks("hash", "short", "a"), true, "me");
    expect(hit).toBe(1);
    expect(atHand((await tier.store.read(["a"])).values[0])?.[3]).toBe(1);
    expect(await real.admin.hgetall("c:hash")).toEqual({ f: "v" });
    expect(await real.admin.get("c:short")).toBe("short");
  });

  it("go when they are invalidated, and are written over by a fill", async () => {
    const tier = await open();
    expect((await tier.store.invalidate(keyMarks("short"), false, "me")).hit).toBe(1);
    expect((await tier.leases.acquire("hash", { token: "t", ttl: LONG })).state).toBe("won");
    expect(await tier.leases.fill("hash", "t", entry(1), LONG)).toBe(true);
    expect((await tier.store.read(["hash"])).values[0]).toHaveLength(12);
  });

  it("do not stand for a lease", async () => {
    const tier = await open();
    await real.admin.multi().hset("{c:a}#lease", "f", "v").set("{c:b}#lease", "without an end").exec();
    for (const key of ["a", "b"]) {
      expect(await tier.leases.fill(key, "t", entry(1), LONG)).toBe(false);
      expect((await tier.leases.acquire(key, { token: "t", ttl: LONG })).state).toBe("won");
      expect(await tier.leases.fill(key, "t", entry(1), LONG)).toBe(true);
    }
  });
});

describe("one Redis for many", () => {
  it("node-redis and ioredis see one cache, with a key prefix too", async () => {
    for (const prefix of [undefined, "app:"]) {
      const options = prefix === undefined ? {} : { keyPrefix: prefix };
      const byNode = await open({}, nodeRedis(options));
      const byIo = await open({}, ioRedis(options));
      const heard = await hear(byNode);
      await put(byIo, "a", entry(7));
      expect(atHand((await byNode.store.read(["a"])).values[0])?.[11]).toBe(7);
      expect(await byNode.log.head()).toEqual(await byIo.log.head());
      await byIo.leases.acquire("b", { token: "t", ttl: LONG });
      expect((await byNode.leases.acquire("b", { token: "u", ttl: LONG })).state).toBe("held");
      await eventually(() => expect(heard.map(({ type }) => type)).toEqual(["up", "record"]));
    }
    expect(await real.admin.exists("c#head", "app:c#head")).toBe(2);
  });

  it.each([
    { apart: "key prefixes", first: "", second: "app:", path: "" },
    { apart: "databases", first: "", second: "", path: "/3" },
  ])("$apart keep caches of one name apart, their pushes too", async ({ first, second, path }) => {
    for (const connect of [nodeRedis, ioRedis]) {
      const one = await open({}, connect({ keyPrefix: first }));
      const two = await open({}, connect({ keyPrefix: second }), real.server.url + path);
      const heard = [await hear(one), await hear(two)];
      await put(one, "a", entry(1));
      expect((await two.store.read(["a"])).values).toEqual([undefined]);
      await put(two, "b", entry(1));
      await eventually(() => expect(heard.map((signals) => signals.length)).toEqual([2, 2]));
      expect(heard.map(([, signal]) => signal?.type === "record" && signal.record.marks)).toEqual([
        keyMarks("a"),
        keyMarks("b"),
      ]);
      await real.admin.flushall();
    }
  });
});

describe("one atomic step", () => {
  it("takes ten thousand keys in one record, and refuses more", async () => {
    const tier = await open();
    const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);
    const { position } = await tier.store.put(
      keys.map((key) => ({ key, value: entry(1), ttl: LONG })),
      "me",
    );
    const { head, hit } = await tier.store.invalidate(keyMarks(...keys), false, "me");
    expect(hit).toBe(10_000);
    const { records } = await tier.log.since(position, 10);
    expect(records?.map((record) => [record.position, record.marks.length])).toEqual([[head.position, 10_000]]);
    await expect(tier.store.invalidate(keyMarks(...keys, "more"), false, "me")).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
    });
    expect(await tier.log.head()).toEqual(head);
  });

  it("refuses a record larger than subscribers can take", async () => {
    const tier = await open();
    const { position } = await tier.log.head();
    const long = "x".repeat(60_000);
    const many = keyMarks(...Array.from({ length: 100 }, (_, index) => `${long}${index}`));
    await expect(tier.store.invalidate(many, false, "me")).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect((await tier.log.head()).position).toBe(position);
  });
});

describe("a server out of memory", () => {
  it("rejects writes and leaves no old value behind", async () => {
    const small = await startRedis();
    onTestFinished(() => small.stop());
    const root = new Redis(small.url);
    onTestFinished(() => root.disconnect());
    const tier = await open({}, nodeRedis(), small.url);
    await put(tier, "a", entry(1));
    await put(tier, "b", entry(1));
    await put(tier, "c", entry(1));
    await put(tier, "e", entry(1));
    expect((await tier.leases.acquire("d", { token: "t", ttl: LONG })).state).toBe("won");
    expect((await tier.leases.acquire("e", { token: "t", ttl: LONG, takeOver: true })).state).toBe("won");
    await root.config("SET", "maxmemory", "1mb");
    await expect(put(tier, "a", entry(2))).rejects.toThrow("OOM");
    await expect(tier.store.invalidate(keyMarks("b", "d"), false, "me")).rejects.toThrow("OOM");
    await expect(tier.store.invalidate(keyMarks("c"), true, "me")).rejects.toThrow("OOM");
    await expect(tier.leases.commit("e", "t", entry(2), LONG, "me")).rejects.toThrow("OOM");
    const { values } = await tier.store.read(["a", "b", "c", "e"]);
    expect(values.map((value) => atHand(value)?.[11])).toEqual([undefined, undefined, 1, undefined]);
    await root.config("SET", "maxmemory", "0");
    expect(await tier.leases.fill("d", "t", entry(1), LONG)).toBe(false);
    await put(tier, "a", entry(3));
    expect(atHand((await tier.store.read(["a"])).values[0])?.[11]).toBe(3);
  });
});
