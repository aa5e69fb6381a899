import { Redis } from "ioredis";
import { createClient } from "redis";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { redis, type RedisLike } from "../../src/redis/index.js";
import { keyMarks } from "../../src/testing/suite/session.js";
import type { LogSignal, SharedTier } from "../../src/tiers/shared.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { connected, eventually, hear, ioRedis, LIBRARIES, nodeRedis, type Connect } from "./redis-clients.js";

let server: RedisServer;
let admin: Redis;

beforeEach(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
  admin.on("error", () => undefined);
  return async () => {
    admin.disconnect();
    await server.stop();
  };
});

async function openBy(client: RedisLike, subscriber?: RedisLike): Promise<SharedTier> {
  const tier = redis(client, { subscriber }).open("c");
  onTestFinished(() => tier.close());
  return tier;
}

async function open(connect: Connect): Promise<SharedTier> {
  return openBy(await connected(connect, server.url, onTestFinished));
}

function typesOf(heard: readonly LogSignal[]): string[] {
  return heard.map(({ type }) => type);
}

async function subscribers(): Promise<number> {
  const [, count] = (await admin.pubsub("NUMSUB", "c#bus")) as [string, number];
  return count;
}

async function connections(): Promise<number> {
  return ((await admin.client("LIST")) as string).trim().split("\n").length;
}

describe.each(LIBRARIES)("a subscription by $library", ({ library, connect }) => {
  it("says when it is lost and when it stands again, and then hears what is appended", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    for (let round = 1; round <= 3; round++) {
      heard.length = 0;
      expect(await admin.call("CLIENT", "KILL", "TYPE", "pubsub")).toBe(1);
      await eventually(() => expect(typesOf(heard)).toEqual(["down", "up"]));
      // At "up" the server has the subscription, whatever is appended next.
      expect(await subscribers()).toBe(1);
      const { head } = await tier.store.invalidate(keyMarks("a"), false, "me");
      await eventually(() => expect(heard).toHaveLength(3));
      expect(heard[2]?.type === "record" && heard[2].record.position).toBe(head.position);
    }
  });

  it("says it is lost when the server dies, and stands again when it is back, empty", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    const old = await tier.log.head();
    await server.kill();
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down"]));
    await server.restart();
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down", "up"]));
    await eventually(async () => {
      const { records, head } = await tier.log.since(old.position, 10);
      expect(records).toBeUndefined();
      expect(head.floor).toBeGreaterThan(old.position);
    });
    await tier.store.invalidate(keyMarks("a"), false, "me");
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down", "up", "record"]));
  });

  it("asked for while the server is away, stands when it comes", async () => {
    const tier = await open(connect);
    await server.kill();
    const heard: LogSignal[] = [];
    let standing = false;
    const subscribing = tier.log.subscribe((signal) => heard.push(signal)).then(() => (standing = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect({ standing, heard }).toEqual({ standing: false, heard: [] });
    await server.restart();
    await subscribing;
    expect(typesOf(heard)).toEqual(["up"]);
    await eventually(() => tier.store.invalidate(keyMarks("a"), false, "me").then(() => undefined));
    await eventually(() => expect(typesOf(heard).slice(0, 2)).toEqual(["up", "record"]));
  });

  it("asked for while the server is away is given up when the tier is closed", async () => {
    const tier = await open(connect);
    await server.kill();
    const heard: LogSignal[] = [];
    const outcome = tier.log.subscribe((signal) => heard.push(signal)).catch((error: unknown) => error);
    await tier.close();
    expect(await outcome).toMatchObject({ code: "ERR_CACHE_TIER" });
    await server.restart();
    await eventually(async () => expect(await admin.ping()).toBe("PONG"));
    expect(heard).toEqual([]);
    expect(await subscribers()).toBe(0);
  });

  it("is refused when the server refuses it, and leaves no connection", async () => {
    await admin.acl("SETUSER", "mute", "on", ">secret", "~*", "+@all", "resetchannels");
    const client = await connected(connect, `redis://mute:secret@127.0.0.1:${server.port}`, onTestFinished);
    const before = await connections();
    const tier = await openBy(client);
    await expect(tier.log.subscribe(() => undefined)).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
      cause: expect.objectContaining({ message: expect.stringContaining("NOPERM") }) as unknown,
    });
    await eventually(async () => expect(await connections()).toBe(before));
  });

  it("is down when the right to it is taken away, and leaves nothing unhandled", async () => {
    await admin.acl("SETUSER", "app", "on", ">secret", "~*", "+@all", "allchannels");
    const client = await connected(connect, `redis://app:secret@127.0.0.1:${server.port}`, onTestFinished);
    const tier = await openBy(client);
    const heard = await hear(tier);
    // The server cuts the connections of those whose subscriptions it forbids.
    await admin.acl("SETUSER", "app", "resetchannels");
    const refusals = async (): Promise<number> => ((await admin.acl("LOG")) as unknown[]).length;
    await eventually(async () => expect(await refusals()).toBeGreaterThan(0));
    expect(typesOf(heard)).toEqual(["up", "down"]);
    await admin.acl("SETUSER", "app", "allchannels");
    await eventually(async () => {
      await admin.call("CLIENT", "KILL", "USER", "app");
      // A kill may find the client between two connections, so there may be several, and one may follow the "up".
      expect(typesOf(heard).slice(0, 3)).toEqual(["up", "down", "up"]);
    });
  });

  it("hears nothing of what is published by others on its channel", async () => {
    const tier = await open(connect);
    const heard = await hear(tier);
    for (const text of ["", "{", "[]", "null", '["settled"]', '["settled",1]', '[2,1,"o",0,[["x","y"]]]', "\xff\xfe"]) {
      await admin.publish("c#bus", text);
    }
    await tier.store.invalidate(keyMarks("a"), false, "me");
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "record"]));
  });

  it("has a connection of its own, closed with the tier; the client given stays as it was", async () => {
    const client = await connected(connect, server.url, onTestFinished);
    const events = ["error", "ready", "end", "close", "reconnecting", "message"];
    const listeners = (): number[] => events.map((event) => (client as Redis).listenerCount(event));
    const [before, mine] = [listeners(), await connections()];
    const tier = await openBy(client);
    const heard = await hear(tier);
    expect(await connections()).toBe(mine + 1);
    await tier.close();
    await eventually(async () => expect(await connections()).toBe(mine));
    expect(listeners()).toEqual(before);
    // Closing is not a loss.
    expect(typesOf(heard)).toEqual(["up"]);
    expect((await tier.log.head()).position).toBeGreaterThan(0);
  });

  it("ends with the function it gave; the connection goes with it", async () => {
    const tier = await open(connect);
    const mine = await connections();
    const end = await tier.log.subscribe(() => undefined);
    expect(await subscribers()).toBe(1);
    await end();
    await end();
    await eventually(async () => expect(await connections()).toBe(mine));
  });

  it("closed while it is being made hears nothing, on a subscriber given too", async () => {
    const client = await connected(connect, server.url, onTestFinished);
    const subscriber = await connected(connect, server.url, onTestFinished);
    const tier = await openBy(client, subscriber);
    const heard: LogSignal[] = [];
    const outcome = tier.log.subscribe((signal) => heard.push(signal)).catch((error: unknown) => error);
    await tier.close();
    expect(await outcome).toMatchObject({ code: "ERR_CACHE_TIER" });
    await tier.store.invalidate(keyMarks("a"), false, "me");
    // ioredis counts subscriptions, not listeners: there the channel stays subscribed until its owner closes it.
    if (library === "node-redis") await eventually(async () => expect(await subscribers()).toBe(0));
    expect(heard).toEqual([]);
  });

  it("uses the subscriber given, and leaves it open with its listeners", async () => {
    const [client, subscriber] = [
      await connected(connect, server.url, onTestFinished),
      await connected(connect, server.url, onTestFinished),
    ];
    const events = ["error", "ready", "end", "close", "reconnecting", "terminated", "message"];
    const listeners = (): number[] => events.map((event) => (subscriber as Redis).listenerCount(event));
    const before = listeners();
    const mine = await connections();
    const tiers = [await openBy(client, subscriber), await openBy(client, subscriber)] as const;
    const [first, second] = [await hear(tiers[0]), await hear(tiers[1])];
    expect(await connections()).toBe(mine);
    await tiers[0].store.invalidate(keyMarks("a"), false, "me");
    await eventually(() =>
      expect([typesOf(first), typesOf(second)]).toEqual([
        ["up", "record"],
        ["up", "record"],
      ]),
    );
    await tiers[0].close();
    await tiers[1].store.invalidate(keyMarks("b"), false, "me");
    await eventually(() => expect(second).toHaveLength(3));
    expect(first).toHaveLength(2);
    await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
    await eventually(() => expect(typesOf(second).slice(3)).toEqual(["down", "up"]));
    await tiers[1].close();
    expect(listeners()).toEqual(before);
    expect(library === "ioredis" ? (subscriber as Redis).status : (subscriber as { isReady?: boolean }).isReady).toBe(
      library === "ioredis" ? "ready" : true,
    );
  });
});

describe("a client that does not queue commands while it is not connected", () => {
  it.each([
    { library: "node-redis", connect: nodeRedis({ disableOfflineQueue: true }) },
    { library: "ioredis", connect: ioRedis({ enableOfflineQueue: false }) },
  ])("serves as well ($library): commands are refused meanwhile, and the subscription heals", async ({ connect }) => {
    const tier = await open(connect);
    const heard = await hear(tier);
    await server.kill();
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down"]));
    await eventually(() => expect(tier.store.read(["a"])).rejects.toBeInstanceOf(Error));
    await server.restart();
    await eventually(async () => expect((await tier.store.read(["a"])).values).toEqual([undefined]));
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down", "up"]));
  });
});

describe("a client that was never connected", () => {
  it("is not connected by us: node-redis refuses commands", async () => {
    const client = createClient({ url: server.url });
    const tier = await openBy(client);
    await expect(tier.store.read(["a"])).rejects.toThrow("closed");
    expect(client.isOpen).toBe(false);
    // The duplicate is ours to connect.
    const heard = await hear(tier);
    await admin.publish("c#bus", '["settled","a"]');
    await eventually(() => expect(heard).toEqual([{ type: "up" }, { type: "settled", key: "a" }]));
  });

  it("connects by itself with the first command: ioredis, lazily", async () => {
    const client = new Redis(server.url, { lazyConnect: true });
    onTestFinished(() => client.disconnect());
    const tier = await openBy(client);
    expect(client.status).toBe("wait");
    await hear(tier);
    expect(client.status).toBe("wait");
    expect((await tier.store.read(["a"])).values).toEqual([undefined]);
  });
});

describe("a client that does not reconnect", () => {
  it.each([
    { library: "node-redis", connect: nodeRedis({ socket: { reconnectStrategy: false } }) },
    { library: "ioredis", connect: ioRedis({ retryStrategy: () => null }) },
  ])("rejects a subscription while the server is away, and takes a later one ($library)", async ({ connect }) => {
    const client = await connected(connect, server.url, onTestFinished);
    const tier = await openBy(client);
    const heard = await hear(tier);
    await server.kill();
    await eventually(() => expect(typesOf(heard)).toEqual(["up", "down"]));
    await expect(tier.log.subscribe(() => undefined)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await server.restart();
    const again = await hear(tier);
    await eventually(async () => expect(await admin.ping()).toBe("PONG"));
    await admin.publish("c#bus", '["settled","a"]');
    await eventually(() => expect(typesOf(again)).toEqual(["up", "settled"]));
  });
});

describe("a server that hangs", () => {
  it.each(LIBRARIES)(
    "is heard again when it goes on; commands wait, none is sent twice ($library)",
    async ({ connect }) => {
      const tier = await open(connect);
      const heard = await hear(tier);
      const { position } = await tier.log.head();
      server.pause();
      let answered = false;
      const invalidating = tier.store.invalidate(keyMarks("a"), false, "me").then((result) => {
        answered = true;
        return result;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(answered).toBe(false);
      server.resume();
      const { head } = await invalidating;
      expect((await tier.log.since(position, 10)).records?.map((record) => record.position)).toEqual([head.position]);
      await eventually(() => expect(typesOf(heard)).toEqual(["up", "record"]));
    },
  );
});
