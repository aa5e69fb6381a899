import fc from "fast-check";
import { expect, it } from "vitest";
import { SlotLists } from "./slot-lists.js";

const LISTS = 3;
const SLOTS = 12;

function contents(lists: SlotLists, list: number): number[] {
  const slots: number[] = [];
  for (let slot = lists.first(list); slot !== -1; slot = lists.after(slot)) slots.push(slot);
  return slots;
}

it("keeps the order of arrays, whatever is appended, prepended, moved and removed", () => {
  const step = fc.tuple(fc.constantFrom("append", "prepend", "move", "remove"), fc.nat(LISTS - 1), fc.nat(SLOTS - 1));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const lists = new SlotLists(LISTS);
      lists.resize(5);
      lists.resize(SLOTS);
      const model: number[][] = [[], [], []];
      for (const [kind, list, slot] of steps) {
        const home = model.find((slots) => slots.includes(slot));
        const target = model[list] as number[];
        if (home === undefined) {
          if (kind === "append") lists.append(list, slot);
          else if (kind === "prepend") lists.prepend(list, slot);
          else continue;
        } else {
          if (kind === "remove") lists.remove(slot);
          else if (kind === "move") lists.moveToEnd(list, slot);
          else continue;
          home.splice(home.indexOf(slot), 1);
        }
        if (kind === "append" || kind === "move") target.push(slot);
        if (kind === "prepend") target.unshift(slot);
      }
      for (let list = 0; list < LISTS; list += 1) {
        expect(contents(lists, list)).toEqual(model[list]);
        expect(lists.isEmpty(list)).toBe(model[list]?.length === 0);
      }
    }),
    { numRuns: 200 },
  );
});

it("keeps its order while it grows and, once the slots beyond are unlinked, shrinks", () => {
  const lists = new SlotLists(1);
  lists.resize(2);
  lists.append(0, 1);
  lists.append(0, 0);
  lists.resize(100);
  lists.append(0, 99);
  expect(contents(lists, 0)).toEqual([1, 0, 99]);
  lists.remove(99);
  lists.resize(2);
  expect(contents(lists, 0)).toEqual([1, 0]);
});
