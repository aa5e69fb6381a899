import { afterAll, beforeAll, expect, it } from "vitest";
import { createCache, memory, type Cache, type DependencyTag, type Mark } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { eventually, ioRedis, nodeRedis, type Connected } from "./redis-clients.js";

const CACHES = 100;

let server: RedisServer;
let clients: Connected[];
let caches: Cache[];

beforeAll(async () => {
  server = await startRedis();
  // A connection for commands and one for the bus each, as a hundred processes have them.
  clients = await Promise.all(
    Array.from({ length: CACHES }, (_, index) => (index % 2 === 0 ? nodeRedis() : ioRedis())(server.url)),
  );
  caches = clients.map(({ client }) =>
    // A hundred processes share this one's core: what is slow for that is not away.
    createCache({ name: "crowd", tiers: [memory(), redis(client)], shared: { timeout: "5s" } }),
  );
});

afterAll(async () => {
  await Promise.all(caches.map((cache) => cache.close()));
  for (const { close } of clients) close();
  await server.stop();
});

it("a hundred caches, each with a connection of its own, load a cold key once between them", async () => {
  let loads = 0;
  const values = await Promise.all(
    caches.map((cache) =>
      cache.getOrLoad("cold", async () => {
        loads += 1;
        await new Promise((resolve) => setTimeout(resolve, 100));
        return "loaded";
      }),
    ),
  );
  expect(new Set(values)).toEqual(new Set(["loaded"]));
  expect(loads).toBe(1);
});

it("what one of them invalidates is gone from the memory of all", async () => {
  const targets = [
    { key: "k", target: { key: "k" } },
    { key: "k", target: { tag: "t" } },
    { key: "p:1", target: { prefix: "p:" } },
    { key: "q:1", target: { pattern: "q:*" } },
    { key: "k", target: { all: true } },
  ] as const;
  for (const [turn, { key, target }] of targets.entries()) {
    const writer = caches[turn * 17] as Cache;
    for (const stored of ["k", "p:1", "q:1"]) await writer.set(stored, turn, { tags: ["t"] });
    // The set itself takes the bus's delay to reach the memory of whoever held the key.
    await eventually(async () =>
      expect(new Set(await Promise.all(caches.map((cache) => cache.get(key))))).toEqual(new Set([turn])),
    );
    await writer.invalidate(target);
    await eventually(() => expect(caches.filter((cache) => cache.peek(key) !== undefined).length).toBe(0));
    expect(new Set(await Promise.all(caches.map((cache) => cache.get(key))))).toEqual(new Set([undefined]));
  }
});

it("a hundred that write the same tag in one turn of each are heard by all, in few records", async () => {
  const before = caches.map((cache) => cache.stats().invalidations.other);
  await Promise.all(caches.flatMap((cache) => Array.from({ length: 10 }, () => cache.invalidate({ tag: "busy" }))));
  await eventually(() => {
    for (const [index, cache] of caches.entries()) {
      expect(cache.stats().invalidations.other - (before[index] ?? 0)).toBe(CACHES - 1);
    }
  });
});

it("what hangs on an entity's thing goes from the memory of all, in the record that invalidates the thing", async () => {
  const users = caches.map((cache) => cache.entity<number, string>({ name: "user", dependents: true }));
  await caches[3]?.set("page:7", "html", { tags: [users[3]?.tag(7) as DependencyTag, "pages"] });
  await eventually(async () =>
    expect(new Set(await Promise.all(caches.map((cache) => cache.get("page:7"))))).toEqual(new Set(["html"])),
  );
  const heard: (readonly Mark[])[] = [];
  caches[42]?.on("invalidated", ({ names }) => heard.push(names));
  await users[77]?.invalidate(7);
  await eventually(() => {
    expect(caches.map((cache) => cache.peek("page:7")).filter((value) => value !== undefined)).toEqual([]);
  });
  expect(heard.map((names) => names.filter(({ kind }) => kind === "key").length)).toEqual([2]);
});
