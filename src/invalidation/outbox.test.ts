import { expect, it } from "vitest";

import type { Mark } from "./record.js";
import { Outbox } from "./outbox.js";

const tag = (name: string): Mark => ({ kind: "tag", tag: name });

/** An outbox whose server acknowledges at once, or fails when told. */
function outbox(): {
  box: Outbox;
  sent: { marks: readonly Mark[]; soft: boolean }[];
  applied: number[];
  fail: () => void;
} {
  const sent: { marks: readonly Mark[]; soft: boolean }[] = [];
  const applied: number[] = [];
  let failing = false;
  const side = {
    origin: "me",
    patience: 1_000,
    guard: { call: <T>(_operation: string, run: () => Promise<T>) => run() },
    tier: {
      store: {
        invalidate: async (marks: readonly Mark[], soft: boolean) => {
          sent.push({ marks, soft });
          if (failing) throw new Error("down");
          return { head: { position: sent.length, control: 0, floor: 0 }, hit: 0 };
        },
      },
    },
    follower: {
      applyAcknowledged: (_marks: readonly Mark[], _soft: boolean, position: number) => applied.push(position),
    },
  };
  // Only what an outbox asks of its side is there.
  return { box: new Outbox(side as never), sent, applied, fail: () => (failing = true) };
}

it("sends the invalidations of one turn as one record, each mark once", async () => {
  const { box, sent, applied } = outbox();
  const all = [box.send([tag("a")], false), box.send([tag("a"), tag("b")], false), box.send([tag("a")], true)];
  expect((await Promise.all(all)).map(({ head }) => head.position)).toEqual([1, 1, 2]);
  expect(sent).toEqual([
    { marks: [tag("a"), tag("b")], soft: false },
    { marks: [tag("a")], soft: true },
  ]);
  expect(applied).toEqual([1, 2]);
});

it("never joins a record that is on its way", async () => {
  const { box, sent } = outbox();
  await box.send([tag("a")], false);
  await Promise.all([box.send([tag("a")], false), Promise.resolve().then(() => box.send([tag("a")], false))]);
  expect(sent).toHaveLength(3);
});

it("sends what names keys alone, at once: its caller is told what it hit", async () => {
  const { box, sent } = outbox();
  await Promise.all([
    box.send([{ kind: "key", key: "k" }], false),
    box.send([tag("a"), { kind: "key", key: "j" }], false),
  ]);
  expect(sent).toHaveLength(2);
});

it("tells everyone whose invalidation was not taken", async () => {
  const { box, applied, fail } = outbox();
  fail();
  const all = await Promise.allSettled([box.send([tag("a")], false), box.send([tag("b")], false)]);
  expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(applied).toEqual([]);
});

it("keeps a record within a thousand marks", async () => {
  const { box, sent } = outbox();
  const many = (from: number): Mark[] => Array.from({ length: 600 }, (_, index) => tag(`t${from + index}`));
  await Promise.all([box.send(many(0), false), box.send(many(600), false)]);
  expect(sent.map(({ marks }) => marks.length)).toEqual([600, 600]);
});
