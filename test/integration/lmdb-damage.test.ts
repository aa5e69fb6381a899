import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { open } from "lmdb";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { lmdb } from "../../src/lmdb/index.js";
import { KIND, USAGE_KEY } from "../../src/lmdb/layout.js";
import { entry } from "../../src/testing/suite/session.js";
import { lmdbProcess, type LmdbProcess } from "../support/lmdb-process.js";

const KEYS = 300;
const LONG = 600_000;
const OPEN = { noSync: true, overlappingSync: false, keyEncoding: "binary", encoding: "binary" } as const;
const { open: openLmdb } = createRequire(import.meta.url)("lmdb") as { open: typeof open };

/** A file with everything in it, closed in order. */
let original: string;
let child: LmdbProcess | undefined;

beforeAll(async () => {
  original = mkdtempSync(join(tmpdir(), "tiercache-lmdb-"));
  const tier = lmdb({ path: original }).open("shared");
  for (let index = 0; index < KEYS; index++) {
    await tier.store.put([{ key: `k${index}`, value: valueOf(index), ttl: LONG }], "me");
    if (index % 3 === 0) await tier.store.invalidate([{ kind: "tag", tag: `t${index}` }], index % 2 === 0, "me");
    if (index % 30 === 0) await tier.store.invalidate([{ kind: "pattern", pattern: `p${index}` }], false, "me");
    if (index % 30 === 1) await tier.leases.acquire(`lease${index}`, { token: "t", ttl: LONG });
  }
  await tier.close();
});
afterAll(async () => {
  await child?.kill();
  rmSync(original, { recursive: true, force: true });
});

/** As in `lmdb-program.ts`. */
function valueOf(index: number): Uint8Array {
  return entry(index, new Uint8Array((index * 97) % 9_000).fill(index));
}

/** A copy of the file, to be damaged. */
function copy(): { path: string; data: string } {
  const path = mkdtempSync(join(tmpdir(), "tiercache-lmdb-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  mkdirSync(join(path, "current"));
  for (const name of ["data.mdb", "note.json"]) {
    copyFileSync(join(original, "current", name), join(path, "current", name));
  }
  const data = join(path, "current", "data.mdb");
  // The note vouches for the file of that time.
  const note = join(path, "current", "note.json");
  const { boot, closed } = JSON.parse(readFileSync(note, "utf8")) as { boot: string; closed: object };
  writeFileSync(note, JSON.stringify({ boot, closed: { ...closed, time: statSync(data).mtimeMs } }));
  return { path, data };
}

/** Does everything with it in another process, which must outlive that. */
async function exercise(path: string): Promise<{ found: number; wrong: number; warnings: string[] }> {
  child ??= lmdbProcess();
  try {
    return await child.call("exercise", { path, keys: KEYS });
  } catch (error) {
    child = undefined;
    throw error;
  }
}

function change(data: string, edit: (bytes: Buffer) => void): void {
  const bytes = readFileSync(data);
  edit(bytes);
  writeFileSync(data, bytes);
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("a host tier's file", () => {
  it("is taken over as it is when nothing happened to it", async () => {
    const { path } = copy();
    expect(await exercise(path)).toEqual({ found: KEYS, wrong: 0, warnings: [] });
  });

  it("is read through, and taken over, when its last process was killed", async () => {
    const { path } = copy();
    const note = JSON.parse(readFileSync(join(path, "current", "note.json"), "utf8")) as { boot: string };
    writeFileSync(join(path, "current", "note.json"), JSON.stringify({ boot: note.boot }));
    expect(await exercise(path)).toEqual({ found: KEYS, wrong: 0, warnings: [] });
  });

  it.each<[string, object | undefined, boolean]>([
    ["closed and flushed before", {}, true],
    ["closed but not flushed before", { flushed: false }, false],
    ["written to after it was closed", { transaction: 1 }, false],
    ["not closed before", undefined, false],
  ])("of another boot of the machine, %s, is taken over: %j", async (_how, changes, kept) => {
    const { path } = copy();
    const note = join(path, "current", "note.json");
    const { closed } = JSON.parse(readFileSync(note, "utf8")) as { closed: object };
    writeFileSync(note, JSON.stringify({ boot: "another", closed: changes && { ...closed, ...changes } }));
    const { found, wrong, warnings } = await exercise(path);
    expect({ found, wrong, warned: warnings.length }).toEqual({
      found: kept ? KEYS : 0,
      wrong: 0,
      warned: kept ? 0 : 1,
    });
  });

  it.each([1, 100, 4_095, 4_096, 8_191, 8_192, 12_288, 333_333, 500_000, -4_096, -1])(
    "cut off at %d bytes starts empty, with a warning",
    async (at) => {
      const { path, data } = copy();
      truncateSync(data, at < 0 ? statSync(data).size + at : at);
      const { found, warnings } = await exercise(path);
      expect({ found, warned: warnings.length }).toEqual({ found: 0, warned: 1 });
      expect(warnings[0]).toContain(`${path} starts empty: `);
      expect(existsSync(join(path, "damaged", "data.mdb"))).toBe(true);
      // And goes on from there.
      expect(await exercise(path)).toMatchObject({ wrong: 0, warnings: [] });
    },
  );

  it.each<[string, (bytes: Buffer) => void]>([
    ["zeroes", (bytes) => bytes.fill(0)],
    ["zeroes in its first page", (bytes) => bytes.fill(0, 0, 4_096)],
    ["zeroes in its second page", (bytes) => bytes.fill(0, 4_096, 8_192)],
    ["zeroes after its second page", (bytes) => bytes.fill(0, 8_192)],
    ["text", (bytes) => bytes.fill("not a cache ")],
    ["another version of LMDB's format", (bytes) => void [24, 4_120].map((at) => bytes.writeUInt32LE(999, at + 4))],
    ["a root beyond its end", (bytes) => void [24, 4_120].map((at) => bytes.writeUInt32LE(1e9, at + 112))],
  ])("full of %s starts empty, with a warning", async (_what, edit) => {
    const { path, data } = copy();
    change(data, edit);
    const { found, warnings } = await exercise(path);
    expect({ found, warned: warnings.length }).toEqual({ found: 0, warned: 1 });
  });

  it("of a newer release's format, or of another program, starts empty, with a warning", async () => {
    for (const value of [Buffer.alloc(28, 7), undefined]) {
      const { path } = copy();
      const database = openLmdb({ path: join(path, "current"), ...OPEN });
      database.transactionSync(() => {
        if (value === undefined) void database.remove(USAGE_KEY);
        else void database.put(USAGE_KEY, value);
      });
      await database.close();
      const { found, warnings } = await exercise(path);
      expect({ found, warned: warnings.length }).toEqual({ found: 0, warned: 1 });
    }
  });

  it("with any page zeroed harms nobody", async () => {
    const pages = statSync(join(original, "current", "data.mdb")).size / 4_096;
    const next = random(7);
    for (let round = 0; round < 15; round++) {
      const { path, data } = copy();
      const page = Math.floor(next() * pages);
      change(data, (bytes) => bytes.fill(0, page * 4_096, (page + 1) * 4_096));
      // A page inside a large value is the value's own matter: its checksum tells the reader.
      expect((await exercise(path)).wrong, `page ${page}`).toBeLessThanOrEqual(1);
    }
  });

  it.each([1, 2, 3])("with any bits flipped harms nobody (seed %d)", async (seed) => {
    const next = random(seed);
    for (let round = 0; round < 15; round++) {
      const { path, data } = copy();
      const flips = 1 + Math.floor(next() * 3);
      change(data, (bytes) => {
        for (let flip = 0; flip < flips; flip++) {
          // Half of them where the trees are, which is little of the file.
          const at = Math.floor(next() * (flip % 2 === 0 ? bytes.length : 16 * 4_096));
          bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(next() * 8));
        }
      });
      expect((await exercise(path)).wrong, `round ${round}`).toBeLessThanOrEqual(flips);
    }
  });
});

describe("a running host tier", () => {
  it("whose records turn out damaged starts empty, says so, and goes on", async () => {
    const { path } = copy();
    const warnings: string[] = [];
    const tier = lmdb({ path, onWarning: (message) => warnings.push(message) }).open("shared");
    onTestFinished(() => tier.close());
    const { head } = await tier.store.read([]);
    const database = openLmdb({ path: join(path, "current"), ...OPEN });
    const [state = ""] = [...database.getKeys({ start: Uint8Array.of(KIND.state), limit: 1 })];
    database.transactionSync(() => void database.put(state, Buffer.alloc(76, 1)));
    await database.close();
    const after = await tier.store.invalidate([{ kind: "key", key: "k1" }], false, "me");
    expect(after.hit).toBe(0);
    expect(after.head.floor).toBeGreaterThan(head?.position ?? Infinity);
    expect(warnings).toHaveLength(1);
  });

  it("whose file grows without end, because a reader stands still, starts empty with another", async () => {
    const { path, data } = copy();
    const warnings: string[] = [];
    const tier = lmdb({ path, maxBytes: "1mb", onWarning: (message) => warnings.push(message) }).open("shared");
    onTestFinished(() => tier.close());
    const before = await tier.log.head();
    truncateSync(data, 300_000_000);
    const { floor } = await tier.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    expect(floor).toBeGreaterThan(before.position);
    expect(statSync(data).size).toBeLessThan(1_000_000);
    expect(warnings[0]).toContain("it grew to 300000000 bytes");
  });

  it.each(["removed", "set aside by another process"])("whose folder is %s goes on with another", async (how) => {
    const { path } = copy();
    const [tier, other] = [0, 1].map(() => lmdb({ path }).open("shared"));
    onTestFinished(async () => void (await Promise.all([tier?.close(), other?.close()])));
    const heard: string[] = [];
    await tier?.log.subscribe(({ type }) => heard.push(type));
    const before = await tier?.log.head();
    if (how === "removed") rmSync(join(path, "current"), { recursive: true });
    else (await import("../../src/lmdb/opening.js")).setAside(path);
    const written = await tier?.store.put([{ key: "a", value: entry(1), ttl: LONG }], "me");
    expect(written?.floor).toBeGreaterThan(before?.position ?? Infinity);
    await expect.poll(async () => (await other?.store.read(["a"]))?.values[0]).toEqual(entry(1));
    // Whoever listens must ask the log: what it knew is of another history.
    await expect.poll(() => heard.slice(0, 3)).toEqual(["up", "down", "up"]);
  });
});
