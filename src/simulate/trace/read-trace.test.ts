import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as zlib from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MOST_BAD_LINES, TraceReader, type TraceOptions, type TraceSummary } from "./read-trace.js";
import { TraceError } from "./trace-error.js";

/** Since Node 22.15; not in the types of the oldest Node that is supported. */
const { zstdCompressSync } = zlib as { zstdCompressSync?: (text: string) => Uint8Array };

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-traces-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Read {
  readonly summary: TraceSummary;
  readonly ids: number[];
  readonly rows: { operation: number; size: number; time: number; ttl: number; client: number }[];
}

async function read(
  name: string,
  content: string | Uint8Array,
  options: Omit<TraceOptions, "path"> = {},
): Promise<Read> {
  const path = join(folder, name);
  await writeFile(path, content);
  const reader = new TraceReader({ path, ...options });
  const ids: number[] = [];
  const rows: Read["rows"] = [];
  for await (const batch of reader.batches()) {
    for (let i = 0; i < batch.length; i += 1) {
      ids.push(batch.ids[i] as number);
      rows.push({
        operation: batch.operations[i] as number,
        size: batch.sizes[i] as number,
        time: batch.times[i] as number,
        ttl: batch.ttls[i] as number,
        client: batch.clients[i] as number,
      });
    }
  }
  return { summary: reader.summary, ids, rows };
}

async function codeOf(reading: Promise<unknown>): Promise<{ code: string; line: number | undefined; message: string }> {
  const error = await reading.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TraceError)) throw new Error("Expected a TraceError", { cause: error });
  return { code: error.code, line: error.line, message: error.message };
}

describe("plain traces", () => {
  it("have a key on each line, numbered as they first appear", async () => {
    const { ids, summary } = await read("plain.txt", "user:1\nuser:2\r\n\nuser:1\n 7 \n7\nuser:9");

    expect(ids).toEqual([0, 1, 0, 2, 2, 3]);
    expect(summary).toMatchObject({ requests: 6, keys: 4, lines: 7, badLines: 0, format: "plain" });
  });

  it("may be compressed, in more than one part", async () => {
    const parts = Buffer.concat([zlib.gzipSync("a\nb\n"), zlib.gzipSync("a\nc")]);

    expect((await read("parts.txt.gz", parts)).ids).toEqual([0, 1, 0, 2]);
  });

  it("are one trace, wherever the blocks end that they are read in", async () => {
    const keys = Array.from({ length: 90_000 }, (_, i) => `clé-${(i * 7919) % 5000}`);
    const { ids, summary } = await read("long.txt", keys.join("\n"));
    const first = new Map<string, number>();

    expect(ids).toEqual(keys.map((key) => first.get(key) ?? (first.set(key, first.size), first.size - 1)));
    expect(summary).toMatchObject({ requests: 90_000, keys: 5000, lines: 90_000 });
  });

  it("tell a number from the same digits with a zero before them", async () => {
    expect((await read("zeros.txt", "7\n07\n7\n")).ids).toEqual([0, 1, 0]);
  });
});

describe("traces of runs", () => {
  it("name each block of a run", async () => {
    const { ids, summary } = await read("runs.lis", "10 3 0 0\n11 2 0 1\n");

    expect(ids).toEqual([0, 1, 2, 1, 2]);
    expect(summary).toMatchObject({ format: "lis", requests: 5 });
  });

  it("are known by their lines when their name says nothing", async () => {
    expect((await read("runs.txt", "10 3 0 0\n11 2 0 1\n")).summary.format).toBe("lis");
  });

  it("come in batches, however long their runs are", async () => {
    const path = join(folder, "long.lis");
    await writeFile(path, Array.from({ length: 20 }, (_, i) => `1 50000 0 ${i}`).join("\n"));
    const lengths: number[] = [];
    for await (const batch of new TraceReader({ path }).batches()) lengths.push(batch.length);

    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(1_000_000);
    expect(Math.max(...lengths)).toBe(100_000);
  });

  it("have no runs longer than a million", async () => {
    const { summary, ids } = await read("endless.lis", "1 99999999 0 0\n1 0 0 1\n5 1 0 2\n");

    expect(ids).toEqual([0]);
    expect(summary.firstBadLines.map(({ line }) => line)).toEqual([1, 2]);
  });
});

describe("CSV traces", () => {
  it("are read by the names in their header, in any order", async () => {
    const lines = ["Size,ttl,OP,key,timestamp", "100,60,get,a,1", "200,0,SET,b,2", ",,delete,a,3"];
    const { rows, ids, summary } = await read("header.csv", lines.join("\n"));

    expect(summary).toMatchObject({ format: "csv", badLines: 0, lines: 4 });
    expect(ids).toEqual([0, 1, 0]);
    expect(rows).toEqual([
      { operation: 0, size: 100, time: 1000, ttl: 60_000, client: -1 },
      { operation: 1, size: 200, time: 2000, ttl: Number.POSITIVE_INFINITY, client: -1 },
      { operation: 2, size: Number.NaN, time: 3000, ttl: Number.POSITIVE_INFINITY, client: -1 },
    ]);
  });

  it("are read by the columns named, in the unit named", async () => {
    const { rows, ids } = await read("columns.csv", "x;5;k1\ny;6;k2\n", {
      columns: ["_", "time", "key"],
      timeUnit: "ms",
    });

    expect(ids).toEqual([0, 1]);
    expect(rows.map(({ time }) => time)).toEqual([5, 6]);
  });

  it("have fields in quotes", async () => {
    expect((await read("quotes.csv", 'key,size\n"a,""b""",1\n"c",2\n"a,""b""",1\n')).ids).toEqual([0, 1, 0]);
  });

  it("are known as Twitter's by their operations", async () => {
    const { rows, summary } = await read("cluster", "0,nz:u:eeW,13,100,7,get,0\n1,nz:u:eeX,13,0,8,set,30\n");

    expect(summary.format).toBe("twitter");
    expect(rows).toEqual([
      { operation: 0, size: 113, time: 0, ttl: Number.POSITIVE_INFINITY, client: 0 },
      { operation: 1, size: 13, time: 1000, ttl: 30_000, client: 1 },
    ]);
  });

  it("are known as time, id and size by their numbers", async () => {
    const { rows, summary } = await read("sizes.txt", "1,55,4096\n2,56,512\n");

    expect(summary.format).toBe("time-id-size");
    expect(rows.map(({ size }) => size)).toEqual([4096, 512]);
  });

  it("are not guessed at when nothing names their key", async () => {
    expect(await codeOf(read("unknown.csv", "a,b\nc,d\n"))).toMatchObject({ code: "ERR_TRACE_FORMAT", line: 1 });
  });

  it("are plain keys when only the keys have commas", async () => {
    expect((await read("commas.txt", "user:1,en\nuser:2,en\n")).summary).toMatchObject({ format: "plain", keys: 2 });
  });
});

describe("bad lines", () => {
  const lines = ["key,size,op", "a,1,get", "b,-1,get", "c,1,frob", "d,x,get", ",1,get", "e", "f,2,get"].join("\n");

  it("are skipped and told with their numbers", async () => {
    const { summary, ids } = await read("bad.csv", lines);

    expect(ids).toEqual([0, 1]);
    expect(summary.badLines).toBe(5);
    expect(summary.firstBadLines).toEqual([
      { line: 3, reason: 'expected a size of 0 or more, found "-1"' },
      { line: 4, reason: 'expected an operation such as get, set or delete, found "frob"' },
      { line: 5, reason: 'expected a size of 0 or more, found "x"' },
      { line: 6, reason: "expected a key" },
      { line: 7, reason: "expected 3 fields, found 1" },
    ]);
  });

  it("end a strict reading", async () => {
    expect(await codeOf(read("strict.csv", lines, { strict: true }))).toMatchObject({
      code: "ERR_TRACE_LINE",
      line: 3,
    });
  });

  it("end any reading when there are too many", async () => {
    const many = `key,size\n${"a,x\n".repeat(MOST_BAD_LINES)}`;

    expect((await read("many.csv", `${many}b,1\n`)).summary.badLines).toBe(MOST_BAD_LINES);
    expect(await codeOf(read("more.csv", `${many}a,x\n`))).toMatchObject({
      code: "ERR_TRACE_LINE",
      line: MOST_BAD_LINES + 2,
    });
  });
});

describe("files that are no traces", () => {
  it("are told apart: missing, truncated, not text", async () => {
    const missing = new TraceReader({ path: join(folder, "nowhere.txt") });
    const cut = zlib.gzipSync("a\n".repeat(50_000)).subarray(0, 60);

    expect((await codeOf(missing.batches().next())).code).toBe("ERR_TRACE_NOT_FOUND");
    expect((await codeOf(read("cut.txt.gz", cut))).code).toBe("ERR_TRACE_FILE");
    expect((await codeOf(read("wrong.gz", "no gzip at all"))).code).toBe("ERR_TRACE_FILE");
    expect((await codeOf(read("binary.txt", new Uint8Array([1, 0, 2, 10, 3])))).code).toBe("ERR_TRACE_FORMAT");
  });

  it.skipIf(zstdCompressSync !== undefined)("in zstd say which Node can read them, and open nothing", async () => {
    const { code, message } = await codeOf(read("keys.txt.zst", ""));
    expect(code).toBe("ERR_TRACE_FILE");
    expect(message).toMatch(/keys\.txt\.zst needs Node 22\.15 or later to be decompressed: use gzip$/);

    // A file that is not there would throw where nobody listens, had it been opened.
    const missing = new TraceReader({ path: join(folder, "nowhere.txt.zst") });
    expect((await codeOf(missing.batches().next())).code).toBe("ERR_TRACE_FILE");
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  });

  it.skipIf(zstdCompressSync === undefined)("in zstd are read where Node has it, in parts and cut short", async () => {
    const whole = Buffer.concat([zstdCompressSync?.("a\nb\n") ?? "", zstdCompressSync?.("a\nc") ?? ""] as Uint8Array[]);

    expect((await read("keys.txt.zst", whole)).ids).toEqual([0, 1, 0, 2]);
    expect((await codeOf(read("wrong.txt.zst", "no zstd at all"))).code).toBe("ERR_TRACE_FILE");
    const missing = new TraceReader({ path: join(folder, "nowhere.txt.zst") });
    expect((await codeOf(missing.batches().next())).code).toBe("ERR_TRACE_NOT_FOUND");
  });
});

describe("a sample", () => {
  it("has all requests for some of the keys, whatever the format they are written in", async () => {
    const numbers = Array.from({ length: 4000 }, (_, i) => (i * 613) % 1000);
    const plain = await read("sample.txt", numbers.join("\n"), { sample: 0.25 });
    const runs = await read("sample.lis", numbers.map((key, i) => `${key} 1 0 ${i}`).join("\n"), { sample: 0.25 });

    expect(plain.summary.requests).toBe(4000);
    expect(plain.summary.keys).toBeGreaterThan(200);
    expect(plain.summary.keys).toBeLessThan(300);
    expect(plain.ids).toHaveLength(4 * plain.summary.keys);
    expect(runs.ids).toEqual(plain.ids);
  });
});
