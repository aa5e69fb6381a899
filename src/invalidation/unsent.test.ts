import { describe, expect, it } from "vitest";

import { deferred } from "../../test/support/deferred.js";
import type { Mark } from "./record.js";
import { Unsent } from "./unsent.js";

const key = (name: string): Mark => ({ kind: "key", key: name });
const tag = (name: string): Mark => ({ kind: "tag", tag: name });
const down = new Error("down");

describe("Unsent", () => {
  it("hits what its invalidations mean, of every kind, hard or soft", () => {
    const unsent = new Unsent();
    expect(unsent.hits("k", ["t"])).toBe(false);
    unsent.add([key("a"), tag("t")], false);
    unsent.add(
      [
        { kind: "prefix", prefix: "p" },
        { kind: "pattern", pattern: "x:*" },
        { kind: "tags", tags: ["u", "v"] },
      ],
      true,
    );
    const hit = (name: string, ...tags: string[]): boolean => unsent.hits(name, tags);
    expect([hit("a"), hit("k", "t"), hit("p:1"), hit("x:1"), hit("k", "u", "v")]).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect([hit("b"), hit("k", "u"), hit("pp"), hit("x")]).toEqual([false, false, false, false]);
  });

  it("sends in order, and then means nothing any more", async () => {
    const unsent = new Unsent();
    unsent.add([key("a")], false);
    unsent.add([tag("t")], true);
    const sent: unknown[] = [];
    await unsent.flush(async (marks, soft) => void sent.push([marks, soft]));
    expect(sent).toEqual([
      [[key("a")], false],
      [[tag("t")], true],
    ]);
    expect([unsent.size, unsent.hits("a", []), unsent.hits("k", ["t"])]).toEqual([0, false, false]);
    await unsent.flush(() => Promise.reject(down));
  });

  it("stops at the first failure, keeps the rest, and still hits them", async () => {
    const unsent = new Unsent();
    for (const name of ["a", "b", "c"]) unsent.add([key(name)], false);
    let sent = 0;
    await expect(unsent.flush(() => ((sent += 1) === 2 ? Promise.reject(down) : Promise.resolve()))).rejects.toBe(down);
    expect(unsent.size).toBe(2);
    expect([unsent.hits("b", []), unsent.hits("c", [])]).toEqual([true, true]);
    const rest: string[] = [];
    await unsent.flush(async (marks) => void rest.push(...marks.map((mark) => (mark.kind === "key" ? mark.key : ""))));
    expect(rest).toEqual(["b", "c"]);
  });

  it("what is added while it sends is sent as well, and hits until then", async () => {
    const unsent = new Unsent();
    unsent.add([key("a")], false);
    const first = deferred();
    const sent: number[] = [];
    const flushing = unsent.flush(async (marks) => {
      sent.push(marks.length);
      await first.promise;
    });
    unsent.add([key("b"), key("c")], false);
    expect(unsent.hits("b", [])).toBe(true);
    first.resolve();
    await flushing;
    expect(sent).toEqual([1, 2]);
    expect([unsent.size, unsent.hits("b", [])]).toEqual([0, false]);
  });

  it("two flushes at once send everything at least once and lose nothing", async () => {
    const unsent = new Unsent();
    for (const name of ["a", "b", "c"]) unsent.add([key(name)], false);
    const sent = new Set<string>();
    const send = async (marks: readonly Mark[]): Promise<void> => {
      await Promise.resolve();
      for (const mark of marks) if (mark.kind === "key") sent.add(mark.key);
    };
    await Promise.all([unsent.flush(send), unsent.flush(send)]);
    expect([...sent].sort()).toEqual(["a", "b", "c"]);
    expect(unsent.size).toBe(0);
  });

  it("more than it may keep becomes one invalidation of everything, hard even if all were soft", async () => {
    const unsent = new Unsent();
    for (let index = 0; index < 10_000; index += 1) unsent.add([key(`k${index}`)], true);
    expect([unsent.size, unsent.hits("other", [])]).toEqual([10_000, false]);
    unsent.add([key("one more")], true);
    expect([unsent.size, unsent.hits("other", [])]).toEqual([1, true]);
    unsent.add([tag("t")], true);
    const sent: unknown[] = [];
    await unsent.flush(async (marks, soft) => void sent.push([marks, soft]));
    expect(sent).toEqual([
      [[{ kind: "all" }], false],
      [[tag("t")], true],
    ]);
    expect(unsent.hits("other", [])).toBe(false);
  });
});
