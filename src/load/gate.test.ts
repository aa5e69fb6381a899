import { describe, expect, it } from "vitest";

import { LoadGate } from "./gate.js";

const never = new AbortController().signal;

describe("LoadGate", () => {
  it("lets so many in, the rest in the order they came", async () => {
    const gate = new LoadGate(2, 10);
    const order: number[] = [];
    const leaves: (() => void)[] = [];
    const entered = [0, 1, 2, 3, 4].map(async (index) => {
      const leave = await gate.enter(() => never);
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
    const leave = await gate.enter(() => never);
    const second = gate.enter(() => never);
    const third = gate.enter(() => never);
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
    const leave = await gate.enter(() => never);
    const waiting = gate.enter(() => never);
    await expect(gate.enter(() => never)).rejects.toMatchObject({
      code: "ERR_CACHE_OVERLOADED",
      message: expect.stringContaining("1 loads are running and 1 wait"),
    });
    leave();
    (await waiting)();
  });

  it("the place goes straight to the next: who comes meanwhile waits behind", async () => {
    const gate = new LoadGate(1, 10);
    const first = await gate.enter(() => never);
    const order: string[] = [];
    const second = gate
      .enter(() => never)
      .then((leave) => {
        order.push("second");
        return leave;
      });
    first();
    const late = gate
      .enter(() => never)
      .then((leave) => {
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
    const leave = await gate.enter(() => never);
    const controller = new AbortController();
    const leaving = gate.enter(() => controller.signal);
    const staying = gate.enter(() => never);
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    await expect(gate.enter(() => AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(gate.queued).toBe(1);
    leave();
    (await staying)();
    expect([gate.active, gate.queued]).toEqual([0, 0]);
  });

  it("an abort after the place was given changes nothing", async () => {
    const gate = new LoadGate(1, 10);
    const controller = new AbortController();
    const first = await gate.enter(() => never);
    const second = gate.enter(() => controller.signal);
    first();
    controller.abort(new Error("late"));
    (await second)();
    expect(gate.active).toBe(0);
  });

  it("asks for a signal only when there is to wait", async () => {
    const gate = new LoadGate(1, 10);
    const leave = await gate.enter(() => expect.unreachable());
    leave();
  });
});
