import { describe, expect, it, onTestFinished } from "vitest";

import type { SharedStep } from "../src/testing/index.js";
import { processes } from "./support/processes.js";
import { shardedProcesses, type ShardedProcesses } from "./support/sharded-processes.js";

async function world(count: number, shards = 1): Promise<ShardedProcesses> {
  const made = await shardedProcesses(count, shards);
  onTestFinished(made.close);
  return made;
}

describe("after a failover to a replica that lagged behind", () => {
  it("what a process acknowledged is invalidated again, in every tier", async () => {
    const { caches, server, clock } = await world(3);
    const [a, b, c] = caches as [(typeof caches)[0], (typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old", { tags: ["t"] });
    await a.set("tagged", "old", { tags: ["t"] });
    await a.set("else", "kept");
    await b.invalidate([{ key: "k" }, { tag: "t" }]);
    expect(server.failover(1)).toBeDefined();
    await clock.advance(2_000);
    for (const cache of [a, b, c]) {
      expect(await cache.get("k")).toBeUndefined();
      expect(await cache.get("tagged")).toBeUndefined();
      expect(await cache.get("else")).toBe("kept");
    }
  });

  it("so is what only others heard of, should its writer be gone", async () => {
    const { caches, server, clock, connections } = await world(3);
    const [a, b, c] = caches as [(typeof caches)[0], (typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    await b.delete("k");
    await clock.advance(0);
    connections[1]?.hang();
    server.failover(1);
    await clock.advance(2_000);
    expect(await a.get("k")).toBeUndefined();
    expect(await c.get("k")).toBeUndefined();
  });

  it("a reader that knew better takes nothing from the replica, before anybody has noticed", async () => {
    const { caches, server, settle } = await world(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    await a.delete("k");
    await settle();
    server.failover(1);
    // The heartbeat has not come yet: the answer's own head tells.
    expect(await b.getOrLoad("k", () => "new")).toBe("new");
    expect(await a.getOrLoad("k", () => "new")).toBe("new");
  });

  it("nothing is invalidated again when the log was only trimmed, or the server began empty", async () => {
    const { caches, server, clock } = await world(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "v");
    await b.get("k");
    const own = (): number => a.stats().invalidations.own + b.stats().invalidations.own;
    await a.invalidate({ tag: "t" });
    server.trimLog();
    await clock.advance(2_000);
    expect(await b.get("k")).toBe("v");
    const before = own();
    server.flush();
    await clock.advance(2_000);
    expect(await b.get("k")).toBeUndefined();
    expect(own()).toBe(before);
  });

  it("only the shard that failed over is doubted", async () => {
    const { caches, server, clock, keys } = await world(2, 3);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    for (const key of keys) await a.set(key, "old");
    for (const key of keys) await a.delete(key);
    for (const key of keys) await a.set(key, "new");
    await b.getMany(keys);
    server.failover(2, { shard: 1 });
    await clock.advance(2_000);
    expect(await b.getMany(keys)).toEqual(["new", undefined, "new"]);
  });

  it("an acknowledgement that comes when the log is past it is not taken for that of a record that came by", async () => {
    const late: SharedStep[] = [];
    let isSlow = false;
    const { caches, server, clock, settle, close } = await processes(
      2,
      {},
      {
        replicaLag: 10,
        schedule: (step) => {
          if (!isSlow) queueMicrotask(() => step.run());
          else if (step.kind === "request") queueMicrotask(() => step.run());
          // Its push is lost.
          else if (step.kind === "reply") late.push(step);
        },
      },
    );
    onTestFinished(close);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await a.set("k", "old");
    expect(await b.get("k")).toBe("old");
    isSlow = true;
    const deleted = a.delete("k");
    await settle();
    isSlow = false;
    server.failover(1);
    await clock.advance(1);
    await b.invalidate({ tag: "else" });
    await settle();
    for (const step of late) step.run();
    await deleted;
    await clock.advance(2_000);
    expect(await a.get("k")).toBeUndefined();
    expect(await b.get("k")).toBeUndefined();
  });

  it("what memory has of a history that is gone is dropped, though the server began anew and its clock is behind", async () => {
    const { caches, server, clock, connections } = await world(2);
    const [a, b] = caches as [(typeof caches)[0], (typeof caches)[0]];
    await clock.advance(5_000);
    // So far only its own acknowledgement tells this process of the record.
    connections[0]?.dropPushes(true);
    await a.set("k", "old");
    server.failover(100, { clock: -1_000 });
    await b.invalidate({ all: true });
    await clock.advance(2_000);
    expect(await a.get("k")).toBeUndefined();
  });
});
