import { describe, expect, it } from "vitest";

import type { NodeRedisLike } from "./client.js";
import { nodeRedisConnection } from "./node-redis.js";

type Options = Parameters<NodeRedisLike["sendCommand"]>[1];

function clientThat(isReady: boolean | undefined): { client: NodeRedisLike; sent: Options[] } {
  const sent: Options[] = [];
  const unused = (): never => {
    throw new Error("not called here");
  };
  const client: NodeRedisLike = {
    isOpen: true,
    isReady,
    async sendCommand(args, options) {
      sent.push(options);
      if (args[0] === "EVALSHA") throw new Error("NOSCRIPT No matching script");
      return [];
    },
    duplicate: unused,
    connect: unused,
    destroy: unused,
    subscribe: unused,
    unsubscribe: unused,
    on: unused,
    off: unused,
  };
  return { client, sent };
}

const script = { text: "return 1", sha: "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" };

describe("nodeRedisConnection", () => {
  it("asks for bytes, and on a ready connection for no timeout besides the tier's own", async () => {
    const { client, sent } = clientThat(true);
    const connection = nodeRedisConnection(client);
    await connection.mget(["a"]);
    await connection.run(script, ["a"], ["b"]);
    expect(sent).toHaveLength(3);
    for (const options of sent) {
      expect(options?.typeMapping).toEqual({ 36: Buffer });
      expect(options).toHaveProperty("timeout", undefined);
    }
  });

  it.each([false, undefined])("leaves the client its timeout while it cannot send (isReady %s)", async (isReady) => {
    const { client, sent } = clientThat(isReady);
    await nodeRedisConnection(client).mget(["a"]);
    expect(sent).toEqual([{ typeMapping: { 36: Buffer } }]);
    expect(sent[0]).not.toHaveProperty("timeout");
  });
});
