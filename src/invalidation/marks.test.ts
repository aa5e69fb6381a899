import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { encodeKey, encodePrefix, prefixMatches } from "../keys.js";
import { encodePattern, patternMatcher } from "../patterns.js";
import { judgeFetched, Marks, marksOf, type Verdict } from "./marks.js";
import type { Mark } from "./record.js";

const KEYS = ["a", "a:b", "a:b:c", "a:bb", "b", "b:c", "ab"].map((text) => encodeKey(text));
const TAGS = ["t", "u", "v"];
const PREFIXES = ["a", "a:", "a:b", "a:b:", "b", "b:c"].map((text) => encodePrefix(text));
const PATTERNS = ["a:*", "*:c", "a:*:c", "b*", "a:b*"].map((text) => encodePattern(text));

const mark: fc.Arbitrary<Mark> = fc.oneof(
  fc.constantFrom(...KEYS).map((key): Mark => ({ kind: "key", key })),
  fc.constantFrom(...TAGS).map((tag): Mark => ({ kind: "tag", tag })),
  fc.subarray(TAGS, { minLength: 2 }).map((tags): Mark => ({ kind: "tags", tags })),
  fc.constantFrom(...PREFIXES).map((prefix): Mark => ({ kind: "prefix", prefix })),
  fc.constantFrom(...PATTERNS).map((pattern): Mark => ({ kind: "pattern", pattern })),
  fc.constant<Mark>({ kind: "all" }),
);
const record = fc.record({ marks: fc.array(mark, { minLength: 1, maxLength: 3 }), soft: fc.boolean() });
type Written = { marks: Mark[]; soft: boolean };
const entry = fc.record({ key: fc.constantFrom(...KEYS), tags: fc.subarray(TAGS), age: fc.nat(30) });

function hits(one: Mark, key: string, tags: readonly string[]): boolean {
  switch (one.kind) {
    case "key":
      return false;
    case "tag":
      return tags.includes(one.tag);
    case "tags":
      return one.tags.every((tag) => tags.includes(tag));
    case "prefix":
      return prefixMatches(one.prefix, key);
    case "pattern":
      return patternMatcher(one.pattern)(key);
    case "all":
      return true;
  }
}

/** By brute force over all that was ever written; the position of a record is its number. */
function naive(records: readonly Written[], key: string, tags: readonly string[], position: number): Verdict["state"] {
  const newer = records.filter(({ marks }, index) => index + 1 > position && marks.some((one) => hits(one, key, tags)));
  if (newer.some(({ soft }) => !soft)) return "hard";
  return newer.length > 0 ? "soft" : "valid";
}

describe("Marks, compared with a list of everything ever invalidated", () => {
  it("judge every entry alike, and change their version whenever a verdict may have changed", () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 25 }),
        fc.array(entry, { minLength: 1, maxLength: 8 }),
        (records, entries) => {
          const marks = new Marks(0);
          const states = new Map<number, string>();
          for (let written = 0; written <= records.length; written += 1) {
            const before = marks.version;
            const now = records[written - 1];
            if (now !== undefined) marks.apply({ ...now, position: written });
            for (const [index, { key, tags, age }] of entries.entries()) {
              // The entry was stored when the log stood there; not stored yet, it is judged by nothing.
              const position = Math.min(age, written);
              const { state } = marks.judge(key, { position, tags });
              expect(state).toBe(naive(records.slice(0, written), key, tags, position));
              if (position === age && marks.version === before && states.has(index))
                expect(state).toBe(states.get(index));
              if (position === age) states.set(index, state);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("with little memory never call valid what is not: what they forgot they say they do not know", () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.array(entry, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        (records, entries, limit) => {
          const marks = new Marks(0, limit, limit);
          records.forEach((one, index) => marks.apply({ ...one, position: index + 1 }));
          expect(marks.size).toBeLessThanOrEqual(3 * limit);
          for (const { key, tags, age } of entries) {
            const position = Math.min(age, records.length);
            if (marks.knows({ position, tags }))
              expect(marks.judge(key, { position, tags }).state).toBe(naive(records, key, tags, position));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("judge alike by the positions that another tier remembers, for all but rules", () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), entry, (records, { key, tags, age }) => {
        const plain = records.map(({ marks, soft }) => ({
          soft,
          marks: marks.filter(({ kind }) => kind !== "tags" && kind !== "pattern"),
        }));
        const asked = marksOf(key, tags);
        const positions = asked.map((one) => {
          const last = (soft: boolean): number =>
            plain.reduce(
              (at, written, index) =>
                written.soft === soft && written.marks.some((other) => JSON.stringify(other) === JSON.stringify(one))
                  ? index + 1
                  : at,
              0,
            );
          return { hard: last(false), soft: last(true) };
        });
        expect(judgeFetched(asked, positions, age).state).toBe(naive(plain, key, tags, age));
      }),
      { numRuns: 300 },
    );
  });
});

describe("Marks", () => {
  const at = (position: number): { position: number; tags: string[] } => ({ position, tags: ["t"] });

  it("hit what is older, never what is as new: the entry of a load that began after is valid", () => {
    const marks = new Marks(0);
    marks.apply({ marks: [{ kind: "tag", tag: "t" }], soft: false, position: 5 });
    expect(marks.judge("k", at(4)).state).toBe("hard");
    expect(marks.judge("k", at(5)).state).toBe("valid");
  });

  it("never go back: an older position learned late moves nothing", () => {
    const marks = new Marks(0);
    marks.learn({ kind: "tag", tag: "t" }, { hard: 5, soft: 0 });
    const { version } = marks;
    marks.learn({ kind: "tag", tag: "t" }, { hard: 3, soft: 0 });
    marks.learn({ kind: "tag", tag: "t" }, { hard: 5, soft: 0 });
    expect(marks.version).toBe(version);
    expect(marks.judge("k", at(4)).state).toBe("hard");
  });

  it("leave keys to their entries: a record of keys changes no version", () => {
    const marks = new Marks(0);
    marks.apply({ marks: [{ kind: "key", key: "k" }], soft: false, position: 5 });
    expect([marks.version, marks.size]).toEqual([0, 0]);
  });

  it("hard wins over soft, whichever came first", () => {
    for (const order of [
      [true, false],
      [false, true],
    ]) {
      const marks = new Marks(0);
      order.forEach((soft, index) =>
        marks.apply({ marks: [{ kind: index === 0 ? "all" : "tag", tag: "t" }], soft, position: index + 1 }),
      );
      expect(marks.judge("k", at(0)).state).toBe("hard");
    }
  });

  it("restarted, do not claim to know all from before, and forget nothing they do know", () => {
    const marks = new Marks(0);
    marks.apply({
      marks: [
        { kind: "tag", tag: "t" },
        { kind: "all" },
        { kind: "prefix", prefix: "k" },
        { kind: "pattern", pattern: "k*" },
      ],
      soft: false,
      position: 5,
    });
    const { version } = marks;
    marks.restart(10);
    expect(marks.version).not.toBe(version);
    expect([marks.since, marks.knows(at(9)), marks.knows(at(10))]).toEqual([10, false, true]);
    expect([marks.judge("k", at(10)).state, marks.judge("k", at(4)).state]).toEqual(["valid", "hard"]);
  });

  it("full, forget the oldest and keep what was moved lately", () => {
    const marks = new Marks(0, 10);
    for (let position = 1; position <= 10; position += 1)
      marks.apply({ marks: [{ kind: "tag", tag: `t${position}` }], soft: false, position });
    marks.apply({ marks: [{ kind: "tag", tag: "t1" }], soft: false, position: 11 });
    marks.apply({ marks: [{ kind: "tag", tag: "t12" }], soft: false, position: 12 });
    expect(marks.size).toBeLessThanOrEqual(10);
    expect(marks.judge("k", { position: 10, tags: ["t1"] }).state).toBe("hard");
    expect(marks.since).toBeGreaterThanOrEqual(2);
    expect(marks.since).toBeLessThan(11);
  });

  it("take tags by any name, also those of objects' own properties", () => {
    const marks = new Marks(0);
    marks.apply({ marks: [{ kind: "tag", tag: "__proto__" }], soft: false, position: 1 });
    expect(marks.judge("k", { position: 0, tags: ["__proto__"] }).state).toBe("hard");
    expect(marks.judge("k", { position: 0, tags: ["constructor"] }).state).toBe("valid");
  });

  it("a rule of tags is no rule of their names joined", () => {
    const marks = new Marks(0);
    marks.apply({ marks: [{ kind: "tags", tags: ["a", "b"] }], soft: false, position: 1 });
    marks.apply({ marks: [{ kind: "tags", tags: ["a,b"] }], soft: true, position: 2 });
    expect(marks.size).toBe(2);
    expect(marks.judge("k", { position: 0, tags: ["a", "b"] }).state).toBe("hard");
    expect(marks.judge("k", { position: 0, tags: ["a,b"] }).state).toBe("soft");
    expect(marks.judge("k", { position: 0, tags: ["a"] }).state).toBe("valid");
  });
});
