import { describe, expect, it } from "vitest";

import { Demand, LoadGate, type Place } from "./gate.js";

const never = new AbortController().signal;

/** Enters; what gives the place back. */
async function enter(gate: LoadGate, signal: () => AbortSignal): Promise<() => void> {
  const place = await gate.enter(signal);
  return () => place.leave();
}

describe("LoadGate", () => {
  it("lets so many in, the rest in the order they came", async () => {
    const gate = new LoadGate(2, 10);
    const order: number[] = [];
    const leaves: (() => void)[] = [];
    const entered = [0, 1, 2, 3, 4].map(async (index) => {
      const leave = await enter(gate, () => never);
      order.push(index);
      leaves.push(leave);
    });
    await Promise.all(entered.slice(0, 2));
    expect([gate.active, gate.queued, order]).toEqual([2, 3, [0, 1]]);
    for (let left = 0; left < 3; left += 1) {
      leaves[left]?.();
      await entered[left + 2];
      expect(gate.active).toBe(2);
    }
    expect(order).toEqual([0, 1, 2, 3, 4]);
    for (const leave of leaves) leave();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("a place given back twice is one place", async () => {
    const gate = new LoadGate(1, 10);
    const leave = await enter(gate, () => never);
    const second = enter(gate, () => never);
    const third = enter(gate, () => never);
    leave();
    leave();
    (await second)();
    expect(gate.active).toBe(1);
    (await third)();
    leave();
    expect(gate.active).toBe(0);
  });

  it("sheds at once what finds the queue full", async () => {
    const gate = new LoadGate(1, 1);
    const leave = await enter(gate, () => never);
    const waiting = enter(gate, () => never);
    await expect(enter(gate, () => never)).rejects.toMatchObject({
      code: "ERR_CACHE_OVERLOADED",
      message: expect.stringContaining("1 loads are running and 1 wait"),
    });
    leave();
    (await waiting)();
  });

  it("the place goes straight to the next: who comes meanwhile waits behind", async () => {
    const gate = new LoadGate(1, 10);
    const first = await enter(gate, () => never);
    const order: string[] = [];
    const second = enter(gate, () => never).then((leave) => {
      order.push("second");
      return leave;
    });
    first();
    const late = enter(gate, () => never).then((leave) => {
      order.push("late");
      return leave;
    });
    expect(gate.queued).toBe(1);
    (await second)();
    (await late)();
    expect(order).toEqual(["second", "late"]);
  });

  it("who is aborted leaves the queue with the signal's reason, and is not given a place", async () => {
    const gate = new LoadGate(1, 10);
    const reason = new Error("gone");
    const leave = await enter(gate, () => never);
    const controller = new AbortController();
    const leaving = enter(gate, () => controller.signal);
    const staying = enter(gate, () => never);
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    await expect(enter(gate, () => AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(gate.queued).toBe(1);
    leave();
    (await staying)();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("an abort after the place was given changes nothing", async () => {
    const gate = new LoadGate(1, 10);
    const controller = new AbortController();
    const first = await enter(gate, () => never);
    const second = enter(gate, () => controller.signal);
    first();
    controller.abort(new Error("late"));
    (await second)();
    expect(gate.active).toBe(0);
  });

  it("asks for a signal only when there is to wait", async () => {
    const gate = new LoadGate(1, 10);
    const leave = await enter(gate, () => expect.unreachable());
    leave();
  });
});

describe("LoadGate, for loads inside loads", () => {
  const inside = <T>(place: Place, load: () => T): T => place.run(load);

  it("a load begun inside another rides in its place, one at a time", async () => {
    const gate = new LoadGate(1, 10);
    const outer = await gate.enter(() => never);
    const [first, second] = inside(outer, () => [gate.enter(() => never), gate.enter(() => never)] as const);
    const riding = await first;
    expect([gate.active, gate.queued]).toEqual([1, 1]);
    riding.leave();
    (await second).leave();
    outer.leave();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("however deep", async () => {
    const gate = new LoadGate(1, 10);
    const places = [await gate.enter(() => never)];
    for (let depth = 0; depth < 10; depth += 1) {
      places.push(await inside(places[depth] as Place, () => gate.enter(() => never)));
    }
    for (const place of places.reverse()) place.leave();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("a queued load that a running one joins is run in its place", async () => {
    const gate = new LoadGate(1, 10);
    const outer = await gate.enter(() => never);
    const demand = new Demand();
    const joined = gate.enter(() => never, [demand]);
    expect(gate.queued).toBe(1);
    inside(outer, () => gate.want(demand));
    const place = await joined;
    expect([gate.active, gate.queued]).toEqual([1, 0]);
    place.leave();
    outer.leave();
    expect(gate.active).toBe(0);
  });

  it("one joined before it came to the gate as well, and one after the other", async () => {
    const gate = new LoadGate(1, 10);
    const outer = await gate.enter(() => never);
    const demands = [new Demand(), new Demand()];
    inside(outer, () => {
      for (const demand of demands) gate.want(demand);
    });
    const joined = demands.map((demand) => gate.enter(() => never, [demand]));
    (await joined[0])?.leave();
    (await joined[1])?.leave();
    outer.leave();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("a place that is given back lends nothing any more", async () => {
    const gate = new LoadGate(1, 10);
    const outer = await gate.enter(() => never);
    const late = inside(outer, () => async () => gate.enter(() => never));
    const next = gate.enter(() => never);
    outer.leave();
    const taken = await next;
    const queued = inside(outer, late);
    expect(gate.queued).toBe(1);
    taken.leave();
    (await queued).leave();
    expect(gate.active).toBe(0);
  });
});
