import { afterEach, describe, expect, it } from "vitest";

import { repository, type Cache, type CacheEvent, type Entity } from "../src/index.js";
import type { SharedStep } from "../src/testing/index.js";
import { deferred } from "./support/deferred.js";
import { oneCache } from "./support/one-cache.js";
import { processes, type Processes } from "./support/processes.js";

interface Row {
  readonly id: number;
  readonly v: number | undefined;
}

let running: Processes | undefined;
const start = oneCache();

afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** Caches on one shared tier, each with the entity and a source of its own: a replica that lags as the test says. */
async function fleet(
  count: number,
  options: Parameters<typeof processes>[1] = {},
  server: Parameters<typeof processes>[2] = {},
): Promise<Processes & { rows: Entity<number, Row | undefined>[]; sources: (() => Row | undefined)[] }> {
  running = await processes(count, { ttl: "1h", ...options }, server);
  const sources: (() => Row | undefined)[] = running.caches.map(() => () => undefined);
  const rows = running.caches.map((cache, index) => rowsOf(cache, () => sources[index]?.()));
  return { ...running, rows, sources };
}

function rowsOf(cache: Cache, load: () => Row | undefined): Entity<number, Row | undefined> {
  return cache.entity<number, Row | undefined>({ name: "row", load, rowVersion: (row) => row?.v });
}

const row = (v: number | undefined): Row => ({ id: 1, v });

function olders(cache: Cache): number {
  return cache.stats().total.refused.older ?? 0;
}

describe("an entity whose rows have versions, in memory alone", () => {
  it("serves an older row that a loader answers, and does not store it", async () => {
    const { cache, clock } = start({ ttl: "1s", staleWhileRevalidate: 0 });
    let answer = row(5);
    const rows = rowsOf(cache, () => answer);
    const refused: CacheEvent[] = [];
    cache.on("refused", (event) => refused.push(event));
    await rows.get(1);
    await clock.advance(1_001);
    answer = row(4);
    expect(await rows.get(1)).toEqual(row(4));
    expect(rows.peek(1)).toBeUndefined();
    expect(refused).toMatchObject([{ entity: "row", tier: "memory", reason: "older", key: rows.key(1) }]);
    answer = row(6);
    expect(await rows.get(1)).toEqual(row(6));
    expect(rows.peek(1)).toEqual(row(6));
  });

  it("remembers for a minute what was invalidated or evicted", async () => {
    const { cache, clock } = start({ ttl: "1h" });
    let answer = row(5);
    const rows = rowsOf(cache, () => answer);
    await rows.get(1);
    await rows.invalidate(1);
    answer = row(4);
    await rows.get(1);
    expect(rows.peek(1)).toBeUndefined();
    await clock.advance(60_000);
    await rows.get(1);
    expect(rows.peek(1)).toEqual(row(4));
  });

  it("refuses to set, or to write through, an older row, and keeps the newer one", async () => {
    const { cache } = start({ ttl: "1h" });
    const rows = rowsOf(cache, () => row(1));
    await rows.set(1, row(5));
    await rows.set(1, row(4));
    expect(rows.peek(1)).toEqual(row(5));
    expect(await rows.writeThrough(1, async () => row(3))).toEqual(row(3));
    expect(rows.peek(1)?.v ?? 5).toBe(5);
    expect(olders(cache)).toBe(2);
    await rows.set(1, row(5));
    await rows.set(1, row(6));
    expect(rows.peek(1)).toEqual(row(6));
  });

  it("stores the newest of writes that overlap, in whatever order they were called", async () => {
    const { cache } = start({ ttl: "1h" });
    const rows = rowsOf(cache, () => row(1));
    await Promise.all([rows.set(1, row(2)), rows.set(1, row(7)), rows.set(1, row(3))]);
    expect(rows.peek(1)).toEqual(row(7));
  });

  it("stores what has no version as ever", async () => {
    const { cache } = start({ ttl: "1h" });
    const rows = rowsOf(cache, () => row(1));
    await rows.set(1, row(5));
    await rows.set(1, row(undefined));
    expect(rows.peek(1)).toEqual(row(undefined));
    await rows.set(1, undefined);
    expect(await rows.get(1)).toBeUndefined();
    expect(olders(cache)).toBe(0);
  });

  it("rejects a set whose version is none, and serves a load whose version is none without storing it", async () => {
    const { cache } = start({ ttl: "1h" });
    const wrong = cache.entity<number, { readonly v: unknown }>({
      name: "wrong",
      load: () => ({ v: {} }),
      rowVersion: (value) => value.v as number,
    });
    await expect(wrong.set(1, { v: {} })).rejects.toThrow("Expected `rowVersion` to return");
    expect(await wrong.get(1)).toEqual({ v: {} });
    expect(wrong.peek(1)).toBeUndefined();
    expect(cache.stats().entities["wrong"]?.refused.unstorable).toBe(1);
  });
});

describe("an entity whose rows have versions, in two processes", () => {
  it("does not let a lagging process replace what another has stored, though it never met it", async () => {
    const { caches, rows, sources } = await fleet(2, { ttl: "1s", staleIfError: "1h" });
    sources[0] = () => row(6);
    sources[1] = () => row(5);
    await rows[0]?.get(1);
    await running?.clock.advance(1_001);
    expect(await rows[1]?.get(1)).toEqual(row(5));
    expect(olders(caches[1] as Cache)).toBe(1);
    expect(await rows[0]?.find(1, { stale: true })).toEqual(row(6));
    sources[1] = () => row(7);
    await rows[1]?.get(1);
    expect(await rows[0]?.get(1)).toEqual(row(7));
  });

  it("refuses a set and a write through that are older than what is stored, and leaves that", async () => {
    const { caches, rows } = await fleet(2);
    await rows[0]?.set(1, row(6));
    await rows[1]?.set(1, row(5));
    expect(await rows[1]?.find(1)).toEqual(row(6));
    await rows[1]?.writeThrough(1, async () => row(4));
    expect(await rows[1]?.find(1)).toEqual(row(6));
    expect(rows[0]?.peek(1)).toEqual(row(6));
    expect(olders(caches[1] as Cache)).toBe(2);
  });

  it("refuses the fill of a load that began before a newer row was set, and of one that began after", async () => {
    const { rows, settle } = await fleet(2);
    const load = deferred<Row>();
    const before = rows[0]?.getOrLoad(1, () => load.promise);
    await settle();
    await rows[1]?.set(1, row(6));
    load.resolve(row(5));
    expect(await before).toEqual(row(5));
    expect(await rows[0]?.getOrLoad(1, () => row(4), { forceFresh: true })).toEqual(row(4));
    expect(await rows[1]?.find(1, { stale: true })).toEqual(row(6));
  });

  it("takes a fresh entry that is older than what this process has met for a miss", async () => {
    const { rows, sources, server, settle } = await fleet(3);
    await rows[0]?.set(1, row(6));
    server.flush();
    await settle();
    await rows[1]?.set(1, row(5));
    await settle();
    sources[0] = () => row(6);
    expect(await rows[0]?.get(1)).toEqual(row(6));
    expect(await rows[2]?.find(1)).toEqual(row(6));
  });

  it("lets versions begin anew after everything was invalidated, once a minute is over", async () => {
    const { rows, clock } = await fleet(2);
    await rows[0]?.set(1, row(6));
    await rows[0]?.invalidateAll();
    await clock.advance(60_000);
    await rows[1]?.set(1, row(1));
    expect(await rows[0]?.find(1)).toEqual(row(1));
  });

  it("drops what is stored when a write is refused for a version that only this process has met", async () => {
    const { rows, server, settle } = await fleet(2);
    await rows[0]?.set(1, row(6));
    server.flush();
    await settle();
    await rows[1]?.set(1, row(3));
    await rows[0]?.writeThrough(1, async () => row(5));
    expect(await rows[1]?.find(1)).toBeUndefined();
  });

  it("nor leaves it for a set that is refused so", async () => {
    const { rows, server, settle } = await fleet(2);
    await rows[0]?.set(1, row(6));
    server.flush();
    await settle();
    await rows[1]?.set(1, row(3));
    await rows[0]?.set(1, row(5));
    expect(await rows[1]?.find(1)).toBeUndefined();
  });

  it("remembers what it has read in the shared tier", async () => {
    const { rows, server, settle } = await fleet(3);
    await rows[0]?.set(1, row(6));
    expect(await rows[1]?.find(1)).toEqual(row(6));
    server.flush();
    await settle();
    await rows[2]?.set(1, row(5));
    expect(await rows[1]?.find(1)).toBeUndefined();
    expect(await rows[2]?.find(1)).toEqual(row(5));
  });

  it("stores nothing while the tier does not say what it has", async () => {
    const { rows, connections, settle } = await fleet(2);
    await rows[0]?.set(1, row(6));
    const load = deferred<Row>();
    const read = rows[1]?.getOrLoad(1, () => load.promise, { forceFresh: true });
    await settle();
    connections[1]?.fail();
    load.resolve(row(5));
    expect(await read).toEqual(row(5));
    expect(rows[1]?.peek(1)).toBeUndefined();
  });

  it("stores the newer of two writes, though the other has taken the lease meanwhile", async () => {
    let held: SharedStep | undefined;
    let holds = false;
    const { rows, settle } = await fleet(
      2,
      {},
      {
        schedule: (step) => {
          if (holds && step.kind === "request" && step.name === "commit") held = step;
          else queueMicrotask(() => step.run());
          if (held !== undefined) holds = false;
        },
      },
    );
    holds = true;
    const newer = rows[0]?.set(1, row(6));
    await settle();
    expect(held).toBeDefined();
    await rows[1]?.set(1, row(5));
    held?.run();
    await newer;
    expect(await rows[1]?.get(1)).toEqual(row(6));
  });

  it("rejects a set that the tier does not acknowledge, and holds nothing", async () => {
    const { rows, connections, clock } = await fleet(1);
    await rows[0]?.set(1, row(5));
    connections[0]?.fail();
    const set = rows[0]?.set(1, row(6));
    const refusal = expect(set).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    await clock.advance(10_000);
    await refusal;
    connections[0]?.heal();
    await clock.advance(10_000);
    expect(await rows[0]?.find(1)).toBeUndefined();
  });
});

describe("a repository whose rows have versions", () => {
  it("does not store an older row under its id, and compares nothing that holds several", async () => {
    const { cache, clock } = start({ ttl: "1s", staleWhileRevalidate: 0 });
    const table = { v: 5, byId: async (_id: number) => row(table.v), all: async () => [row(table.v)] };
    const rows = repository(cache, table, {
      name: "row",
      ttl: "1s",
      reads: { byId: "id", all: { kind: "list", ttl: "1s" } },
      rowVersion: (found) => found.v,
    });
    await Promise.all([rows.byId(1), rows.all()]);
    await clock.advance(1_001);
    table.v = 4;
    await Promise.all([rows.byId(1), rows.all()]);
    expect(olders(cache)).toBe(1);
    await Promise.all([rows.byId(1), rows.all()]);
    expect(cache.stats().entities["row"]?.hits.memory).toBe(1);
  });
});
