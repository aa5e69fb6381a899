import { describe, expect, it } from "vitest";

import { processes as world, type Processes as World } from "../../test/support/processes.js";
import type { Cache } from "../index.js";
import { PLACES, Processes } from "./processes.js";
import { CacheSampler, processFacts } from "./sampler.js";

interface One {
  readonly sampler: CacheSampler;
  readonly processes: Processes;
}

function startOn({ caches, clock }: World): One[] {
  return caches.map((cache: Cache, at) => {
    const sampler = new CacheSampler(cache, processFacts(`id-${at}`, `process-${at}`, "test", clock), clock);
    return { sampler, processes: new Processes(sampler, clock) };
  });
}

async function end(some: readonly One[], { close }: World): Promise<void> {
  for (const { sampler, processes } of some) {
    sampler.close();
    await processes.close();
  }
  await close();
}

const writes = ({ connections }: World): number =>
  connections.reduce((sum, { calls }) => sum + calls.fill + calls.put + calls.acquire + calls.invalidate, 0);

describe("processes of one cache", () => {
  it("see each other's reports while one of them is looked at, and are silent when nobody looks", async () => {
    const three = await world(3, { ttl: "1h" });
    const some = startOn(three);
    const [looked, other] = some as [One, One, One];
    await three.clock.advance(10_000);
    expect(writes(three)).toBe(0);

    looked.processes.look();
    await three.clock.advance(6_000);
    await three.caches[1]?.getOrLoad("k", async () => 1);
    await three.clock.advance(5_000);
    const seen = looked.processes.others();
    expect(seen.map(({ process }) => process.name).toSorted()).toEqual(["process-1", "process-2"]);
    const second = seen.find(({ process }) => process.name === "process-1");
    expect(second?.stats.total.gets).toBe(1);
    // It was told by key, which happens only while somebody looks.
    expect(second?.sampled?.mostMissed).toMatchObject([{ key: "k" }]);
    expect(other.processes.called).toBe(true);

    looked.processes.rest();
    await three.clock.advance(20_000);
    const before = writes(three);
    await three.clock.advance(30_000);
    expect(writes(three)).toBe(before);
    expect(other.sampler.report().sampled).toBeUndefined();
    await end(some, three);
  });

  it("forget one that was closed at once, and one that died when its report's time is over", async () => {
    const three = await world(3);
    const some = startOn(three);
    const [looked, closed] = some as [One, One, One];
    looked.processes.look();
    await three.clock.advance(8_000);
    expect(looked.processes.others()).toHaveLength(2);
    await closed.processes.close();
    await three.clock.advance(2_500);
    expect(looked.processes.others().map(({ process }) => process.id)).toEqual(["id-2"]);
    three.connections[2]?.hang();
    await three.clock.advance(14_000);
    expect(looked.processes.others()).toEqual([]);
    three.connections[2]?.heal();
    await end(some, three);
  });

  it("keep to their places: a report is not written over another's, and there are no more than places", async () => {
    const many = await world(PLACES / 8);
    const some = startOn(many);
    some[0]?.processes.look();
    await many.clock.advance(12_000);
    const names = some[0]?.processes.others().map(({ process }) => process.name);
    expect(new Set(names).size).toBe(many.caches.length - 1);
    await end(some, many);
  });

  it("take nothing for a report that is none", async () => {
    const two = await world(2);
    const [looked] = startOn(two) as [One, One];
    const pinboard = two.caches[1]?.inspect().pinboard;
    const texts = [
      "no JSON",
      "null",
      '{"version":1}',
      '{"version":1,"process":{"id":"x"}}',
      '{"version":1,"at":1,"process":{"id":"x"},"stats":{"total":{"gets":1}},"minutes":[],"notes":[]}',
      '{"version":1,"at":1,"stats":{"total":{"gets":1}},"minutes":[],"notes":[]}',
      `{"version":1,"process":{"id":7},"stats":${JSON.stringify(two.caches[0]?.stats())},"minutes":[],"notes":[],"at":1}`,
      `{"version":99,"process":{"id":"x"},"stats":${JSON.stringify(two.caches[0]?.stats())},"minutes":[],"notes":[],"at":1}`,
    ];
    for (const [at, text] of texts.entries()) await pinboard?.pin(`admin-${at}`, text, { ttl: 60_000 });
    looked.processes.look();
    await two.clock.advance(3_000);
    expect(looked.processes.others()).toEqual([]);
    expect(looked.processes.failing).toBe(false);
    await end([looked], two);
  });

  it("say that they cannot be heard while the shared tier is away, and go on when it is back", async () => {
    const two = await world(2);
    const some = startOn(two);
    const [looked] = some as [One, One];
    looked.processes.look();
    two.connections[0]?.fail();
    await two.clock.advance(6_000);
    expect(looked.processes.failing).toBe(true);
    two.connections[0]?.heal();
    await two.clock.advance(12_000);
    expect(looked.processes.failing).toBe(false);
    expect(looked.processes.others()).toHaveLength(1);
    await end(some, two);
  });
});
