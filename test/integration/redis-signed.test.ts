import { describe, expect, it, onTestFinished } from "vitest";
import { redis, type RedisOptions } from "../../src/redis/index.js";
import { entry, keyMarks, LONG } from "../../src/testing/suite/session.js";
import type { LogSignal, SharedTier } from "../../src/tiers/shared.js";
import { connected, eventually, hear, ioRedis, LIBRARIES, nodeRedis, type Connect, oneRedis } from "./redis-clients.js";

const OLD = "the secret of last year";
const NEW = "the secret of this year";

const real = oneRedis();

async function open(secret: RedisOptions["secret"], connect: Connect = nodeRedis()): Promise<SharedTier> {
  const tier = redis(await connected(connect, real.server.url, onTestFinished), { secret }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

function invalidate(tier: SharedTier, key: string): Promise<unknown> {
  return tier.store.invalidate(keyMarks(key), false, "me");
}

function keysIn(heard: readonly LogSignal[]): string[] {
  return heard.flatMap((signal) => {
    if (signal.type === "settled") return [signal.key];
    if (signal.type !== "record") return [];
    return signal.record.marks.map((mark) => (mark.kind === "key" ? mark.key : mark.kind));
  });
}

/** What a script left in the log, to be tampered with. */
async function lastRecord(): Promise<string> {
  return (await real.admin.xrevrange("c#log", "+", "-", "COUNT", 1))[0]?.[1][1] ?? "";
}

/** Appends a record as one would who may write to the server and knows everything but the secret. */
async function forge(body: string): Promise<void> {
  const [position] = String(await real.admin.get("c#head")).split(" ");
  const next = Number(position) + 1;
  const record = `[${next},${position},${body}`;
  await real.admin.xadd("c#log", `${next}-0`, "r", record);
  await real.admin.set("c#head", `${next} ${next} ${position}`);
  await real.admin.publish("c#bus", record);
}

describe.each(LIBRARIES)("a secret, by $library", ({ connect }) => {
  it("signs what is sent, and others with it hear and read it", async () => {
    const [writer, reader] = [await open(NEW, connect), await open(NEW, connect)];
    const heard = await hear(reader);
    const { position } = await writer.log.head();
    await invalidate(writer, "invalidated");
    await writer.store.put([{ key: "put", value: entry(1), ttl: LONG }], "me");
    for (const key of ["filled", "committed", "released"]) await writer.leases.acquire(key, { token: "t", ttl: LONG });
    await writer.leases.fill("filled", "t", entry(1), LONG);
    await writer.leases.commit("committed", "t", entry(1), LONG, "me");
    await writer.leases.release("released", "t");
    const all = ["invalidated", "put", "filled", "committed", "committed", "released"];
    await eventually(() => expect(keysIn(heard)).toEqual(all));
    const { records } = await reader.log.since(position, 10);
    expect(records?.map(({ marks }) => marks)).toEqual([
      keyMarks("invalidated"),
      keyMarks("put"),
      keyMarks("committed"),
    ]);
  });
});

describe("a process with a secret", () => {
  it("drops what is published without it, and says so", async () => {
    const [tier, signed, foreign] = [await open(NEW), await open(NEW, ioRedis()), await open(OLD)];
    await tier.log.head();
    const heard = await hear(tier);
    await real.admin.publish("c#bus", '["settled","a"]');
    await real.admin.publish("c#bus", '[2,1,"o",0,[["k","a"]]]');
    await real.admin.publish("c#bus", "hello");
    await invalidate(foreign, "a");
    await invalidate(signed, "b");
    await eventually(() => expect(heard).toHaveLength(6));
    expect(heard.slice(1, 5)).toEqual([
      { type: "refused", reason: "no signature" },
      { type: "refused", reason: "no signature" },
      { type: "refused", reason: "not a message of this cache" },
      { type: "refused", reason: "no secret of ours signed it" },
    ]);
    expect(keysIn(heard)).toEqual(["b"]);
  });

  it("takes a record in the log that is not signed for a log that does not reach back, once", async () => {
    const [tier, foreign] = [await open(NEW), await open(undefined)];
    const heard = await hear(tier);
    const { position } = await tier.log.head();
    await invalidate(tier, "before");
    await invalidate(foreign, "a");
    const { records, head, oldest } = await tier.log.since(position, 10);
    expect([records, oldest]).toEqual([undefined, undefined]);
    await eventually(() => expect(heard.filter(({ type }) => type === "refused")).toHaveLength(2));
    // A follower goes on from the head, past it.
    await invalidate(tier, "b");
    const next = await tier.log.since(head.position, 10);
    expect(next.records?.map(({ marks }) => marks)).toEqual([keyMarks("b")]);
    expect(heard.filter(({ type }) => type === "refused")).toHaveLength(2);
  });

  it("believes nothing made up by one who may write to the server", async () => {
    const tier = await open(NEW);
    const { position } = await tier.log.head();
    await invalidate(tier, "a");
    const body = (await lastRecord()).replace(/^\[\d+,\d+,/, "");
    for (const changed of [
      '"me",0,[["a"]]]',
      body.replace('"a"', '"b"'),
      body.replace(",0,", ",1,"),
      body.replace('"me"', '"you"'),
      body.replace(/"[\w-]{22}"\]$/, '"AAAAAAAAAAAAAAAAAAAAAA"]'),
    ]) {
      const from = (await tier.log.head()).position;
      await forge(changed);
      expect((await tier.log.since(from, 10)).records).toBeUndefined();
    }
    // What was sent may be sent again: its marks are as they were.
    const from = (await tier.log.head()).position;
    await forge(body);
    expect((await tier.log.since(from, 10)).records?.map(({ marks }) => marks)).toEqual([keyMarks("a")]);
    expect(position).toBeLessThan(from);
  });

  it("does not believe what another cache signed with the same secret", async () => {
    const tier = await open(NEW);
    const client = await connected(nodeRedis(), real.server.url, onTestFinished);
    const other = redis(client, { secret: NEW }).open("d");
    onTestFinished(() => other.close());
    const { position } = await tier.log.head();
    await invalidate(other, "a");
    const [[, [, record = ""]] = ["", []]] = (await real.admin.xrange("d#log", "-", "+")) as [string, string[]][];
    await forge(record.replace(/^\[\d+,\d+,/, ""));
    expect((await tier.log.since(position, 10)).records).toBeUndefined();
  });
});

describe("a change of secrets", () => {
  it("loses nothing: first all believe the new one, then all sign by it, then the old one goes", async () => {
    const stages: RedisOptions["secret"][] = [OLD, [OLD, NEW], [NEW, OLD], NEW];
    const tiers = await Promise.all(stages.map((secret) => open(secret)));
    for (let stage = 0; stage + 1 < tiers.length; stage++) {
      const pair = tiers.slice(stage, stage + 2) as [SharedTier, SharedTier];
      for (const [writer, reader] of [pair, pair.toReversed()] as [SharedTier, SharedTier][]) {
        const { position } = await reader.log.head();
        await invalidate(writer, `by stage ${stage}`);
        expect((await reader.log.since(position, 10)).records?.map(({ marks }) => marks)).toEqual([
          keyMarks(`by stage ${stage}`),
        ]);
      }
    }
  });

  it("from none: processes without one read what is signed", async () => {
    const [plain, signed] = [await open(undefined), await open(NEW)];
    const heard = await hear(plain);
    const { position } = await plain.log.head();
    await invalidate(signed, "a");
    await signed.leases.acquire("b", { token: "t", ttl: LONG });
    await signed.leases.release("b", "t");
    await eventually(() => expect(keysIn(heard)).toEqual(["a", "b"]));
    expect((await plain.log.since(position, 10)).records?.map(({ marks }) => marks)).toEqual([keyMarks("a")]);
  });
});
