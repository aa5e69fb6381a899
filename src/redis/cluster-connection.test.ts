import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { NodeRedisClusterLike, NodeRedisNodeLike } from "./client.js";
import { nodeRedisClusterConnection, publishingToShard, shardConnection, shardScripts } from "./cluster-connection.js";
import type { Connection, Script } from "./connection.js";
import * as scripts from "./scripts.js";

const all: [string, Script][] = Object.entries(scripts).filter(
  (entry): entry is [string, Script] => typeof entry[1] === "object" && "sha" in entry[1],
);

interface Sent {
  readonly to: "master" | "cluster";
  readonly args: readonly (string | Uint8Array)[];
  readonly readonly?: boolean | undefined;
  readonly options: unknown;
}

/** A cluster client whose only master answers by `answer`. */
function clientThat(answer: (sent: Sent) => unknown, isReady = true): { client: NodeRedisClusterLike; sent: Sent[] } {
  const sent: Sent[] = [];
  const take = async (one: Sent): Promise<unknown> => {
    sent.push(one);
    return answer(one);
  };
  const master = {
    isReady,
    sendCommand: (args: Sent["args"], options: unknown) => take({ to: "master", args, options }),
  } as unknown as NodeRedisNodeLike;
  const client = {
    isOpen: true,
    isReady: true,
    slots: [undefined, { master: { address: "a:1", client: master } }],
    sendCommand: (_key: unknown, readonly: boolean | undefined, args: Sent["args"], options: unknown) =>
      take({ to: "cluster", readonly, args, options }),
  } as unknown as NodeRedisClusterLike;
  return { client, sent };
}

function throwing(message: string): never {
  throw new Error(message);
}

describe("scripts in a cluster", () => {
  it.each(all)("%s publishes on sharded channels only, and is known by its own SHA-1", (_name, script) => {
    const sharded = publishingToShard(script);
    expect(sharded.text).not.toMatch(/['"]PUBLISH/i);
    expect(sharded.sha).toBe(createHash("sha1").update(sharded.text).digest("hex"));
    expect(sharded.text.replaceAll("SPUBLISH", "PUBLISH")).toBe(script.text);
  });

  it("there are some that publish", () => {
    expect(all.filter(([, script]) => publishingToShard(script) !== script).length).toBeGreaterThanOrEqual(6);
  });

  it("are made for it once", async () => {
    const run: Script[] = [];
    const connection = shardConnection(
      { run: async (script: Script) => run.push(script) } as unknown as Connection,
      shardScripts(),
    );
    await connection.run(scripts.FILL, [], []);
    await connection.run(scripts.FILL, [], []);
    expect(run[0]?.text).toContain("SPUBLISH");
    expect(run[0]).toBe(run[1]);
  });
});

describe("a command on a slot that moves", () => {
  it("is sent again while the slot's keys are on two servers, a few times", async () => {
    let refusals = 0;
    const connection = shardConnection(
      {
        mget: async () => (refusals++ < 3 ? throwing("TRYAGAIN Multiple keys request during rehashing of slot") : []),
      } as unknown as Connection,
      shardScripts(),
    );
    expect(await connection.mget(["a"])).toEqual([]);
    expect(refusals).toBe(4);
  });

  it("rejects when that does not end", async () => {
    let tries = 0;
    const connection = shardConnection(
      {
        run: async () => {
          tries++;
          return throwing("TRYAGAIN Multiple keys request during rehashing of slot");
        },
      } as unknown as Connection,
      shardScripts(),
    );
    await expect(connection.run(scripts.HEAD, [], [])).rejects.toThrow("TRYAGAIN");
    expect(tries).toBe(6);
  });

  it.each(["CLUSTERDOWN The cluster is down", "READONLY You can't write", "ERR other", "Socket closed unexpectedly"])(
    "is not sent again after %s: it may have run, or would fare no better",
    async (message) => {
      let tries = 0;
      const connection = shardConnection(
        {
          send: async () => {
            tries++;
            return throwing(message);
          },
        } as unknown as Connection,
        shardScripts(),
      );
      await expect(connection.send("GET", "a", [])).rejects.toThrow(message);
      expect(tries).toBe(1);
    },
  );
});

describe("nodeRedisClusterConnection", () => {
  it("sends to the slot's master, at once", async () => {
    const { client, sent } = clientThat(() => []);
    await nodeRedisClusterConnection(client, 1).mget(["a"]);
    expect(sent).toEqual([
      { to: "master", args: ["MGET", "a"], options: { typeMapping: { 36: Buffer }, timeout: undefined } },
    ]);
  });

  it.each(["MOVED 1 127.0.0.1:7001", "ASK 1 127.0.0.1:7001"])(
    "lets the cluster send what the master refused with %s, to a master",
    async (message) => {
      const { client, sent } = clientThat(({ to }) => (to === "master" ? throwing(message) : [Buffer.from("v")]));
      expect(await nodeRedisClusterConnection(client, 1).mget(["a"])).toEqual([Buffer.from("v")]);
      expect(sent.map(({ to }) => to)).toEqual(["master", "cluster"]);
      expect(sent[1]).toMatchObject({ readonly: false, args: ["MGET", "a"] });
    },
  );

  it("sends nothing twice that may have run", async () => {
    const { client, sent } = clientThat(() => throwing("Socket closed unexpectedly"));
    await expect(nodeRedisClusterConnection(client, 1).mget(["a"])).rejects.toThrow("Socket closed");
    expect(sent).toHaveLength(1);
  });

  it("leaves it to the cluster while the master is not connected, or not known, with the client's timeout", async () => {
    for (const [slot, isReady] of [
      [1, false],
      [0, true],
      [9, true],
    ] as const) {
      const { client, sent } = clientThat(() => [], isReady);
      await nodeRedisClusterConnection(client, slot).mget(["a"]);
      expect(sent).toMatchObject([{ to: "cluster", readonly: false }]);
      expect(sent[0]?.options).not.toHaveProperty("timeout");
    }
  });

  it("sends the text of a script where its master does not know it", async () => {
    const { client, sent } = clientThat(({ args }) => (args[0] === "EVALSHA" ? throwing("NOSCRIPT No matching") : 1));
    expect(await nodeRedisClusterConnection(client, 1).run(scripts.HEAD, ["a"], [])).toBe(1);
    expect(sent.map(({ args }) => args[0])).toEqual(["EVALSHA", "EVAL"]);
  });
});
