import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Mark } from "../invalidation/record.js";
import { RememberedMarks } from "./remembered.js";
import type { RecordBody } from "../invalidation/mark-text.js";
import { encodeBody, parseBody, parseName, nameOf } from "./wire.js";

const target = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "d", 'q"\\', "é") },
  { weight: 1, arbitrary: fc.constantFrom("x", "y").map((letter) => letter.repeat(120_000)) },
);
const mark: fc.Arbitrary<Mark> = fc.oneof(
  target.map((key): Mark => ({ kind: "key", key })),
  target.map((tag): Mark => ({ kind: "tag", tag })),
  target.map((prefix): Mark => ({ kind: "prefix", prefix })),
  target.map((pattern): Mark => ({ kind: "pattern", pattern })),
  fc.array(target, { maxLength: 2 }).map((tags): Mark => ({ kind: "tags", tags })),
  fc.constant<Mark>({ kind: "all" }),
);
const body: fc.Arbitrary<RecordBody> = fc.record({
  origin: fc.string(),
  soft: fc.boolean(),
  marks: fc.array(mark, { maxLength: 5 }),
});
const bounds = fc.record({ maxMarks: fc.integer({ min: 1, max: 6 }), maxRules: fc.integer({ min: 1, max: 3 }) });

describe("marks remembered", () => {
  it("raise the floor as far as was foretold, and are the same from what was stored of them", () => {
    fc.assert(
      fc.property(bounds, fc.array(body, { maxLength: 20 }), (limits, records) => {
        let marks = new RememberedMarks(limits);
        for (const [index, record] of records.entries()) {
          const position = 100 + index;
          const foretold = marks.floorAfter(record, position);
          marks.apply(record, position);
          expect(marks.floor).toBe(foretold);
          const again = RememberedMarks.decode(marks.encode(), limits);
          expect(again?.encode()).toBe(marks.encode());
          if (again !== undefined && index % 2 === 0) marks = again;
          // A mark is remembered, or older than the floor.
          for (const moved of record.marks) {
            if (moved.kind === "key") continue;
            expect(Math.max(marks.floor, marks.position(moved, record.soft))).toBeGreaterThanOrEqual(position);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("take no more room than an item has, however long their names are", () => {
    const marks = new RememberedMarks({ maxMarks: 5_000, maxRules: 500 });
    for (let index = 0; index < 40; index++) {
      const name = String(index).repeat(15_000);
      const both: Mark[] = [
        { kind: "tag", tag: name },
        { kind: "pattern", pattern: name },
      ];
      marks.apply({ origin: "o", soft: false, marks: both }, 100 + index);
    }
    expect(marks.encode().length).toBeLessThan(700_000);
    expect(marks.floor).toBeGreaterThan(100);
  });

  it.each(["", "[]", "[1,[],[],[]]", "[-1,[],[]]", '[1,[["a"]],[]]', '[1,[["a",1.5]],[]]', "[1,[],{}]", "null"])(
    "are not read from %j",
    (text) => expect(RememberedMarks.decode(text, { maxMarks: 1, maxRules: 1 })).toBeUndefined(),
  );
});

describe("records on the wire", () => {
  it("read as they were written, marks by their names too", () => {
    fc.assert(
      fc.property(body, (record) => {
        expect(parseBody(encodeBody(record))).toEqual(record);
        for (const one of record.marks) expect(parseName(nameOf(one))).toEqual(one);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    "",
    "{}",
    '["o",0]',
    '["o",2,[]]',
    "[1,0,[]]",
    '["o",0,[["z","x"]]]',
    '["o",0,[["k"]]]',
    '["o",0,[["k",1]]]',
    '["o",0,[["a","x"]]]',
    '["o",0,[["T",["a",1]]]]',
    '["o",0,[null]]',
  ])("refuse %j", (text) => expect(parseBody(text)).toBeUndefined());
});
