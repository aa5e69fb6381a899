import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contacts, isSame, values } from "../../test/fixtures/entries/values.js";
import { entryFields } from "../../test/support/entry-fields.js";
import { forged } from "../../test/support/forged.js";
import { CacheError } from "../errors.js";
import type { EntryFields } from "./entry.js";
import {
  decodeEnvelope,
  encodeEnvelope,
  isSoftStale,
  newStamp,
  SOFT_STALE_OFFSET,
  STAMP_LENGTH,
  STAMP_OFFSET,
  stampOf,
} from "./envelope.js";

const entry = entryFields();

const length = fc.oneof(fc.nat(), fc.double({ min: 0, noNaN: true }), fc.constant(Number.POSITIVE_INFINITY));
const entries: fc.Arbitrary<EntryFields> = fc.record({
  value: values,
  stamp: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  ttl: length,
  staleWhileRevalidate: length,
  staleIfError: length,
  loadCost: length,
  position: fc.maxSafeNat(),
  tags: fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }),
  fingerprint: fc.nat(0xffff_ffff),
  etag: fc.option(fc.string(), { nil: undefined }),
  sliding: fc.boolean(),
});

/** The message of what makes the bytes no entry. */
function corruption(bytes: Uint8Array): string {
  try {
    decodeEnvelope(bytes);
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return error.message;
    throw error;
  }
  throw new Error("it was decoded");
}

describe("an envelope", () => {
  it("gives back every field and value", () => {
    fc.assert(
      fc.property(entries, fc.double({ noNaN: true, noDefaultInfinity: true }), (fields, createdWall) => {
        const read = decodeEnvelope(encodeEnvelope(fields, createdWall));
        const { createdWall: created, softStale, ...rest } = read;
        return isSame(rest, { ...fields }) && Object.is(created, createdWall) && !softStale;
      }),
      { numRuns: 200 },
    );
  });

  it("has the flag and the stamp where shared tiers rely on them", () => {
    const bytes = encodeEnvelope(entry, 5);
    expect([SOFT_STALE_OFFSET, STAMP_OFFSET, STAMP_LENGTH]).toEqual([3, 4, 8]);
    expect([...bytes.subarray(0, 12)]).toEqual([0x74, 0xc5, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("is no text in UTF-8", () => {
    expect(() => new TextDecoder("utf-8", { fatal: true }).decode(encodeEnvelope(entry, 5).subarray(0, 3))).toThrow(
      TypeError,
    );
  });

  it("is still whole when a tier has set its soft-stale flag", () => {
    const bytes = encodeEnvelope(entry, 5);
    expect(isSoftStale(bytes)).toBe(false);
    bytes[SOFT_STALE_OFFSET] = 1;
    expect(isSoftStale(bytes)).toBe(true);
    expect(decodeEnvelope(bytes)).toEqual({ ...decodeEnvelope(encodeEnvelope(entry, 5)), softStale: true });
  });

  it("freezes the value when asked to", () => {
    const bytes = encodeEnvelope({ ...entry, value: { list: [1] } }, 5);
    const { value } = decodeEnvelope(bytes, { freeze: true }) as { value: { list: number[] } } & object;
    expect(Object.isFrozen(value) && Object.isFrozen(value.list)).toBe(true);
  });

  it("shares no memory with the bytes it was read from", () => {
    const bytes = Uint8Array.from(encodeEnvelope({ ...entry, value: [Uint8Array.of(1, 2), "x".repeat(50)] }, 5));
    const read = decodeEnvelope(bytes);
    const stamp = stampOf(bytes);
    bytes.fill(0xff);
    expect(read.value).toEqual([Uint8Array.of(1, 2), "x".repeat(50)]);
    expect(read.stamp).toEqual(entry.stamp);
    expect(stamp).toEqual(entry.stamp);
    expect(read.tags).toEqual(["team:7"]);
  });

  it("can be read in the middle of a pooled buffer", () => {
    const bytes = encodeEnvelope({ ...entry, value: contacts(3) }, 5);
    const pool = Buffer.alloc(bytes.length + 30, 0xee);
    pool.set(bytes, 13);
    expect(decodeEnvelope(pool.subarray(13, 13 + bytes.length)).value).toEqual(contacts(3));
  });

  it("refuses a value that is no data, naming the place", () => {
    expect(() => encodeEnvelope({ ...entry, value: { fn: (): number => 1 } }, 5)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_VALUE", message: expect.stringContaining("value.fn") }),
    );
  });

  it.each([
    ["a stamp of another length", { stamp: new Uint8Array(7) }],
    ["a negative time", { ttl: -1 }],
    ["a time that is no number", { staleIfError: Number.NaN }],
    ["a position with a fraction", { position: 1.5 }],
    ["a fingerprint beyond 32 bits", { fingerprint: 2 ** 32 }],
  ])("refuses %s", (_, fields) => {
    expect(() => encodeEnvelope({ ...entry, ...fields }, 5)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_VALUE" }),
    );
  });
});

describe("anything but a whole entry of this version is ERR_CACHE_CORRUPT", () => {
  it.each([
    ["nothing", new Uint8Array(0)],
    ["text", Buffer.from('{"id":1,"name":"somebody else\'s JSON, and a good deal of it, so that it is long enough"}')],
    ["zeroes", new Uint8Array(200)],
    ["the magic alone", Uint8Array.of(0x74, 0xc5)],
  ])("refuses %s as foreign", (_, bytes) => {
    expect(corruption(bytes)).toContain("foreign bytes");
  });

  it("names another version", () => {
    const bytes = encodeEnvelope(entry, 5);
    bytes[2] = 9;
    expect(corruption(bytes)).toContain("format version 9");
  });

  it("refuses an entry with any one bit changed, but for the soft-stale flag", () => {
    const bytes = encodeEnvelope({ ...entry, etag: '"x"', value: contacts(1) }, 5);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      if (bit === SOFT_STALE_OFFSET * 8) expect(decodeEnvelope(changed).softStale).toBe(true);
      else expect(corruption(changed)).not.toBe("");
    }
  });

  it("refuses any one bit changed in any entry", () => {
    fc.assert(
      fc.property(entries, fc.nat(), (fields, at) => {
        const bytes = Uint8Array.from(encodeEnvelope(fields, 5));
        const bit = at % (bytes.length * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        return bit === SOFT_STALE_OFFSET * 8 || corruption(bytes) !== "";
      }),
      { numRuns: 200 },
    );
  });

  it("refuses a torn entry, cut anywhere, and one with the end of another", () => {
    const bytes = encodeEnvelope({ ...entry, value: contacts(2) }, 5);
    for (let cut = 0; cut < bytes.length; cut++) expect(corruption(bytes.subarray(0, cut))).not.toBe("");
    const other = encodeEnvelope({ ...entry, value: contacts(3) }, 6);
    const mixed = Uint8Array.from(other);
    mixed.set(bytes.subarray(0, 100));
    expect(corruption(mixed)).toContain("checksum");
  });

  it("takes random bytes behind a true header", () => {
    const bytes = encodeEnvelope(entry, 5);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(3), (tail, flags) => {
        const joined = Uint8Array.of(...bytes.subarray(0, 72), ...tail);
        const message = (() => {
          try {
            decodeEnvelope(forged(joined, (view) => view.setUint32(16, flags, true)));
            return "decoded";
          } catch (error) {
            return error instanceof CacheError ? error.code : "other";
          }
        })();
        return message === "decoded" || message === "ERR_CACHE_CORRUPT";
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["compressed", 1 << 2],
    ["encrypted", 1 << 3],
  ])("says that an entry is %s: there is no plain body to read", (_, flag) => {
    const bytes = forged(encodeEnvelope(entry, 5), (view) => view.setUint32(16, flag, true));
    expect(corruption(bytes)).toContain("a compressed or encrypted one");
  });

  it.each([
    ["chunks", 1 << 4],
    ["the last flag", 1 << 31],
  ])("takes an entry with %s for a newer release's, though its checksum fits", (_, flag) => {
    const bytes = forged(encodeEnvelope(entry, 5), (view) => view.setUint32(16, flag >>> 0, true));
    expect(corruption(bytes)).toContain("flags of a newer release");
  });

  it("refuses fields no entry has, though its checksum fits", () => {
    const bytes = encodeEnvelope(entry, 5);
    const changes: [number, number][] = [
      [24, Number.NaN],
      [24, Number.POSITIVE_INFINITY],
      [32, -1],
      [40, Number.NaN],
      [48, Number.NEGATIVE_INFINITY],
      [56, -0.5],
      [64, 2 ** 60],
      [64, 0.5],
    ];
    for (const [at, number] of changes) {
      expect(corruption(forged(bytes, (view) => view.setFloat64(at, number, true)))).toContain("no entry has");
    }
    // The tags' place holds a number; then a text among them does.
    expect(corruption(forged(bytes, (view) => view.setUint8(72, 0xc0)))).not.toBe("");
    const numbered = encodeEnvelope({ ...entry, tags: [1] as unknown as string[] }, 5);
    expect(corruption(numbered)).toContain("not text");
  });
});

describe("stamps", () => {
  it("are 8 bytes and never come twice, past the count of one random part", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 70_000; i++) {
      const stamp = newStamp();
      if (stamp.length !== STAMP_LENGTH) throw new Error("a stamp of another length");
      seen.add(Buffer.from(stamp).toString("latin1"));
    }
    expect(seen.size).toBe(70_000);
  });

  it("are read from an envelope of any version, and from nothing else", () => {
    const bytes = encodeEnvelope(entry, 5);
    bytes[2] = 9;
    expect(stampOf(bytes)).toEqual(entry.stamp);
    expect(stampOf(bytes.subarray(0, 11))).toBeUndefined();
    expect(stampOf(Buffer.from("some text of somebody"))).toBeUndefined();
    expect(isSoftStale(Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0))).toBe(false);
  });
});
