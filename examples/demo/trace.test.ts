import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entityOf, readTrace, TraceError, TraceKeys } from "./trace.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "trace-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(content: string | Uint8Array, name = "trace"): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function keysOf(path: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const part of readTrace(path)) {
    keys.push(...part);
  }
  return keys;
}

describe("readTrace", () => {
  it.each([
    ["with a last newline", "7\n8\nnine\n"],
    ["without one", "7\n8\nnine"],
    ["with carriage returns", "7\r\n8\r\nnine\r\n"],
  ])("reads a key per line, %s, plain and gzipped", async (_, text) => {
    expect(await keysOf(await file(text))).toEqual(["7", "8", "nine"]);
    expect(await keysOf(await file(gzipSync(text)))).toEqual(["7", "8", "nine"]);
  });

  it("reads the same keys, however they fall on the chunks of the file", async () => {
    const key = fc.stringMatching(/^[!-~é中😀]{1,40}$/u);
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1_500, max: 4_000 }),
        async (keys, times) => {
          // Over 64 KiB, so that keys and characters are cut.
          const all = Array.from({ length: times }, () => keys).flat();
          expect(await keysOf(await file(all.join("\n")))).toEqual(all);
        },
      ),
      { numRuns: 15 },
    );
  });

  it("holds a part of a long trace, never the whole", async () => {
    const path = join(folder, "long");
    const lines = 1_000_000;
    await pipeline(Readable.from(numbers(lines)), createWriteStream(path));
    let longest = 0;
    let count = 0;
    for await (const part of readTrace(path)) {
      count += part.length;
      longest = Math.max(longest, part.length);
    }
    expect(count).toBe(lines);
    expect(longest).toBeLessThan(lines / 10);
  }, 30_000);

  it.each([
    ["an empty line", "1\n\n3\n", "line 2", '""'],
    ["two keys on a line", "1\n2\n3 4\n", "line 3", '"3 4"'],
    ["bytes that are not text", Buffer.from([0x31, 0x0a, 0x00, 0x01, 0x0a]), "line 2", "\\u0000"],
    ["bytes that are not UTF-8", Buffer.from([0x31, 0x0a, 0xff, 0xfe, 0x0a]), "line 2", "\ufffd"],
    ["a line too long", `1\n${"x".repeat(200_000)}`, "line 2", "and more"],
    ["a bad last line", "1\n2\n3 4", "line 3", '"3 4"'],
  ])("names the line of %s", async (_, content, line, got) => {
    const path = await file(content, "bad");
    await expect(keysOf(path)).rejects.toThrow(TraceError);
    await expect(keysOf(path)).rejects.toThrow(`bad, ${line}: expected one key`);
    await expect(keysOf(path)).rejects.toThrow(got);
  });

  it("says how far it came in a gzip file that is cut or torn", async () => {
    const whole = gzipSync(
      Buffer.from(Array.from({ length: 200_000 }, (_, index) => `${(index * 7_919) % 1_000_003}\n`).join("")),
    );
    await expect(keysOf(await file(whole.subarray(0, whole.length / 2), "cut"))).rejects.toThrow(
      /cut, after line \d+: unexpected end of file/,
    );
  });

  it("says so when the file is empty, or not there", async () => {
    await expect(keysOf(await file(""))).rejects.toThrow("holds no keys");
    await expect(keysOf(await file(gzipSync("")))).rejects.toThrow("holds no keys");
    await expect(keysOf(join(folder, "nowhere"))).rejects.toThrow(TraceError);
    await expect(keysOf(folder)).rejects.toThrow(TraceError);
  });
});

describe("TraceKeys", () => {
  it("gives each key once to many who ask at once, and begins again at the end", async () => {
    const keys = new TraceKeys(await file("1\n2\n3\n"));
    const asked = await Promise.all(Array.from({ length: 7 }, async () => keys.next()));
    expect(asked.toSorted()).toEqual(["1", "1", "1", "2", "2", "3", "3"]);
    expect(keys.passes).toBe(2);
    await keys.close();
  });

  it("rejects all who wait when a line is bad", async () => {
    const keys = new TraceKeys(await file("one two\n"));
    const asked = await Promise.allSettled([1, 2, 3].map(async () => keys.next()));
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await keys.close();
  });
});

describe("entityOf", () => {
  it("takes numbers modulo the count, whatever their size", () => {
    expect(entityOf("50007", 50_000)).toBe(7);
    expect(entityOf("340282366920938463463374607431768211455", 50_000)).toBe(Number((2n ** 128n - 1n) % 50_000n));
    expect(entityOf("0007", 5)).toBe(2);
  });

  it("gives other text one fixed entity in range", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 1_000_000 }), (key, count) => {
        const entity = entityOf(key, count);
        return entity === entityOf(key, count) && Number.isInteger(entity) && entity >= 0 && entity < count;
      }),
    );
  });
});

function* numbers(count: number): Generator<string> {
  const block = 10_000;
  for (let start = 0; start < count; start += block) {
    yield Array.from({ length: block }, (_, index) => `${start + index}\n`).join("");
  }
}
