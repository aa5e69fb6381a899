import { createHash } from "node:crypto";
import fc from "fast-check";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { decodeEnvelope, encodeEnvelope, newStamp } from "../../src/entries/envelope.js";
import { redis, type NodeRedisLike, type RedisLike, type RedisOptions } from "../../src/redis/index.js";
import { SharedMemory } from "../../src/testing/index.js";
import { entry, keyMarks, LONG, stampBytes } from "../../src/testing/suite/session.js";
import type { LargeValue, SharedTier, StoredValue } from "../../src/tiers/shared.js";
import { connected, eventually, ioRedis, LIBRARIES, nodeRedis, type Connect, oneRedis } from "./redis-clients.js";
import { startRedis } from "../support/redis-server.js";

const PART = 65_536;
const PARTS = "{c:a}#parts";

const real = oneRedis();

function openOn(client: RedisLike, options: RedisOptions = {}): SharedTier {
  const tier = redis(client, { partsAbove: 1_024, ...options }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

async function open(
  options: RedisOptions = {},
  connect: Connect = nodeRedis(),
  url = real.server.url,
): Promise<SharedTier> {
  return openOn(await connected(connect, url, onTestFinished), options);
}

/** An entry of so many bytes, each part different. */
function large(stamp: number, length: number): Uint8Array {
  const payload = new Uint8Array(length - 12);
  const view = new DataView(payload.buffer);
  for (let at = 0; at + 4 <= payload.length; at += 4) view.setUint32(at, Math.imul(at + 1, 0x9e3779b1) ^ stamp);
  return entry(stamp, payload);
}

function put(tier: SharedTier, key: string, value: Uint8Array): Promise<unknown> {
  return tier.store.put([{ key, value, ttl: LONG }], "me");
}

async function readLarge(tier: SharedTier, key = "a"): Promise<LargeValue> {
  const [value] = (await tier.store.read([key])).values;
  if (value === undefined || value instanceof Uint8Array) throw new Error("expected a large value");
  return value;
}

async function bytesOf(value: StoredValue | undefined): Promise<Uint8Array | undefined> {
  return value === undefined || value instanceof Uint8Array ? value : value.fetch();
}

/** Short where values are long. */
function digest(bytes: Uint8Array | undefined): string | undefined {
  return bytes && `${bytes.length} ${createHash("sha1").update(bytes).digest("hex")}`;
}

async function keysOf(pattern: string): Promise<string[]> {
  return (await real.admin.keys(pattern)).toSorted();
}

/** A node-redis client, each of its commands seen before it is sent and after it was answered. */
async function watched(
  hooks: { before?: (args: readonly (string | Uint8Array)[]) => void; after?: (command: string) => Promise<void> } = {},
): Promise<NodeRedisLike> {
  const client = (await connected(nodeRedis(), real.server.url, onTestFinished)) as NodeRedisLike;
  const sendCommand: NodeRedisLike["sendCommand"] = async (args, options) => {
    hooks.before?.(args);
    const reply = await client.sendCommand(args, options);
    await hooks.after?.(String(args[0]));
    return reply;
  };
  return new Proxy(client, {
    get(target, name) {
      if (name === "sendCommand") return sendCommand;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

describe.each(LIBRARIES)("a large value by $library", ({ connect }) => {
  it.each([1_024, 1_025, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 7, 40 * PART])(
    "comes back as it was given, %i bytes",
    async (length) => {
      const tier = await open({}, connect);
      const value = large(7, length);
      await put(tier, "a", value);
      const [read] = (await tier.store.read(["a"])).values;
      expect(read instanceof Uint8Array).toBe(length <= 1_024);
      expect(digest(await bytesOf(read))).toBe(digest(value));
      expect(await real.admin.hlen(PARTS)).toBe(length <= 1_024 ? 0 : Math.ceil(length / PART) + 1);
    },
  );

  it("has a connection of its own, made for the first and closed with the tier", async () => {
    const connections = async (): Promise<number> =>
      Number((await real.admin.info("clients")).match(/connected_clients:(\d+)/)?.[1]);
    const tier = await open({}, connect);
    const before = await connections();
    await put(tier, "a", large(1, 1_000));
    expect(await connections()).toBe(before);
    await Promise.all([put(tier, "a", large(1, 5_000)), put(tier, "b", large(1, 5_000))]);
    await (await readLarge(tier)).fetch();
    expect(await connections()).toBe(before + 1);
    await tier.close();
    await eventually(async () => expect(await connections()).toBe(before));
    await expect(put(tier, "a", large(1, 5_000))).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
  });

  it("is read again after its connection was lost", async () => {
    const tier = await open({}, connect);
    const ids = async (): Promise<Set<string>> =>
      new Set(Array.from(String(await real.admin.client("LIST")).matchAll(/^id=(\d+)/gm), ([, id]) => id as string));
    const before = await ids();
    await put(tier, "a", large(1, 3 * PART));
    for (const id of await ids()) if (!before.has(id)) expect(await real.admin.client("KILL", "ID", id)).toBe(1);
    // What was on its way may be lost with the connection.
    await eventually(async () =>
      expect(digest(await (await readLarge(tier)).fetch())).toBe(digest(large(1, 3 * PART))),
    );
  });
});

describe("a client that does not connect again", () => {
  it.each([
    { library: "node-redis", connect: nodeRedis({ socket: { reconnectStrategy: false } }) },
    { library: "ioredis", connect: ioRedis({ retryStrategy: () => null }) },
  ])("has its connection for parts replaced ($library)", async ({ connect }) => {
    const tier = await open({}, connect);
    const ids = async (): Promise<Set<string>> =>
      new Set(Array.from(String(await real.admin.client("LIST")).matchAll(/^id=(\d+)/gm), ([, id]) => id as string));
    const before = await ids();
    await put(tier, "a", large(1, 3 * PART));
    for (const id of await ids()) if (!before.has(id)) await real.admin.client("KILL", "ID", id);
    await eventually(async () =>
      expect(digest(await (await readLarge(tier)).fetch())).toBe(digest(large(1, 3 * PART))),
    );
  });
});

describe("the parts of a value", () => {
  it("travel one at a time, on the connection for them only", async () => {
    let underWay = 0;
    let most = 0;
    let longest = 0;
    const lengthOf = (args: readonly (string | Uint8Array)[]): number => Math.max(...args.map(({ length }) => length));
    const client = await watched({ before: (args) => void (longest = Math.max(longest, lengthOf(args))) });
    const largeClient = await watched({
      before: () => void (most = Math.max(most, ++underWay)),
      after: async () => void (underWay -= 1),
    });
    const tier = openOn(client, { largeClient });
    const value = large(1, 100 * PART);
    await put(tier, "a", value);
    await tier.leases.acquire("b", { token: "t", ttl: LONG });
    expect(await tier.leases.fill("b", "t", value, LONG)).toBe(true);
    const answer = await tier.leases.acquire("b", { token: "u", ttl: LONG });
    expect(digest(await bytesOf(answer.state === "filled" ? answer.value : undefined))).toBe(digest(value));
    expect(digest(await (await readLarge(tier)).fetch())).toBe(digest(value));
    expect(most).toBe(1);
    // Manifests passed here, and the texts of scripts.
    expect(longest).toBeLessThan(6_000);
    await tier.close();
    expect(largeClient.isOpen).toBe(true);
  });

  it("live as long as the entry, to the millisecond", async () => {
    const tier = await open();
    const ends = async (): Promise<unknown[]> => [
      await real.admin.call("PEXPIRETIME", "c:a"),
      await real.admin.call("PEXPIRETIME", PARTS),
    ];
    const check = async (): Promise<void> => {
      const [end, partsEnd] = await ends();
      expect(end).toBeGreaterThan(Date.now());
      expect(partsEnd).toBe(end);
    };
    await put(tier, "a", large(1, 5_000));
    await check();
    await tier.store.invalidate(keyMarks("a"), true, "me");
    await check();
    await tier.leases.acquire("a", { token: "t", ttl: LONG });
    await tier.leases.fill("a", "t", large(2, 5_000), 2 * LONG);
    await check();
    await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
    await tier.leases.commit("a", "t", large(3, 5_000), 3 * LONG, "me");
    await check();
  });

  it("go with the entry, whatever takes its place", async () => {
    const tier = await open();
    const ways: (() => Promise<unknown>)[] = [
      () => tier.store.invalidate(keyMarks("a"), false, "me"),
      () => put(tier, "a", entry(2)),
      () => tier.store.discard("a", stampBytes(1)),
      async () => {
        await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
        await tier.leases.fill("a", "t", entry(2), LONG);
      },
      async () => {
        await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
        await tier.leases.commit("a", "t", entry(2), LONG, "me");
      },
    ];
    for (const way of ways) {
      await put(tier, "a", large(1, 5_000));
      expect(await keysOf("{c:a}*")).toEqual([PARTS]);
      await way();
      expect(await keysOf("{c:a}*")).toEqual([]);
    }
  });

  it("leave no key at rest after many fills, refused or not, and invalidations", async () => {
    const tiers = [await open(), await open({}, ioRedis())];
    await Promise.all(
      Array.from({ length: 60 }, async (_, round) => {
        const tier = tiers[round % 2] as SharedTier;
        const key = `k${round % 7}`;
        const token = `t${round}`;
        const value = large(round, 2_000 + (round % 3) * PART);
        await tier.leases.acquire(key, { token, ttl: LONG, takeOver: true });
        if (round % 5 === 0) await tier.store.invalidate(keyMarks(key), round % 2 === 0, "me");
        if (round % 4 === 0) await tier.leases.commit(key, token, value, LONG, "me");
        else if (round % 11 === 0) await put(tier, key, value);
        else await tier.leases.fill(key, token, value, LONG);
      }),
    );
    const [tier] = tiers as [SharedTier];
    expect((await keysOf("*#parts")).length).toBeGreaterThan(0);
    expect(await keysOf("*#u:*")).toEqual([]);
    await tier.store.invalidate(keyMarks(...Array.from({ length: 7 }, (_, index) => `k${index}`)), false, "me");
    expect(await keysOf("*")).toEqual(["c#fence", "c#head", "c#log", "c#marks", "c#rules"]);
  });

  it("that are missing, torn or another's are no value", async () => {
    const tier = await open();
    const breaks: (() => Promise<unknown>)[] = [
      () => real.admin.hdel(PARTS, "1"),
      () => real.admin.del(PARTS),
      () => real.admin.hset(PARTS, "2", "short"),
      () => real.admin.hset(PARTS, "2", Buffer.alloc(PART + 1)),
      () => real.admin.hset(PARTS, "id", "another"),
      () => real.admin.hdel(PARTS, "id"),
      () => real.admin.set(PARTS, "a text"),
      async () => real.admin.hset(PARTS, "0", Buffer.from(large(2, PART))),
      () => real.admin.copy("{c:b}#parts", PARTS, "REPLACE"),
    ];
    await put(tier, "b", large(1, 3 * PART));
    for (const breaks_ of breaks) {
      await put(tier, "a", large(1, 3 * PART));
      const value = await readLarge(tier);
      await breaks_();
      expect(await value.fetch()).toBeUndefined();
      // The next fill heals it.
      expect((await tier.leases.acquire("a", { token: "t", ttl: LONG, seen: value.head.subarray(4, 12) })).state).toBe(
        "won",
      );
      expect(await tier.leases.fill("a", "t", large(3, 2 * PART), LONG)).toBe(true);
      expect(digest(await (await readLarge(tier)).fetch())).toBe(digest(large(3, 2 * PART)));
    }
  });

  it("of two values are never mixed, written and read at once", async () => {
    const [tier, reader] = [await open(), await open({}, ioRedis())];
    const values = Array.from({ length: 4 }, (_, index) => large(index + 1, (3 + index) * PART));
    const digests = new Set(values.map(digest));
    const writer = { writing: true };
    const reads = async (): Promise<number> => {
      let whole = 0;
      while (writer.writing) {
        const [value] = (await reader.store.read(["a"])).values;
        const bytes = await bytesOf(value);
        if (bytes === undefined) continue;
        expect(digests).toContain(digest(bytes));
        if (value !== undefined && !(value instanceof Uint8Array)) expect(bytes[11]).toBe(value.head[11]);
        whole += 1;
      }
      return whole;
    };
    const reading = Promise.all([reads(), reads(), reads()]);
    for (let round = 0; round < 40; round++) await put(tier, "a", values[round % 4] as Uint8Array);
    writer.writing = false;
    expect((await reading).reduce((sum, count) => sum + count)).toBeGreaterThan(0);
  });

  it("are gone a minute after an upload that stood still", async () => {
    const client = await watched();
    let sent = 0;
    const largeClient = await watched({
      before(args) {
        if (args[0] === "HSET" && ++sent === 3) throw new Error("the process dies");
      },
    });
    const tier = openOn(client, { largeClient });
    await tier.leases.acquire("a", { token: "t", ttl: LONG });
    await expect(tier.leases.fill("a", "t", large(1, 10 * PART), LONG)).rejects.toThrow("the process dies");
    const [upload, ...others] = await keysOf("{c:a}#u:*");
    expect(others).toEqual([]);
    const left = await real.admin.pttl(upload as string);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(60_000);
    expect((await tier.store.read(["a"])).values).toEqual([undefined]);
  });

  it("whose record cannot be written are dropped", async () => {
    const tier = await open();
    await tier.log.head();
    await tier.leases.acquire("b", { token: "t", ttl: LONG });
    // A log that is ahead of all positions takes none of ours.
    await real.admin.xadd("c#log", "9000000000000000-0", "r", "[]");
    await expect(put(tier, "a", large(1, 5_000))).rejects.toThrow("smaller");
    await expect(tier.leases.commit("b", "t", large(1, 5_000), LONG, "me")).rejects.toThrow("smaller");
    expect(await keysOf("*#[up]*")).toEqual([]);
  });

  it("lost before they are in place: the fill is rejected, and nothing is stored", async () => {
    const client = await watched();
    const forget = async (): Promise<void> => {
      for (const key of await keysOf("{c:a}#u:*")) await real.admin.del(key);
    };
    // After the last part; before it; before the second script.
    for (const [length, after] of [
      [3 * PART, 3],
      [3 * PART, 2],
      [20 * PART, 10],
    ] as const) {
      let sent = 0;
      const largeClient = await watched({
        async after(command) {
          if (command !== "EVAL" && ++sent === after) await forget();
        },
      });
      const tier = openOn(client, { largeClient });
      await put(tier, "a", entry(9));
      await tier.leases.acquire("a", { token: "t", ttl: LONG, takeOver: true });
      await expect(tier.leases.fill("a", "t", large(1, length), LONG)).rejects.toThrow("were lost");
      await expect(tier.store.read(["a"])).resolves.toMatchObject({ values: [Buffer.from(entry(9))] });
      expect(await keysOf("{c:a}#u:*")).toEqual([]);
    }
  });
});

describe("an entry in parts", () => {
  it("is a miss to a release that knows no parts", async () => {
    const tier = await open();
    const fields = {
      value: "x".repeat(5_000),
      stamp: newStamp(),
      ttl: 1,
      staleWhileRevalidate: 0,
      staleIfError: 0,
      loadCost: 0,
      position: 1,
      tags: [],
      fingerprint: 0,
      etag: undefined,
      sliding: false,
    };
    const bytes = encodeEnvelope(fields, 1);
    await put(tier, "a", bytes);
    const manifest = (await real.admin.getBuffer("c:a")) as Buffer;
    expect(() => decodeEnvelope(manifest)).toThrow(expect.objectContaining({ code: "ERR_CACHE_CORRUPT" }) as Error);
    expect(decodeEnvelope((await (await readLarge(tier)).fetch()) as Uint8Array).value).toBe(fields.value);
  });

  it("is told from a small value that looks like one", async () => {
    const tier = await open();
    await put(tier, "a", large(1, 5_000));
    const manifest = new Uint8Array((await real.admin.getBuffer("c:a")) as Buffer);
    await put(tier, "b", manifest);
    expect(digest(await bytesOf((await tier.store.read(["b"])).values[0]))).toBe(digest(manifest));
    await tier.store.invalidate(keyMarks("b"), false, "me");
    expect(await keysOf("{c:b}*")).toEqual([]);
  });

  it("may not have more than 256 MB", async () => {
    const tier = await open();
    // Never touched, so it costs no memory.
    const value = new Uint8Array(268_435_457);
    await expect(put(tier, "a", value)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    await tier.leases.acquire("a", { token: "t", ttl: LONG });
    await expect(tier.leases.fill("a", "t", value, LONG)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    expect(await keysOf("{c:a}#[up]*")).toEqual([]);
  });

  it("is refused by a server out of memory, and leaves nothing behind", async () => {
    const small = await startRedis();
    onTestFinished(() => small.stop());
    const root = new Redis(small.url);
    onTestFinished(() => root.disconnect());
    const tier = await open({}, nodeRedis(), small.url);
    await put(tier, "b", large(1, 5_000));
    await tier.leases.acquire("a", { token: "t", ttl: LONG });
    await root.config("SET", "maxmemory", "1mb");
    await expect(tier.leases.fill("a", "t", large(2, 5_000), LONG)).rejects.toThrow("OOM");
    await expect(put(tier, "a", large(2, 5_000))).rejects.toThrow("OOM");
    await expect(tier.store.invalidate(keyMarks("b"), false, "me")).rejects.toThrow("OOM");
    expect((await root.keys("*")).filter((key) => /:|#parts|#u/.test(key))).toEqual(["{c:a}#lease"]);
  });

  it("behaves as a small one does, whatever is done in whatever order", async () => {
    const tiers = [await open(), await open({}, ioRedis())];
    const key = fc.constantFrom("a", "b", "/ns:a");
    const value = fc
      .tuple(fc.nat({ max: 3 }), fc.constantFrom(20, 1_024, 1_025, 3_000, PART + 5))
      .map(([stamp, length]) => large(stamp, length));
    const token = fc.constantFrom("t", "u");
    type Act = (tier: SharedTier) => Promise<unknown>;
    const act: fc.Arbitrary<Act> = fc.oneof(
      fc.tuple(key, value).map(
        ([at, given]): Act =>
          (tier) =>
            put(tier, at, given).then(() => "put"),
      ),
      fc.tuple(fc.subarray(["a", "b"]), fc.boolean()).map(
        ([at, soft]): Act =>
          async (tier) =>
            (await tier.store.invalidate(keyMarks(...at), soft, "me")).hit,
      ),
      fc.tuple(key, fc.nat({ max: 3 })).map(
        ([at, stamp]): Act =>
          (tier) =>
            tier.store.discard(at, stampBytes(stamp)),
      ),
      fc.tuple(key, token, fc.boolean()).map(([at, by, takeOver]): Act => async (tier) => {
        const answer = await tier.leases.acquire(at, { token: by, ttl: LONG, takeOver });
        return [answer.state, answer.state === "filled" && digest(await bytesOf(answer.value))];
      }),
      fc.tuple(key, token, value).map(
        ([at, by, given]): Act =>
          (tier) =>
            tier.leases.fill(at, by, given, LONG),
      ),
      fc.tuple(key, token, value).map(
        ([at, by, given]): Act =>
          async (tier) =>
            (await tier.leases.commit(at, by, given, LONG, "me")) !== undefined,
      ),
    );
    const stateOf = async (tier: SharedTier): Promise<unknown> => {
      const { values } = await tier.store.read(["a", "b", "/ns:a"]);
      return Promise.all(values.map(async (stored) => digest(await bytesOf(stored))));
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat({ max: 1 }), act), { maxLength: 25 }), async (acts) => {
        await real.admin.flushall();
        const model = new SharedMemory().factory().open("c");
        for (const [at, run] of acts) {
          const tier = tiers[at] as SharedTier;
          expect(await run(tier)).toEqual(await run(model));
          expect(await stateOf(tier)).toEqual(await stateOf(model));
        }
        const [tier] = tiers as [SharedTier];
        await tier.store.invalidate(keyMarks("a", "b", "/ns:a"), false, "me");
        expect((await keysOf("*")).filter((name) => !/^c#(fence|head|log|marks|rules)$/.test(name))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
