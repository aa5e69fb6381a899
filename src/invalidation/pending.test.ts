import { describe, expect, it } from "vitest";

import { PendingOperations } from "./pending.js";

describe("PendingOperations", () => {
  it("an invalidation reaches every operation of its key that is under way, and no other", () => {
    const pending = new PendingOperations();
    const [a, b, other] = [pending.begin("k"), pending.begin("k"), pending.begin("other")];
    pending.fence("k", 5, false);
    expect([a.fencedAt, b.fencedAt, other.fencedAt]).toEqual([5, 5, 0]);
    for (const operation of [a, b, other]) operation.end();
    expect(pending.size).toBe(0);
  });

  it("a soft one refuses older fills; only a hard one forbids the stale value as well", () => {
    const pending = new PendingOperations();
    const operation = pending.begin("k");
    pending.fence("k", 5, true);
    expect([operation.fencedAt, operation.removedAt]).toEqual([5, 0]);
    pending.fence("k", 7, false);
    pending.fence("k", 6, false);
    expect([operation.fencedAt, operation.removedAt]).toEqual([7, 7]);
    operation.end();
  });

  it("the loss of the log fences all, and removes nothing", () => {
    const pending = new PendingOperations();
    const [a, b] = [pending.begin("a"), pending.begin("b")];
    pending.fence("a", 9, false);
    pending.fenceAll(5, () => true);
    expect([a.fencedAt, a.removedAt, b.fencedAt, b.removedAt]).toEqual([9, 9, 5, 0]);
    a.end();
    b.end();
  });

  it("nothing is remembered of what happened before an operation began, or after the last ended", () => {
    const pending = new PendingOperations();
    pending.fence("k", 5, false);
    const first = pending.begin("k");
    expect(first.fencedAt).toBe(0);
    pending.fence("k", 6, false);
    first.end();
    expect(pending.size).toBe(0);
    const second = pending.begin("k");
    expect(second.fencedAt).toBe(0);
    second.end();
  });

  it("the end of one leaves the fence to the others, and an end repeated ends nothing of theirs", () => {
    const pending = new PendingOperations();
    const [a, b] = [pending.begin("k"), pending.begin("k")];
    a.end();
    a.end();
    expect(pending.size).toBe(1);
    pending.fence("k", 5, false);
    expect(b.fencedAt).toBe(5);
    b.end();
    expect(pending.size).toBe(0);
  });
});
