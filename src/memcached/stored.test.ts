import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeStored, encodeStored, hasStamp, setSoftStale, type Stored } from "./stored.js";

const stored: fc.Arbitrary<Stored> = fc.record({
  generation: fc.string({ minLength: 11, maxLength: 11, unit: fc.constantFrom("a", "B", "-", "_", "9") }),
  holder: fc.option(
    fc.record({ token: fc.string({ unit: "grapheme", maxLength: 40 }), endsAt: fc.nat({ max: 2_592_000 }) }),
    { nil: undefined },
  ),
  entry: fc.option(fc.uint8Array({ maxLength: 60 }), { nil: undefined }),
  manifest: fc.boolean(),
});

describe("what is stored of a key", () => {
  it("reads as it was written", () => {
    fc.assert(
      fc.property(stored, (given) => {
        const { entry, ...rest } = decodeStored(encodeStored(given)) ?? {};
        expect({ ...rest, entry: entry && [...entry] }).toEqual({ ...given, entry: given.entry && [...given.entry] });
      }),
    );
  });

  it("is nothing when it was cut short, and anything but an error when it is foreign", () => {
    const holder = { token: "a token", endsAt: 7 };
    const whole = encodeStored({ generation: "generation1", holder, entry: undefined, manifest: false });
    for (let length = 0; length < whole.length; length++)
      expect(decodeStored(whole.subarray(0, length))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void decodeStored(bytes)));
    expect(decodeStored(Buffer.from("somebody else's text"))).toBeUndefined();
  });

  it("refuses a token that has no room", () => {
    const holder = { token: "é".repeat(128), endsAt: 0 };
    expect(() => encodeStored({ generation: "generation1", holder, entry: undefined, manifest: false })).toThrow(
      "at most 255 bytes, got 256",
    );
  });
});

describe("an entry's bytes", () => {
  it("are flagged where there is a flag, and compared by the stamp they have", () => {
    const entry = Uint8Array.from({ length: 14 }, (_, index) => index);
    expect(hasStamp(entry, Uint8Array.of(4, 5, 6, 7, 8, 9, 10, 11))).toBe(true);
    expect(hasStamp(entry, Uint8Array.of(4, 5))).toBe(false);
    expect(hasStamp(entry.subarray(0, 6), Uint8Array.of(4, 5))).toBe(true);
    setSoftStale(entry);
    expect(entry[3]).toBe(1);
    const scrap = new Uint8Array(11);
    setSoftStale(scrap);
    expect(scrap[3]).toBe(0);
  });
});
