import { randomBytes } from "node:crypto";
import * as zlib from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { CompressionAlgorithm } from "../options.js";
import { CacheError } from "../errors.js";
import { compress, COMPRESSION_DEFAULTS, inflate, resolveCompression } from "./compress.js";

const hasZstd = "zstdCompressSync" in zlib;
const ALGORITHMS: readonly CompressionAlgorithm[] = hasZstd ? ["gzip", "brotli", "zstd"] : ["gzip", "brotli"];
const HEAD = 5;

/** Bytes that compress well, but not beyond measure. */
function text(length: number): Uint8Array {
  const words = Array.from({ length: length / 4 }, (_, i) => `${(i * 7919) % 1_000} `).join("");
  return Buffer.from(words.padEnd(length, "x").slice(0, length));
}

/** What inflating comes to: the bytes, or the message of what makes them no block. */
async function outcome(block: Uint8Array): Promise<Uint8Array | string> {
  try {
    return await inflate(block);
  } catch (error) {
    if (error instanceof CacheError && error.code === "ERR_CACHE_CORRUPT") return error.message;
    throw error;
  }
}

async function block(raw: Uint8Array, algorithm: CompressionAlgorithm): Promise<Uint8Array> {
  const made = await compress(raw, algorithm);
  if (made === undefined) throw new Error("it was not worth it");
  return made;
}

/** A block that says other things than `compress` would. */
function told(id: number, length: number, compressed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD + compressed.length);
  bytes[0] = id;
  new DataView(bytes.buffer).setUint32(1, length, true);
  bytes.set(compressed, HEAD);
  return bytes;
}

describe.each(ALGORITHMS)("a block of %s", (algorithm) => {
  it.each([100, 1_000, 65_536, 65_537, 1_500_000])("gives back %d bytes", async (length) => {
    const raw = text(length);
    const made = await block(raw, algorithm);
    expect(made.length).toBeLessThan(length * 0.9);
    expect(Buffer.from(await inflate(made)).equals(raw)).toBe(true);
  });

  it("is made and read at once where it is small, and in another thread where it is large", async () => {
    const small = compress(text(65_536), algorithm);
    const large = compress(text(65_537), algorithm);
    expect(small).toBeInstanceOf(Uint8Array);
    expect(large).toBeInstanceOf(Promise);
    expect(inflate(small as Uint8Array)).toBeInstanceOf(Uint8Array);
    const inflating = inflate((await large) as Uint8Array);
    expect(inflating).toBeInstanceOf(Promise);
    await inflating;
  });

  it("is not made where it would save less than a tenth", async () => {
    expect(compress(randomBytes(10_000), algorithm)).toBeUndefined();
    expect(await compress(randomBytes(100_000), algorithm)).toBeUndefined();
    const mixed = Buffer.concat([randomBytes(9_500), new Uint8Array(500)]);
    expect(compress(mixed, algorithm)).toBeUndefined();
    expect(compress(Buffer.concat([randomBytes(8_500), new Uint8Array(1_500)]), algorithm)).toBeInstanceOf(Uint8Array);
  });

  it("is refused when it is cut anywhere", async () => {
    const made = await block(text(2_000), algorithm);
    for (let end = 0; end < made.length; end++) expect(await outcome(made.subarray(0, end))).toBeTypeOf("string");
  });

  it("is refused when it holds more or less than it says", async () => {
    for (const length of [2_000, 100_000]) {
      const made = await block(text(length), algorithm);
      for (const said of [1, length - 1, length + 1, 128 << 20]) {
        const [id] = made;
        expect(await outcome(told(id as number, said, made.subarray(HEAD)))).toBeTypeOf("string");
      }
    }
  });

  it("stops a bomb at the length it announces", async () => {
    const bomb = await block(new Uint8Array(32 << 20), algorithm);
    const [id] = bomb;
    const before = process.memoryUsage().arrayBuffers;
    const refused = outcome(told(id as number, 1_000, bomb.subarray(HEAD)));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 << 20);
    expect(await refused).toContain("cannot be inflated");
  });

  it("with a byte changed is read as something of the same length, or refused: never anything else", async () => {
    const raw = text(600);
    const made = await block(raw, algorithm);
    for (let at = 0; at < made.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const changed = Uint8Array.from(made);
        changed[at] = (changed[at] as number) ^ mask;
        const result = await outcome(changed);
        expect(typeof result === "string" || at < HEAD || result.length === raw.length).toBe(true);
      }
    }
  });
});

describe("inflate", () => {
  it("takes any bytes for no block, or reads them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5 }),
        fc.nat(300),
        fc.uint8Array({ maxLength: 60 }),
        async (id, n, b) => {
          const result = await outcome(told(id, n, b));
          return typeof result === "string" || result.length === n;
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["nothing", 0],
    ["more than a value may have", (128 << 20) + 1],
    ["4 GiB", 0xffff_ffff],
  ])("believes nobody who announces %s", async (_, length) => {
    const deflated = zlib.deflateRawSync(new Uint8Array(10));
    expect(await outcome(told(1, length, deflated))).toContain(`claims to be ${length} bytes`);
  });

  it("names an algorithm that it does not know", async () => {
    expect(await outcome(told(9, 10, new Uint8Array(10)))).toContain("algorithm 9, which this process cannot read");
    expect(await outcome(told(0, 10, new Uint8Array(10)))).toContain("algorithm 0");
  });

  it.skipIf(hasZstd)("names zstd where Node has none", async () => {
    expect(await outcome(told(3, 10, new Uint8Array(10)))).toContain(
      "zstd, algorithm 3, which this process cannot read",
    );
  });
});

describe("the option compression", () => {
  it("is off unless it is said, and true is its defaults", () => {
    const defaults = { algorithm: COMPRESSION_DEFAULTS.algorithm, threshold: 8_192 };
    expect(resolveCompression(undefined, undefined)).toBeUndefined();
    expect(resolveCompression(true, undefined)).toEqual(defaults);
    expect(resolveCompression({}, undefined)).toEqual(defaults);
    expect(resolveCompression({ algorithm: "brotli", threshold: "1mb" }, undefined)).toEqual({
      algorithm: "brotli",
      threshold: 1_048_576,
    });
  });

  it("is laid over the cache's, field by field", () => {
    const base = { algorithm: "brotli", threshold: 100 } as const;
    expect(resolveCompression(undefined, base)).toBe(base);
    expect(resolveCompression(false, base)).toBeUndefined();
    expect(resolveCompression(true, base)).toEqual(base);
    expect(resolveCompression({ threshold: 5 }, base)).toEqual({ algorithm: "brotli", threshold: 5 });
    expect(resolveCompression({ algorithm: "gzip" }, base)).toEqual({ algorithm: "gzip", threshold: 100 });
  });

  it.each([
    ["gzip", "compression"],
    [null, "compression"],
    [1, "compression"],
    [{ level: 9 }, "compression option"],
    [{ algorithm: "lz4" }, "compression.algorithm"],
    [{ algorithm: "constructor" }, "compression.algorithm"],
    [{ algorithm: 1 }, "compression.algorithm"],
    [{ threshold: 0 }, "compression.threshold"],
    [{ threshold: -1 }, "compression.threshold"],
    [{ threshold: "8 apples" }, "compression.threshold"],
  ])("refuses %j, naming %s", (option, named) => {
    expect(() => resolveCompression(option as never, undefined)).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(`\`${named}\``) }),
    );
  });

  it.skipIf(hasZstd)("refuses zstd where Node has none, and says which has", () => {
    expect(() => resolveCompression({ algorithm: "zstd" }, undefined)).toThrow("22.15");
  });
});
