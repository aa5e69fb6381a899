import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { Redis } from "ioredis";
import { BasicClientSideCache } from "redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { redis } from "../../src/redis/index.js";
import { entry, keyMarks, LONG } from "../../src/testing/suite/session.js";
import type { LogSignal, SharedTier } from "../../src/tiers/shared.js";
import { connected, eventually, hear, ioRedis, LIBRARIES, nodeRedis, type Connect, oneRedis } from "./redis-clients.js";
import { startRedis } from "../support/redis-server.js";

const real = oneRedis();

async function open(connect: Connect, url: string = real.server.url, tracking = true): Promise<SharedTier> {
  const tier = redis(await connected(connect, url, onTestFinished), { tracking }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

/** What is heard of entries. */
function changes(heard: readonly LogSignal[]): string[] {
  return heard.flatMap((signal) => {
    if (signal.type === "changed") return [signal.key];
    return signal.type === "changed-all" || signal.type === "refused" ? [signal.type] : [];
  });
}

async function connections(): Promise<number> {
  return String(await real.admin.client("LIST"))
    .trim()
    .split("\n").length;
}

/** The connections that track in broadcasting mode: a client's own cache does not. */
async function trackers(): Promise<string[]> {
  return Array.from(
    String(await real.admin.client("LIST")).matchAll(/^id=(\d+) .* flags=\w*tB/gm),
    ([, id]) => id as string,
  );
}

describe.each([
  ...LIBRARIES,
  { library: "node-redis with RESP2", connect: nodeRedis({ RESP: 2 }) },
  {
    library: "node-redis with a cache of its own",
    connect: nodeRedis({ clientSideCache: new BasicClientSideCache() }),
  },
  { library: "ioredis with RESP3, pipelining", connect: ioRedis({ protocol: 3, enableAutoPipelining: true }) },
])("tracking by $library", ({ connect }) => {
  it("hears of entries that anybody changes or deletes, and of nothing else", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    // From here on it hears; what was before may have been missed.
    expect(heard.map(({ type }) => type)).toEqual(["up", "changed-all"]);
    await real.admin.set("c:a", "by another service");
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "a"]));
    await real.admin.multi().set("d:a", 1).set("cc:a", 1).set("c", 1).set("c#x", 1).set("{c:a}#lease", 1).exec();
    await real.admin.set("c/ns:user:1", 1);
    await eventually(() => expect(changes(heard).slice(2)).toEqual(["/ns:user:1"]));
    await real.admin.del("c:a");
    await eventually(() => expect(changes(heard).slice(3)).toEqual(["a"]));
    await real.admin.pexpire("c/ns:user:1", 1);
    await eventually(() => expect(changes(heard).slice(4)).toEqual(["/ns:user:1", "/ns:user:1"]));
    const keys = Array.from({ length: 500 }, (_, index) => `k${index}`);
    await real.admin.mset(keys.flatMap((key) => [`c:${key}`, "1"]));
    await eventually(() => expect(changes(heard).slice(6).toSorted()).toEqual(keys.toSorted()));
  });

  it("hears of the cache's own writes as well", async () => {
    const [tier, writer] = [await open(connect), await open(connect, real.server.url, false)];
    const heard = await hear(tier);
    await writer.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "a"]));
    await writer.store.invalidate(keyMarks("a"), true, "me");
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "a", "a"]));
  });

  it("hears that all is gone", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    await real.admin.flushall();
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "changed-all"]));
    await real.admin.flushdb();
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "changed-all", "changed-all"]));
  });

  it("says that anything may have changed when its connection was lost, and hears again", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    for (let round = 1; round <= 3; round++) {
      heard.length = 0;
      const [id, ...others] = await trackers();
      expect(others).toEqual([]);
      await real.admin
        .multi()
        .call("CLIENT", "KILL", "ID", id as string)
        .set("c:missed", round)
        .exec();
      await eventually(() => expect(changes(heard)).toEqual(["changed-all"]));
      await real.admin.set("c:heard", round);
      await eventually(() => expect(changes(heard)).toEqual(["changed-all", "heard"]));
    }
  });

  it("ends with the subscription, and leaves no connection", async () => {
    const tier = await open(connect);
    const before = await connections();
    const heard: LogSignal[] = [];
    const end = await tier.log.subscribe((signal) => heard.push(signal));
    expect(await connections()).toBe(before + 2);
    await end();
    await eventually(async () => expect(await connections()).toBe(before));
    await hear(tier);
    await tier.close();
    await eventually(async () => expect(await connections()).toBe(before));
    await real.admin.set("c:a", 1);
    expect(changes(heard)).toEqual(["changed-all"]);
  });
});

describe.each(LIBRARIES)("tracking by $library", ({ library, connect }) => {
  it("is off unless it is asked for", async () => {
    const tier = await open(connect, real.server.url, false);
    const heard = await hear(tier);
    expect(await trackers()).toEqual([]);
    await real.admin.set("c:a", 1);
    await real.admin.publish("c#bus", '["settled","a"]');
    await eventually(() => expect(heard.map(({ type }) => type)).toEqual(["up", "settled"]));
  });

  it("knows entries behind a key prefix", async () => {
    const prefixed = library === "ioredis" ? ioRedis({ keyPrefix: "app:" }) : nodeRedis({ keyPrefix: "app:" });
    const tier = await open(prefixed);
    const heard = await hear(tier);
    await tier.store.put([{ key: "/ns:a", value: entry(1), ttl: LONG }], "me");
    await real.admin.del("c:a", "app:c/ns:a");
    await eventually(() => expect(changes(heard).slice(-1)).toEqual(["/ns:a"]));
    expect(new Set(changes(heard))).toEqual(new Set(["changed-all", "/ns:a"]));
  });

  it("goes on when the server was away, and was asked for meanwhile", async () => {
    const own = await startRedis();
    onTestFinished(() => own.stop());
    const root = new Redis(own.url);
    root.on("error", () => undefined);
    onTestFinished(() => root.disconnect());
    const tier = await open(connect, own.url);
    const first = await hear(tier);
    await own.kill();
    const second: LogSignal[] = [];
    const standing = tier.log.subscribe((signal) => second.push(signal));
    await eventually(() => expect(first.map(({ type }) => type)).toEqual(["up", "changed-all", "down"]));
    await own.restart();
    await standing;
    await eventually(() => expect(changes(first)).toEqual(["changed-all", "changed-all"]));
    await root.set("c:a", 1);
    await eventually(() => expect([changes(first).at(-1), changes(second)]).toEqual(["a", ["changed-all", "a"]]));
  });

  it("is refused where the server refuses it, and leaves no connection", async () => {
    await real.admin.acl("SETUSER", "blind", "on", ">secret", "~*", "&*", "+@all", "-client|tracking");
    const before = await connections();
    const tier = await open(connect, `redis://blind:secret@127.0.0.1:${real.server.port}`);
    await expect(tier.log.subscribe(() => undefined)).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
      cause: expect.objectContaining({ message: expect.stringContaining("NOPERM") as string }) as unknown,
    });
    await eventually(async () => expect(await connections()).toBe(before + 1));
  });

  it("says so when the right to it was taken away, and hears again when it is given back", async () => {
    await real.admin.acl("SETUSER", "app", "on", ">secret", "~*", "&*", "+@all");
    const tier = await open(connect, `redis://app:secret@127.0.0.1:${real.server.port}`);
    const heard = await hear(tier);
    const kill = async (): Promise<void> => {
      for (const id of await trackers()) await real.admin.client("KILL", "ID", id);
    };
    await real.admin.acl("SETUSER", "app", "-client|tracking");
    await kill();
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "refused"]));
    expect(heard.find(({ type }) => type === "refused")).toMatchObject({
      reason: expect.stringMatching(/^tracking: NOPERM/) as string,
    });
    await real.admin.acl("SETUSER", "app", "+client|tracking");
    await real.admin.call("CLIENT", "KILL", "USER", "app");
    await eventually(() => expect(changes(heard).at(-1)).toBe("changed-all"));
    await real.admin.set("c:a", 1);
    await eventually(() => expect(changes(heard).at(-1)).toBe("a"));
  });

  it("replaces a connection that died without a word, when the log was read several times meanwhile", async () => {
    const proxy = await trackingProxy(real.server.port);
    onTestFinished(() => proxy.close());
    const tier = await open(connect, `redis://127.0.0.1:${proxy.port}`);
    const heard = await hear(tier);
    const { position } = await tier.log.head();
    const readLog = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) await tier.log.since(position, 1);
    };
    // A living one answers between.
    for (let round = 0; round < 20; round++) {
      await readLog(1);
      await tier.log.head();
    }
    expect(changes(heard)).toEqual(["changed-all"]);
    proxy.freeze();
    await real.admin.set("c:missed", 1);
    await readLog(9);
    await eventually(() => expect(changes(heard)).toEqual(["changed-all", "changed-all"]));
    await real.admin.set("c:a", 1);
    await eventually(() => expect(changes(heard).at(-1)).toBe("a"));
  });
});

/** Leads to a server, and can stop passing anything on for the connections that track, without closing them. */
async function trackingProxy(port: number): Promise<{ port: number; freeze: () => void; close: () => void }> {
  const tracking = new Set<Socket>();
  const frozen = new Set<Socket>();
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = createConnection({ port, host: "127.0.0.1" });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.on("data", (chunk) => {
      if (/bcast/i.test(chunk.toString("latin1"))) tracking.add(client);
      if (!frozen.has(client)) upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (!frozen.has(client)) client.write(chunk);
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    freeze() {
      for (const socket of tracking) frozen.add(socket);
    },
    close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}
