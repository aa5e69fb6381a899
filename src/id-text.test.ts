import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NOT_WRITTEN, writeId } from "./id-text.js";
import { entityKeyEncoder, type KeyInput } from "./keys.js";

/** The path as it is written, `undefined` when it is not. */
function written(id: unknown, room = 128): string | undefined {
  const units = new Uint16Array(200);
  const end = writeId(id as KeyInput, units, 3, 3 + room);
  return end === NOT_WRITTEN ? undefined : String.fromCharCode(...units.subarray(3, end));
}

function encoded(id: unknown): string {
  const path = entityKeyEncoder("acme", "contact", 2)(id as KeyInput);
  return path.slice("acme:contact:".length, -":v2".length);
}

describe("writeId", () => {
  const scalar = fc.oneof(
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt(),
    fc.string({ maxLength: 12 }),
    fc.string({ unit: "binary", maxLength: 4 }),
    fc.stringMatching(/^[a-z0-9_.:=v-]{0,8}$/),
    fc.constantFrom("true", "false", "null", "v1", "v", "42", "-1", "7n", "global", "a:b", "@x", "~t", "'", "=", "%41"),
  );

  it("writes what the encoder encodes, or nothing", () => {
    const id = fc.oneof(scalar, fc.array(fc.oneof(scalar, fc.boolean(), fc.constant(null)), { maxLength: 4 }));
    fc.assert(
      fc.property(id, (one) => {
        const text = written(one);
        if (text !== undefined) expect(text).toBe(encoded(one));
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    [0, "0"],
    [-0, "0"],
    [7, "7"],
    [10, "10"],
    [99_999, "99999"],
    [100_000, "100000"],
    [2 ** 31 - 1, "2147483647"],
    [2 ** 31, "2147483648"],
    [1_763_748_000_123, "1763748000123"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991"],
    ["ann", "ann"],
    ["0b9c1a52-7f0e-4f6e-9d0e-3c1f5f6a7b8c", "0b9c1a52-7f0e-4f6e-9d0e-3c1f5f6a7b8c"],
    ["42", "42"],
    [["a", 7], "a:7"],
    [["list", 1, "open"], "list:1:open"],
  ])("writes %j", (id, text) => {
    expect(written(id)).toBe(text);
    expect(encoded(id)).toBe(text);
  });

  const others: readonly unknown[] = [
    ...[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 1e21, 7n, "", "v1", "a b", "a:b", "ä", "'x", "%41"],
    ...[[], [""], ["42"], ["true"], ["v1"], [true], [null], [[1]], [{ a: 1 }], [undefined]],
    ...[new Date(0), {}, null, undefined, true],
  ];
  it.each(others.map((id) => ({ id })))("leaves $id to the encoder", ({ id }) => {
    expect(written(id)).toBeUndefined();
  });

  it("writes nothing that has no room", () => {
    expect([written("abc", 3), written("abc", 2)]).toEqual(["abc", undefined]);
    expect([written(123, 3), written(123, 2)]).toEqual(["123", undefined]);
    expect([written(["ab", 1], 4), written(["ab", 1], 3), written(["ab", 1], 2)]).toEqual([
      "ab:1",
      undefined,
      undefined,
    ]);
  });
});
