import { describe, expect, it } from "vitest";

import type { Queued } from "./transaction.js";
import { Transaction, Transactions } from "./transaction.js";

const named = (key: string): Queued => ({ targets: [{ key }], mode: undefined });
const keys = (queue: readonly Queued[]): unknown[] =>
  queue.flatMap((queued) => ("targets" in queued ? queued.targets : [])).map((target) => Object.values(target)[0]);

describe("Transaction", () => {
  it("gives what was queued when it commits, and nothing after", () => {
    const transaction = new Transaction(undefined);
    transaction.queue(named("a"));
    transaction.queue(named("b"));
    expect(keys(transaction.commit())).toEqual(["a", "b"]);
    expect(transaction.isOpen).toBe(false);
    expect(transaction.commit()).toEqual([]);
  });

  it("drops what was queued when it rolls back", () => {
    const transaction = new Transaction(undefined);
    transaction.queue(named("a"));
    transaction.rollback();
    expect(transaction.commit()).toEqual([]);
  });

  it("takes back to a savepoint, and again to the same one", () => {
    const transaction = new Transaction(undefined);
    transaction.queue(named("a"));
    transaction.savepoint("s");
    transaction.queue(named("b"));
    transaction.rollbackTo("s");
    transaction.queue(named("c"));
    transaction.rollbackTo("s");
    transaction.queue(named("d"));
    expect(keys(transaction.commit())).toEqual(["a", "d"]);
  });

  it("hides an older savepoint behind a newer one of its name, until that is released", () => {
    const transaction = new Transaction(undefined);
    transaction.savepoint("s");
    transaction.queue(named("a"));
    transaction.savepoint("s");
    transaction.queue(named("b"));
    transaction.rollbackTo("s");
    transaction.release("s");
    transaction.rollbackTo("s");
    transaction.queue(named("c"));
    expect(keys(transaction.commit())).toEqual(["c"]);
  });

  it("forgets the savepoints after the one that is released or rolled back to", () => {
    const transaction = new Transaction(undefined);
    transaction.savepoint("outer");
    transaction.queue(named("a"));
    transaction.savepoint("inner");
    transaction.queue(named("b"));
    transaction.release("outer");
    // Neither stands any more, and the database would refuse both.
    transaction.rollbackTo("inner");
    transaction.rollbackTo("outer");
    expect(keys(transaction.commit())).toEqual(["a", "b"]);
  });

  it("lets everything go when more was queued than it keeps, whatever a savepoint takes back", () => {
    const transaction = new Transaction(undefined);
    transaction.savepoint("s");
    for (let n = 0; n <= 10_000; n++) transaction.queue(named(`k${n}`));
    transaction.rollbackTo("s");
    transaction.queueTable("t", { tag: ["table", "t"] });
    expect(transaction.commit()).toEqual([{ targets: [{ all: true }], mode: undefined }]);
  });

  it("queues a table once, and once more when the first was taken back", () => {
    const transaction = new Transaction(undefined);
    const queue = (): void => transaction.queueTable("t", { tag: ["table", "t"] });
    transaction.savepoint("s");
    for (let n = 0; n < 1_000; n++) queue();
    transaction.rollbackTo("s");
    transaction.queue(named("in its place"));
    queue();
    queue();
    expect(keys(transaction.commit())).toEqual(["in its place", ["table", "t"]]);
  });
});

describe("Transactions", () => {
  it("knows the innermost one that is open, in each scope", async () => {
    const transactions = new Transactions();
    expect(transactions.current()).toBeUndefined();
    const outer = transactions.prepare();
    await transactions.run(outer, async () => {
      await Promise.resolve();
      expect(transactions.current()).toBe(outer);
      const inner = transactions.prepare();
      transactions.run(inner, () => {
        expect(transactions.current()).toBe(inner);
        inner.rollback();
        expect(transactions.current()).toBe(outer);
        outer.commit();
        expect(transactions.current()).toBeUndefined();
      });
    });
    expect(transactions.current()).toBeUndefined();
  });

  it("begins the one that was prepared around it", () => {
    const transactions = new Transactions();
    const prepared = transactions.prepare();
    transactions.run(prepared, () => {
      expect(transactions.enter()).toBe(prepared);
      prepared.begin();
      expect(transactions.enter()).not.toBe(prepared);
    });
  });

  it("enters one for the rest of the caller's scope, and of no other", async () => {
    const transactions = new Transactions();
    const worked = async (): Promise<void> => {
      await Promise.resolve();
      const entered = transactions.enter();
      await Promise.resolve();
      expect(transactions.current()).toBe(entered);
    };
    await worked();
    expect(transactions.current()).toBeUndefined();
  });

  it("keeps no chain of ended ones in a scope that lives long", () => {
    const transactions = new Transactions();
    for (let n = 0; n < 3; n++) {
      const transaction = transactions.enter();
      transaction.begin();
      expect(transaction.outer).toBeUndefined();
      transaction.commit();
    }
  });
});
