import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processes, type Processes } from "../../test/support/processes.js";
import type { Cache, CacheEvent, WriteBehind, WriteBehindOptions } from "../index.js";
import { MemoryJournal, MemorySource, type JournalCall } from "../testing/index.js";

interface Row {
  readonly n: number;
  readonly name?: string;
}

let world: Processes;
let journal: MemoryJournal;
let source: MemorySource;
let loads: string[];
/** What the journals' calls meet. */
let meets: (call: JournalCall) => void | Promise<void>;

beforeEach(async () => {
  world = await processes(2, { ttl: "1h" });
  journal = new MemoryJournal({ clock: world.clock });
  source = new MemorySource({ refuses: ({ value }) => ((value as Row | undefined)?.n === 13 ? "unlucky" : undefined) });
  loads = [];
  meets = () => undefined;
});
afterEach(() => world.close());

function cacheOf(process: number): Cache {
  const cache = world.caches[process];
  if (cache === undefined) throw new Error(`There is no process ${process}`);
  return cache;
}

function rows(process = 0, options: Partial<WriteBehindOptions<string, Row>> = {}): WriteBehind<string, Row> {
  return cacheOf(process).writeBehind<string, Row>({
    name: "rows",
    journal: journal.journal((call) => meets(call)),
    ...(options.apply === undefined ? { sink: source.sink() } : {}),
    flushEvery: "1h",
    load: (id) => {
      loads.push(id);
      return Promise.resolve(source.row(id)?.value as Row | undefined);
    },
    ...options,
  });
}

/** Gives an answer that waits for time its time. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const settled = answer.then(
    () => true,
    () => true,
  );
  for (let waited = 0; waited < 300_000; waited += 500) {
    if (await Promise.race([settled, world.clock.advance(500).then(() => false)])) break;
  }
  return answer;
}

describe("a row written behind", () => {
  it("is read as it will be by the writer, by another process, and by one that had it cached", async () => {
    const [own, other] = [rows(0), rows(1)];
    expect(await other.get("a")).toBeUndefined();
    await own.put("a", { n: 1 });
    await world.settle();
    expect(await own.get("a")).toEqual({ n: 1 });
    expect(await other.get("a")).toEqual({ n: 1 });
    await own.patch("a", { name: "x" });
    await world.settle();
    expect(await other.get("a")).toEqual({ n: 1, name: "x" });
    await other.delete("a");
    await world.settle();
    expect(await own.get("a")).toBeUndefined();
    expect(source.row("a")).toBeUndefined();
  });

  it("is what it was when it was given, in the cache and at its source, whatever becomes of it meanwhile", async () => {
    const own = rows();
    for (const changed of ["before", "while"] as const) {
      const given = { n: 1 };
      meets = ({ method }) => void (method === "append" && (given.n = 2));
      const written = own.put(changed, given);
      if (changed === "before") given.n = 2;
      await written;
      expect(await own.get(changed)).toEqual({ n: 1 });
      await inTime(own.flush());
      expect(source.row(changed)?.value).toEqual({ n: 1 });
    }
  });

  it("is read as it will be though no cache has it any more", async () => {
    const own = rows();
    await own.put("a", { n: 1 });
    await own.patch("b", { name: "over what is stored" });
    await cacheOf(0).invalidate({ all: true });
    expect(await own.get("a")).toEqual({ n: 1 });
    expect(loads).toEqual([]);
    // There is no row to patch, here or at the source.
    expect(await own.get("b")).toBeUndefined();
    expect(loads).toEqual(["b"]);
  });

  it("is not hidden by a load that began before it was written", async () => {
    let answer = (_row: Row): void => undefined;
    const own = rows(0, {
      load: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    const early = own.get("a");
    await world.settle();
    await own.put("a", { n: 2 });
    answer({ n: 1 });
    await early;
    expect(await own.get("a")).toEqual({ n: 2 });
  });

  it("is at its source after the time of a flush, in the order it was written in", async () => {
    const own = rows(0, { flushEvery: "5s" });
    await Promise.all([own.put("a", { n: 1 }), own.put("b", { n: 1 }), own.delete("a"), own.put("a", { n: 2 })]);
    expect(source.row("a")).toBeUndefined();
    await world.clock.advance(5_000);
    expect(source.row("a")?.value).toEqual({ n: 2 });
    expect(await own.stats()).toMatchObject({ depth: 0, oldest: 0, appended: 4, flushed: 4, failures: 0 });
  });

  it("does not wait for the time when a batch is full", async () => {
    const own = rows(0, { flushEvery: "1h", maxBatch: 3 });
    await Promise.all(["a", "b", "c"].map((id) => own.put(id, { n: 1 })));
    await world.settle();
    expect(source.rows.size).toBe(3);
  });

  it("is flushed by the next process that starts, if its writer is gone", async () => {
    await rows(0, { flushEvery: "1h" }).put("a", { n: 1 });
    rows(1, { flushEvery: "1s" });
    await world.clock.advance(1_000);
    expect(source.row("a")?.value).toEqual({ n: 1 });
  });

  it("is flushed before its cache closes", async () => {
    await rows(0, { flushEvery: "1h" }).put("a", { n: 1 });
    await inTime(cacheOf(0).close());
    expect(source.row("a")?.value).toEqual({ n: 1 });
  });

  it("that the source refuses becomes a letter, and is read as the source has it", async () => {
    const events: CacheEvent[] = [];
    cacheOf(0).on("parked", (event) => events.push(event));
    const [own, other] = [rows(0), rows(1)];
    await own.put("a", { n: 1 });
    await own.flush();
    await own.put("a", { n: 13 });
    expect(await other.get("a")).toEqual({ n: 13 });
    await own.flush();
    await world.settle();
    expect(await own.get("a")).toEqual({ n: 1 });
    expect(await other.get("a")).toEqual({ n: 1 });
    expect(events).toMatchObject([{ name: "test.rows", key: "a", kind: "put", reason: "unlucky" }]);
    expect(await own.deadLetters.list()).toMatchObject([{ id: "a", kind: "put", value: { n: 13 }, reason: "unlucky" }]);
    expect(cacheOf(0).stats().writeBehind).toMatchObject([{ name: "test.rows", dead: 1 }]);
  });

  it("is kept by the entity it is given to", async () => {
    const entity = cacheOf(0).entity<string, Row | undefined>({ name: "row" });
    const own = rows(0, { entity });
    await own.put("a", { n: 1 });
    expect(await entity.find("a")).toEqual({ n: 1 });
    await own.delete("a");
    expect(await entity.find("a")).toBeUndefined();
  });

  it("goes to a function, which is told which row it cannot write", async () => {
    const written: unknown[] = [];
    const own = rows(0, {
      apply: (changes) => {
        if (changes.some(({ id }) => id === "bad")) return Promise.reject(new Error("no"));
        written.push(...changes.map(({ id, value }) => [id, value]));
        return Promise.resolve();
      },
    });
    for (const id of ["a", "b", "bad", "c"]) await own.put(id, { n: 1 });
    await own.flush();
    expect(written).toEqual(["a", "b", "c"].map((id) => [id, { n: 1 }]));
    expect(await own.deadLetters.list()).toMatchObject([{ id: "bad", reason: "no" }]);
  });

  it("waits for a function that fails for every row", async () => {
    let isAway = true;
    const own = rows(0, { apply: () => (isAway ? Promise.reject(new Error("away")) : Promise.resolve()) });
    await own.put("a", { n: 1 });
    await own.put("b", { n: 1 });
    await expect(own.flush()).rejects.toThrow("away");
    expect(await own.stats()).toMatchObject({ depth: 2, dead: 0 });
    isAway = false;
    await own.flush();
    expect(await own.stats()).toMatchObject({ depth: 0, dead: 0 });
  });
});

describe("a journal that is full", () => {
  const few = { maxPending: 3, flushEvery: "1h", patience: "1s" } as const;

  it("is emptied by who finds it full, whose write is then applied", async () => {
    const own = rows(0, few);
    const writes = ["a", "b", "c", "d"].map((id) => own.put(id, { n: 1 }));
    await inTime(Promise.all(writes));
    expect([...source.rows.keys()].toSorted()).toEqual(["a", "b", "c", "d"]);
  });

  it("keeps the order of writes though some had to wait", async () => {
    const own = rows(0, few);
    await inTime(Promise.all(Array.from({ length: 20 }, (_, n) => own.put("a", { n }))));
    await own.flush();
    expect(source.row("a")?.value).toEqual({ n: 19 });
  });

  it("refuses where that is said, and the cache does not keep what was refused", async () => {
    const own = rows(0, { ...few, whenFull: "reject" });
    const writes = await Promise.allSettled(["a", "b", "c", "d"].map((id) => own.put(id, { n: 1 })));
    expect(writes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
    expect(writes[3]).toMatchObject({ reason: { code: "ERR_CACHE_OVERLOADED" } });
    expect(await own.get("d")).toBeUndefined();
  });

  it("is waited for, as long as patience lasts", async () => {
    const own = rows(0, { ...few, whenFull: "wait" });
    await Promise.all(["a", "b", "c"].map((id) => own.put(id, { n: 1 })));
    await expect(inTime(own.put("d", { n: 1 }))).rejects.toMatchObject({ code: "ERR_CACHE_OVERLOADED" });
    const patient = own.put("e", { n: 1 });
    await world.settle();
    await own.flush().catch(() => undefined);
    await inTime(patient);
    await own.flush();
    expect([...source.rows.keys()].toSorted()).toEqual(["a", "b", "c", "e"]);
  });

  it("refuses when the source stays away", async () => {
    const own = rows(0, { ...few, apply: () => Promise.reject(new Error("away")) });
    const writes = Promise.allSettled(["a", "b", "c", "d"].map((id) => own.put(id, { n: 1 })));
    expect((await inTime(writes)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
  });
});

describe("a journal that does not answer", () => {
  it("is asked again, and has the operation once though only its answers were lost", async () => {
    let lost = 2;
    meets = ({ method, when }) => {
      if (method === "append" && when === "after" && lost > 0) {
        lost -= 1;
        throw new Error("The connection was lost");
      }
    };
    const own = rows();
    await inTime(own.put("a", { n: 1 }));
    expect(journal.opIds("test.rows").pending).toHaveLength(1);
  });

  it("fails the write, which can be tried again under its name", async () => {
    let isAway = true;
    meets = ({ method, when }) => {
      if (isAway && method === "append" && when === "after") throw new Error("The connection was lost");
    };
    const own = rows();
    const put = (): Promise<unknown> => own.put("a", { n: 1 }, { opId: "mine" });
    await expect(inTime(put())).rejects.toMatchObject({ code: "ERR_CACHE_TIER" });
    isAway = false;
    expect(await put()).toEqual({ opId: "mine", version: undefined });
    expect(journal.opIds("test.rows").pending).toEqual(["mine"]);
  });

  it("is waited for no longer than `timeout`", async () => {
    meets = ({ method }) => (method === "append" ? new Promise(() => undefined) : undefined);
    await expect(inTime(rows(0, { timeout: "1s" }).put("a", { n: 1 }))).rejects.toMatchObject({
      code: "ERR_CACHE_TIER",
      cause: { code: "ERR_CACHE_TIMEOUT" },
    });
  });
});

describe("bad input to write-behind", () => {
  it.each([
    [{ name: "" }, "`name`"],
    [{ journal: {} }, "`journal`"],
    [{ sink: undefined }, "`sink`"],
    [{ apply: () => Promise.resolve() }, "`sink`"],
    [{ load: 1 }, "`load`"],
    [{ entity: {} }, "`entity`"],
    [{ flushEvery: 0 }, "`flushEvery`"],
    [{ maxBatch: 0 }, "`maxBatch`"],
    [{ maxBatch: 10_001 }, "`maxBatch`"],
    [{ maxPending: 1.5 }, "`maxPending`"],
    [{ whenFull: "drop" }, "`whenFull`"],
    [{ maxRowBytes: -1 }, "`maxRowBytes`"],
    [{ misspelt: true }, "misspelt"],
  ])("is refused by name: %o", (wrong, name) => {
    const given = {
      name: "rows",
      journal: journal.journal(),
      sink: source.sink(),
      load: () => Promise.resolve(undefined),
    };
    expect(() => cacheOf(0).writeBehind({ ...given, ...(wrong as object) })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_OPTION", message: expect.stringContaining(name) }),
    );
  });

  it("is refused: a value that cannot be stored, one that is too large, none at all", async () => {
    const own = rows(0, { maxRowBytes: 1_000 });
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    for (const wrong of [cyclic, { n: () => 1 }, { n: 1, name: "x".repeat(1_000) }, undefined]) {
      await expect(own.put("a", wrong as never)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    }
    await expect(own.patch("a", [] as never)).rejects.toMatchObject({ code: "ERR_CACHE_VALUE" });
    await expect(own.put("a", { n: 1 }, { base: -1 })).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    await expect(own.put("a", { n: 1 }, { opId: "with space" })).rejects.toMatchObject({ code: "ERR_CACHE_OPTION" });
    await expect(own.put(undefined as never, { n: 1 })).rejects.toMatchObject({ code: "ERR_CACHE_KEY" });
    expect(journal.opIds("test.rows").pending).toEqual([]);
  });

  it("is refused: a name twice in one cache, unless the first is closed", async () => {
    const first = rows();
    expect(() => rows()).toThrow(expect.objectContaining({ code: "ERR_CACHE_OPTION" }));
    await inTime(first.close());
    await expect(first.put("a", { n: 1 })).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    rows();
  });

  it("is set aside: an operation in the journal that nobody can read", async () => {
    const own = rows();
    await journal
      .journal()
      .open("test.rows")
      .append([{ opId: "x", key: "a", whole: true, by: 0, body: Uint8Array.of(1, 2, 3) }], 10);
    await own.put("b", { n: 1 });
    await own.flush();
    expect(source.row("b")?.value).toEqual({ n: 1 });
    expect(await own.deadLetters.list()).toMatchObject([{ opId: "x", kind: "unknown", reason: "it cannot be read" }]);
  });
});
