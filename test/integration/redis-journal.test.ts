import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisJournal } from "../../src/redis/index.js";
import { journalSuite } from "../support/journal-suite.js";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { CLUSTER_LIBRARIES, type ConnectedCluster } from "./cluster-clients.js";
import { LIBRARIES, nodeRedis, oneRedis, type Connected } from "./redis-clients.js";

const redis = oneRedis();

describe.each(LIBRARIES)("$library", ({ library, connect }) => {
  let connected: Connected;
  beforeAll(async () => {
    connected = await connect(redis.server.url);
  });
  afterAll(() => connected.close());

  journalSuite(library, () => redisJournal(connected.client));
});

describe("a cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicas: 0 });
  });
  afterAll(() => cluster.stop());

  describe.each(CLUSTER_LIBRARIES)("$library", ({ library, connect }) => {
    let connected: ConnectedCluster;
    beforeAll(async () => {
      connected = await connect(cluster);
    });
    afterAll(() => connected.close());

    journalSuite(`${library} cluster`, () => redisJournal(connected.client));
  });
});

it("puts all of a log on one slot, and refuses a prefix that would choose it", async () => {
  const { client, close } = await nodeRedis()(redis.server.url);
  try {
    const log = redisJournal(client).open("a");
    await log.append([{ opId: "1", key: "k", whole: true, by: 0, body: Uint8Array.of(1) }], 10);
    expect((await redis.admin.keys("*")).toSorted()).toEqual([
      "journal{a}#ids",
      "journal{a}#log",
      "journal{a}#pending",
      "journal{a}#state",
    ]);
    expect(() => redisJournal(client, { prefix: "a{b}" })).toThrow(/`prefix` to be text without braces/);
  } finally {
    close();
  }
});
