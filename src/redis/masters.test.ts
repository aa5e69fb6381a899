import { EventEmitter } from "node:events";
import { beforeEach, describe, expect, it } from "vitest";
import type { IoRedisClusterLike, NodeRedisClusterLike, NodeRedisSentinelLike } from "./client.js";
import type { MasterListener } from "./master-subscriptions.js";
import { ioRedisClusterMasters, nodeRedisClusterMasters, nodeRedisSentinelMaster } from "./masters.js";
import { slotOf } from "./slots.js";

/** One server's client, of either library. */
class FakeNode extends EventEmitter {
  readonly options: Readonly<Record<string, unknown>>;
  readonly duplicates: FakeNode[] = [];
  readonly calls: string[] = [];
  readonly refused = new Set<string>();
  listener: ((message: string, channel: string) => void) | undefined;
  isOpen = true;
  isReady = true;

  constructor(options: Readonly<Record<string, unknown>>) {
    super();
    this.options = options;
  }

  duplicate(overrides: object): FakeNode {
    const own = new FakeNode({ ...this.options, ...overrides });
    this.duplicates.push(own);
    return own;
  }

  async connect(): Promise<void> {
    this.calls.push("connect");
  }

  destroy(): void {
    this.calls.push("destroy");
    this.isOpen = false;
  }

  disconnect(): void {
    this.calls.push("disconnect");
  }

  async #take(call: string, channel: string, listener?: FakeNode["listener"]): Promise<void> {
    this.calls.push(`${call} ${channel}`);
    this.listener = listener;
    if (this.refused.has(channel)) throw new Error("MOVED 1 127.0.0.1:7002");
  }

  subscribe = (channel: string, listener: FakeNode["listener"]): Promise<void> =>
    this.#take("subscribe", channel, listener);
  unsubscribe = (channel: string): Promise<void> => this.#take("unsubscribe", channel);
  sSubscribe = (channel: string, listener: FakeNode["listener"]): Promise<void> =>
    this.#take("sSubscribe", channel, listener);
  sUnsubscribe = (channel: string): Promise<void> => this.#take("sUnsubscribe", channel);
  ssubscribe = (channel: string): Promise<void> => this.#take("ssubscribe", channel);
  sunsubscribe = (channel: string): Promise<void> => this.#take("sunsubscribe", channel);
}

const CHANNEL = "c{0/1.x}#bus";
const ADDRESS = "127.0.0.1:7001";

let node: FakeNode;
let heard: string[];
let hears: MasterListener;

beforeEach(() => {
  node = new FakeNode({ host: "127.0.0.1", port: 7_001, socket: { host: "127.0.0.1", port: 7_001, tls: true } });
  heard = [];
  hears = {
    message: (channel, text) => heard.push(`${channel}: ${text}`),
    moved: (channel) => heard.push(`moved ${channel}`),
    lost: () => heard.push("lost"),
  };
});

function duplicate(): FakeNode {
  return node.duplicates[0] as FakeNode;
}

/** A cluster client of node-redis; what it was asked. */
function nodeRedisCluster(): { client: NodeRedisClusterLike; asked: string[] } {
  const asked: string[] = [];
  const slots: unknown[] = [];
  slots[slotOf(CHANNEL)] = { master: { address: ADDRESS, client: node } };
  const client = {
    isOpen: true,
    slots,
    masters: [
      { address: ADDRESS, client: node },
      { address: "127.0.0.1:7002", client: new FakeNode({}) },
    ],
    sendCommand: async (key: string, _readonly: boolean, args: string[]) => asked.push(`${args.join(" ")} at ${key}`),
    _slots: { rediscover: async () => asked.push("rediscover") },
  };
  return { client: client as unknown as NodeRedisClusterLike, asked };
}

describe("the masters of a node-redis cluster", () => {
  it("are found by the slot, and asked anew with a command on it", async () => {
    const { client, asked } = nodeRedisCluster();
    const masters = nodeRedisClusterMasters(client);
    expect(masters.addressOf(CHANNEL)).toBe(ADDRESS);
    expect(masters.addressOf("{another}")).toBeUndefined();
    await masters.refresh(CHANNEL);
    expect(asked).toEqual([`GET ${CHANNEL} at ${CHANNEL}`]);
  });

  it("are asked after by another of them where one is away", async () => {
    const { client, asked } = nodeRedisCluster();
    node.isReady = false;
    await nodeRedisClusterMasters(client).refresh(CHANNEL);
    expect(asked).toEqual(["rediscover", `GET ${CHANNEL} at ${CHANNEL}`]);
  });

  it("are subscribed to beside the client's own connection, which does not reconnect", async () => {
    const connection = await nodeRedisClusterMasters(nodeRedisCluster().client).open(ADDRESS, hears);
    await connection.connect();
    await connection.subscribe(CHANNEL);
    expect(duplicate().options["socket"]).toEqual({
      host: "127.0.0.1",
      port: 7_001,
      tls: true,
      reconnectStrategy: false,
    });
    expect(duplicate().calls).toEqual(["connect", `sSubscribe ${CHANNEL}`]);
    expect(node.calls).toEqual([]);
    duplicate().listener?.("hello", CHANNEL);
    duplicate().emit("sharded-channel-moved", CHANNEL, {});
    expect(heard).toEqual([`${CHANNEL}: hello`, `moved ${CHANNEL}`]);
    connection.unsubscribe(CHANNEL);
    expect(duplicate().calls.at(-1)).toBe(`sUnsubscribe ${CHANNEL}`);
  });

  it.each(["error", "terminated", "end"])("are lost at %s, once, and closed", async (event) => {
    await nodeRedisClusterMasters(nodeRedisCluster().client).open(ADDRESS, hears);
    duplicate().emit(event, new Error("Socket closed unexpectedly"));
    expect(heard).toEqual(["lost"]);
    duplicate().emit("error", new Error("Socket closed unexpectedly"));
    duplicate().emit("sharded-channel-moved", CHANNEL);
    expect(heard).toEqual(["lost"]);
    expect(duplicate().calls).toEqual(["destroy"]);
  });

  it("are not lost when they are closed", async () => {
    const connection = await nodeRedisClusterMasters(nodeRedisCluster().client).open(ADDRESS, hears);
    connection.close();
    connection.close();
    duplicate().emit("end");
    expect(heard).toEqual([]);
    expect(duplicate().calls).toEqual(["destroy"]);
  });

  it("cannot be subscribed to when the client does not know them", async () => {
    await expect(nodeRedisClusterMasters(nodeRedisCluster().client).open("127.0.0.1:9", hears)).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
    });
  });
});

describe("the masters of an ioredis cluster", () => {
  function cluster(): IoRedisClusterLike {
    const slots: string[][] = [];
    slots[slotOf(CHANNEL)] = [ADDRESS, "127.0.0.1:7002"];
    return { status: "ready", slots, nodes: () => [node] } as unknown as IoRedisClusterLike;
  }

  it("are found by the slot, and subscribed to beside the client's own connection, which does not reconnect", async () => {
    const masters = ioRedisClusterMasters(cluster());
    expect(masters.addressOf(CHANNEL)).toBe(ADDRESS);
    const connection = await masters.open(ADDRESS, hears);
    await connection.connect();
    await connection.subscribe(CHANNEL);
    expect(duplicate().options).toMatchObject({ retryStrategy: null, autoResubscribe: false, keyPrefix: "" });
    expect(duplicate().calls).toEqual(["connect", `ssubscribe ${CHANNEL}`]);
    duplicate().emit("smessage", CHANNEL, "hello");
    expect(heard).toEqual([`${CHANNEL}: hello`]);
    await expect(masters.open("127.0.0.1:9", hears)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
  });

  it("tell that a channel moved, which one the client does not say", async () => {
    const connection = await ioRedisClusterMasters(cluster()).open(ADDRESS, hears);
    for (const channel of ["{a}", "{b}", "{c}"]) await connection.subscribe(channel);
    const before = duplicate().calls.length;
    duplicate().refused.add("{b}");
    // Each refusal is announced in the same way.
    duplicate().emit("moved");
    duplicate().emit("moved");
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual(["moved {b}"]);
    expect(duplicate().calls.slice(before)).toEqual([
      ...["{a}", "{b}", "{c}"].map((channel) => `ssubscribe ${channel}`),
      ...["{a}", "{c}"].map((channel) => `ssubscribe ${channel}`),
    ]);
  });

  it.each(["error", "close", "end"])("are lost at %s, once, and closed", async (event) => {
    await ioRedisClusterMasters(cluster()).open(ADDRESS, hears);
    duplicate().emit(event, new Error("ECONNRESET"));
    duplicate().emit("end");
    duplicate().emit("smessage", CHANNEL, "late");
    expect(heard).toEqual(["lost"]);
    expect(duplicate().calls).toEqual(["disconnect"]);
  });
});

describe("the master behind node-redis' sentinels", () => {
  function sentinel(port: () => number): NodeRedisSentinelLike {
    return {
      isOpen: true,
      getMasterNode: () => ({ host: "127.0.0.1", port: port() }),
      _execute: async (_readonly: boolean, use: (master: unknown) => unknown) => use(node),
    } as unknown as NodeRedisSentinelLike;
  }

  it("is subscribed to beside the client's own connection, on an ordinary channel", async () => {
    const masters = nodeRedisSentinelMaster(sentinel(() => 7_001));
    expect(masters.addressOf(CHANNEL)).toBe(ADDRESS);
    const connection = await masters.open(ADDRESS, hears);
    await connection.subscribe(CHANNEL);
    connection.unsubscribe(CHANNEL);
    expect(duplicate().calls).toEqual([`subscribe ${CHANNEL}`, `unsubscribe ${CHANNEL}`]);
  });

  it("is not subscribed to under the address of another", async () => {
    let port = 7_001;
    const masters = nodeRedisSentinelMaster(sentinel(() => port));
    port = 7_002;
    await expect(masters.open(ADDRESS, hears)).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    expect(node.duplicates).toEqual([]);
  });
});
