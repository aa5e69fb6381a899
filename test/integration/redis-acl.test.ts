import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { createCache, key, memory, type Cache } from "../../src/index.js";
import { redisAccount } from "../../src/admin/doctor/redis-account.js";
import { encodeName } from "../../src/keys.js";
import { redis, redisJournal, type RedisLike } from "../../src/redis/index.js";
import { sharedTierSuite, type SharedTierServer } from "../../src/testing/index.js";
import { journalSuite } from "../support/journal-suite.js";
import { startRedisCluster, type RedisCluster } from "../support/redis-cluster.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { ioRedisCluster, nodeRedisCluster } from "./cluster-clients.js";

const root = new URL("../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

const page = read("SECURITY.md");
/** The account that the page publishes, as the arguments of ACL SETUSER. */
const published = (/```redis\nACL SETUSER (.*)\n```/.exec(page)?.[1] ?? "").split(" ");
/** What the page adds for something more. */
const more = (beginning: string): string[] => {
  const row = page.split("\n").find((line) => line.startsWith(`| ${beginning}`)) ?? "";
  const codes = [...(row.split(/(?<!\\)\|/)[2] ?? "").matchAll(/`([^`]+)`/g)];
  return codes.flatMap(([, code = ""]) => code.replaceAll("\\|", "|").split(" "));
};

let server: RedisServer;
let admin: Redis;

beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

it("is the account that `tiercache doctor` prints", () => {
  expect(redisAccount(["crm"], "crm")).toBe(`ACL SETUSER ${published.join(" ")}`);
});

/** Makes the published account for a cache of this name; what a pattern of Redis would take for more is escaped. */
async function account(cacheName: string, additions: readonly string[] = []): Promise<string> {
  const named = encodeName(cacheName).replace(/[[\]*?\\]/g, String.raw`\$&`);
  const user = `user-${Buffer.from(cacheName).toString("hex")}`;
  const rules = [...published.slice(1), ...additions].map((rule) =>
    /^[~&]/.test(rule) ? rule.replace("crm", () => named) : rule,
  );
  await admin.call("ACL", "SETUSER", user, ...rules);
  return `redis://${user}:PASSWORD@127.0.0.1:${server.port}`;
}

async function connectNodeRedis(url: string): Promise<RedisLike & { destroy(): void }> {
  const client = createClient({ url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** A client under the account of a journal. */
let journalClient: Awaited<ReturnType<typeof connectNodeRedis>>;
beforeAll(async () => {
  journalClient = await connectNodeRedis(await account("journals", more("`redisJournal")));
});
afterAll(() => journalClient.destroy());

/** Each tier has a client that may do what its cache's account may. */
function restricted(): Promise<SharedTierServer> {
  const clients: { destroy(): void }[] = [];
  return Promise.resolve({
    async open(cacheName, bounds) {
      const client = await connectNodeRedis(await account(cacheName, more("Listing keys")));
      clients.push(client);
      return redis(client, bounds).open(cacheName);
    },
    flush: async () => void (await admin.flushall()),
    async trimLog() {
      for (const key of await admin.keys("*#log")) await admin.xtrim(key, "MAXLEN", 0);
    },
    pass: (ms) => sleep(ms),
    close: () => {
      for (const client of clients) client.destroy();
      return Promise.resolve();
    },
  });
}

sharedTierSuite("Redis under the published account", restricted, { describe, it });

journalSuite("Redis under the published account", () => redisJournal(journalClient));

describe("the published account in a cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ masters: 3, replicas: 0 });
    const additions = [...more("A Redis Cluster"), ...more("ioredis' check")];
    for (const { port } of cluster.nodes) {
      const node = new Redis(port, "127.0.0.1");
      await node.call("ACL", "SETUSER", ...published, ...additions);
      node.disconnect();
    }
  });
  afterAll(() => cluster.stop());

  const login = { username: "crm", password: "PASSWORD" };
  it.each([
    { library: "node-redis", connect: nodeRedisCluster({ defaults: login }) },
    { library: "ioredis", connect: ioRedisCluster({ redisOptions: login }) },
  ])("bears caches by $library, which hear of one another", async ({ connect }) => {
    const open = async (): Promise<Cache> => {
      const { client, close } = await connect(cluster);
      onTestFinished(close);
      const cache = createCache({ name: "crm", tiers: [memory(), redis(client)], ttl: "10m" });
      onTestFinished(() => cache.close());
      return cache;
    };
    const [one, other] = [await open(), await open()];
    const keys = Array.from({ length: 40 }, (_, id) => key`user:${id}`);
    const large = "x".repeat(700_000);
    for (const user of keys) await one.getOrLoad(user, () => "old", { tags: ["users"] });
    await one.getOrLoad("large", () => large);
    for (const user of keys) expect(await other.get(user)).toBe("old");
    expect(await other.get("large")).toBe(large);
    await one.invalidate({ tag: "users" });
    await expect.poll(() => keys.filter((user) => other.peek(user) !== undefined), { timeout: 10_000 }).toEqual([]);
    await one.invalidate({ key: "large" });
    expect(one.stats().shared).toMatchObject({ failures: 0 });
  });
});

describe("the published account", () => {
  it.each([
    ["FLUSHALL"],
    ["FLUSHDB"],
    ["KEYS", "*"],
    ["CONFIG", "GET", "*"],
    ["SCAN", "0"],
    ["SHUTDOWN"],
    ["ACL", "LIST"],
  ])("refuses %s", async (...command) => {
    const client = createClient({ url: await account("refused") });
    client.on("error", () => undefined);
    await client.connect();
    onTestFinished(() => client.destroy());
    await expect(client.sendCommand(command)).rejects.toThrow(/NOPERM/);
  });

  it("refuses the keys and the channel of another cache, in scripts as well", async () => {
    const client = createClient({ url: await account("mine") });
    client.on("error", () => undefined);
    await client.connect();
    onTestFinished(() => client.destroy());
    await admin.set("mine:a", "1");
    await admin.set("other:a", "1");
    expect(await client.sendCommand(["GET", "mine:a"])).toBe("1");
    await expect(client.sendCommand(["GET", "other:a"])).rejects.toThrow(/NOPERM/);
    await expect(client.sendCommand(["EVAL", "return redis.call('GET', KEYS[1])", "1", "other:a"])).rejects.toThrow(
      /NOPERM/,
    );
    await expect(client.sendCommand(["PUBLISH", "other#bus", "x"])).rejects.toThrow(/NOPERM/);
  });

  it("bears tracking, large values and ioredis with what the page adds", async () => {
    const url = await account("tracked", [...more("`redis(client, { tracking"), ...more("ioredis' check")]);
    const client = new Redis(url);
    onTestFinished(() => client.disconnect());
    const cache = createCache({ name: "tracked", tiers: [memory(), redis(client, { tracking: true })], ttl: "10m" });
    onTestFinished(() => cache.close());
    const failures: unknown[] = [];
    cache.on("background-failed", (event) => failures.push(event));
    const large = "x".repeat(700_000);
    expect(await cache.getOrLoad("large", () => large)).toBe(large);
    await expect.poll(() => admin.hlen("{tracked:large}#parts")).toBeGreaterThan(0);
    await cache.getOrLoad("a", () => 1);
    await admin.del("tracked:a");
    await expect.poll(() => cache.getOrLoad("a", () => 2), { timeout: 10_000 }).toBe(2);
    await cache.invalidate({ tag: "t" });
    expect(failures).toEqual([]);
  });

  it("has every command that the sources send, and no other", () => {
    const files = readdirSync(new URL("src/redis/", root)).filter((file) => /(?<!\.test(?:-d)?)\.ts$/.test(file));
    const sent = new Set<string>();
    for (const file of files) {
      const text = read(`src/redis/${file}`);
      for (const [, name = ""] of text.matchAll(/redis\.p?call\('(\w+)'/g)) sent.add(name.toLowerCase());
      for (const [, name = ""] of text.matchAll(/send\("(\w+)"|\["((?:MGET|EVAL|EVALSHA))"/g))
        sent.add(name.toLowerCase());
    }
    const allowed = (rules: readonly string[]): string[] =>
      rules.filter((rule) => rule.startsWith("+")).map((rule) => rule.slice(1));
    const all = new Set(
      [published, more("Listing keys"), more("`redisJournal"), ["+spublish"]].flatMap((rules) => allowed(rules)),
    );
    // Typed methods of the clients, which no text in capitals names.
    for (const name of ["mget", "eval", "evalsha", "subscribe", "unsubscribe"]) sent.add(name);
    sent.delete("");
    expect([...all].toSorted()).toEqual([...sent].toSorted());
  });
});
