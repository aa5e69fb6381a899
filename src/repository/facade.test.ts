import { describe, expect, it } from "vitest";
import { facade } from "./facade.js";

class Counter {
  #count = 0;
  step: number = 1;

  add(): number {
    this.#count += this.step;
    return this.#count;
  }

  addTwice(): number {
    this.add();
    return this.add();
  }

  get count(): number {
    return this.#count;
  }

  [Symbol.iterator](): Iterator<number> {
    return [this.#count][Symbol.iterator]();
  }
}

const replaced = (target: object, members: Record<string, unknown>): unknown =>
  facade(target, new Map(Object.entries(members)));

describe("facade", () => {
  it("runs the target's methods on the target, private members and all", () => {
    const target = new Counter();
    const stand = facade(target, new Map()) as { add: () => number; addTwice: () => number };
    const { add, addTwice } = stand;
    expect(add()).toBe(1);
    expect(addTwice()).toBe(3);
    expect(target.count).toBe(3);
  });

  it("replaces members, and not for the target itself", () => {
    const target = new Counter();
    const stand = replaced(target, { add: () => 100 }) as Counter;
    expect(stand.add()).toBe(100);
    expect(stand.addTwice()).toBe(2);
  });

  it("reads and writes what the target holds now", () => {
    const target = new Counter();
    const stand = replaced(target, {}) as Counter;
    stand.step = 5;
    expect(target.step).toBe(5);
    target.add();
    expect(stand.count).toBe(5);
    expect([...(stand as unknown as Iterable<number>)]).toEqual([5]);
    Object.assign(target, { late: () => "late" });
    expect((stand as unknown as { late(): string }).late()).toBe("late");
    delete (stand as { step?: number }).step;
    expect(target.step).toBeUndefined();
  });

  it("gives the same function each time", () => {
    const stand = replaced(new Counter(), {}) as { add: () => number };
    expect(stand.add).toBe(stand.add);
  });

  it("keeps what hangs on a function", () => {
    const stand = replaced({ read: Object.assign(() => 1, { key: "k" }) }, {}) as { read: { key: string } };
    expect(stand.read.key).toBe("k");
  });

  it("passes for the target", () => {
    const stand = replaced(new Counter(), { extra: 1 }) as Counter & { extra: number };
    expect(stand).toBeInstanceOf(Counter);
    expect(stand.constructor).toBe(Counter);
    expect("add" in stand && "extra" in stand && !("other" in stand)).toBe(true);
    expect(Object.keys(stand)).toEqual(["step"]);
    expect(Object.entries(stand)).toEqual([["step", 1]]);
  });

  it("refuses to have a replaced member replaced or removed", () => {
    const stand = replaced({ add: () => 1 }, { add: () => 2 }) as { add?: () => number };
    expect(() => (stand.add = () => 3)).toThrow(TypeError);
    expect(() => delete stand.add).toThrow(TypeError);
    expect(() => Object.defineProperty(stand, "add", { value: 3 })).toThrow(TypeError);
    expect(stand.add?.()).toBe(2);
  });

  it("stands for a frozen target too", () => {
    const stand = replaced(Object.freeze({ a: () => "a", b: () => "b" }), { a: () => "replaced" }) as {
      a(): string;
      b(): string;
    };
    expect([stand.a(), stand.b()]).toEqual(["replaced", "b"]);
    expect(Object.keys(stand)).toEqual(["a", "b"]);
  });
});
