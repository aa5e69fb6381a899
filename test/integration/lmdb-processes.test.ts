import { closeSync, fstatSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { checkFile } from "../../src/lmdb/file-check.js";
import { lmdb } from "../../src/lmdb/index.js";
import { entry } from "../../src/testing/suite/session.js";
import { lmdbFolder, type LmdbFolder } from "../support/lmdb-folder.js";
import { lmdbProcess, type LmdbProcess } from "../support/lmdb-process.js";

let folder: LmdbFolder;
let processes: LmdbProcess[];

beforeEach(() => {
  folder = lmdbFolder();
  processes = [];
  return async () => {
    await Promise.all(processes.map((one) => one.kill()));
    folder.remove();
  };
});

function start(): LmdbProcess {
  const one = lmdbProcess();
  processes.push(one);
  return one;
}

async function startCaches(): Promise<readonly [LmdbProcess, LmdbProcess]> {
  const both = [start(), start()] as const;
  await Promise.all(both.map((one) => one.call("openCache", { path: folder.path })));
  return both;
}

describe("two processes with one host tier", () => {
  it("load a cold key once for 500 readers", async () => {
    const both = await startCaches();
    const read = { key: "cold", readers: 250, value: "v", slow: 150 };
    const answers = await Promise.all(both.map((one) => one.call("read", read)));
    expect(answers.map(({ values }) => values)).toEqual([["v"], ["v"]]);
    expect(answers.reduce((sum, { loads }) => sum + loads, 0)).toBe(1);
  });

  it("see each other's invalidations", async () => {
    const [one, other] = await startCaches();
    for (let round = 0; round < 5; round++) {
      const read = { key: "shared", readers: 1, value: `v${round}`, slow: 0 };
      expect(await one.call("read", read)).toEqual({ values: [`v${round}`], loads: 1 });
      expect(await other.call("read", read)).toEqual({ values: [`v${round}`], loads: 0 });
      await one.call("invalidate", { key: "shared" });
      expect(await one.call("peek", { key: "shared" })).toBeUndefined();
      // From its memory as well, as soon as it hears of it.
      await vi.waitFor(async () => expect(await other.call("peek", { key: "shared" })).toBeUndefined(), 5_000);
    }
  });

  it("go on when one is killed while it writes, and nothing in the file is out of order", async () => {
    const opening = { path: folder.path, maxBytes: "4mb" };
    const other = start();
    await other.call("openTier", opening);
    for (let round = 0; round < 3; round++) {
      const victim = start();
      await victim.call("openTier", opening);
      await Promise.all([victim.call("hammer", {}), other.call("hammer", {})]);
      await sleep(200 + round * 37);
      await victim.kill();
      expect(await other.call("takeLease", { key: `after ${round}`, ttl: 60_000 })).toBe("won");
      await expectWholeLog();
    }
    await other.kill();
    expect(check()).toBeUndefined();
  });

  it("wait no longer for a dead process's lease than the lease lasts", async () => {
    const [holder, other] = [start(), start()];
    for (const one of [holder, other]) await one.call("openTier", { path: folder.path });
    expect(await holder.call("takeLease", { key: "a", ttl: 400 })).toBe("won");
    await holder.kill();
    await vi.waitFor(async () => expect(await other.call("takeLease", { key: "a", ttl: 400 })).toBe("won"), 5_000);
  });
});

describe("a process that is stopped while it writes", () => {
  it("holds up the others' writes for a moment, and never their event loops", async () => {
    const [victim, other] = [start(), start()];
    const opening = { path: folder.path, maxBytes: "4mb" };
    await Promise.all([victim.call("openTier", opening), other.call("openTier", opening)]);
    await victim.call("hammer", {});
    const answers: string[] = [];
    // Sooner or later it is stopped in a transaction.
    for (let round = 0; round < 100 && !answers.includes("refused"); round++) {
      await sleep(5 + (round % 7));
      process.kill(victim.pid, "SIGSTOP");
      const answer = other.call("takeLease", { key: `k${round}`, ttl: 60_000 }).catch((error: unknown) => {
        expect(String(error)).toContain(`Process ${victim.pid} stands still while it writes`);
        return "refused";
      });
      answers.push(await answer);
      process.kill(victim.pid, "SIGCONT");
    }
    expect(new Set(answers)).toContain("refused");
    // It goes on as if nothing had been.
    await vi.waitFor(
      async () => expect(await other.call("takeLease", { key: "after", ttl: 60_000 })).toBe("won"),
      10_000,
    );
  });
});

describe("a process started again", () => {
  const read = { key: "kept", readers: 1, value: "kept", slow: 0 };

  it.each(["closed", "killed"] as const)("finds what was there when the last one was %s", async (how) => {
    const first = start();
    await first.call("openCache", { path: folder.path });
    expect(await first.call("read", read)).toEqual({ values: ["kept"], loads: 1 });
    if (how === "closed") await first.call("close", {});
    await first.kill();

    const second = start();
    await second.call("openCache", { path: folder.path });
    expect(await second.call("read", { ...read, value: "loaded again" })).toEqual({ values: ["kept"], loads: 0 });
  });

  it("still knows what was invalidated", async () => {
    const first = lmdb({ path: folder.path }).open("shared");
    const { head } = await first.store.invalidate([{ kind: "tag", tag: "t" }], false, "me");
    const { position } = await first.store.put([{ key: "a", value: entry(1), ttl: 60_000 }], "me");
    await first.close();
    const second = lmdb({ path: folder.path }).open("shared");
    onTestFinished(() => second.close());
    expect((await second.log.since(head.position, 10)).records).toMatchObject([{ position, previous: head.position }]);
    expect(await second.store.marks([{ kind: "tag", tag: "t" }])).toEqual([{ hard: head.position, soft: 0 }]);
    expect((await second.log.head()).floor).toBe(head.floor);
  });
});

describe("two factories of one path in one process", () => {
  it("share the file, and keep the locks that tell other processes of it", async () => {
    const [one, two] = [0, 1].map(() => lmdb({ path: folder.path }).open("shared"));
    onTestFinished(async () => void (await Promise.all([one?.close(), two?.close()])));
    await one?.store.put([{ key: "a", value: entry(7), ttl: 60_000 }], "me");
    const stored = await two?.store.read(["a"]);
    expect(stored?.values[0]).toHaveLength(12);
    await two?.close();
    // It looks for readers whose process is gone: this one's must not be taken for one.
    const other = start();
    await other.call("openTier", { path: folder.path });
    expect(await other.call("takeLease", { key: "b", ttl: 60_000 })).toBe("won");
    expect(await one?.leases.acquire("b", { token: "mine", ttl: 60_000 })).toMatchObject({ state: "held" });
  });
});

function check(): string | undefined {
  const file = openSync(folder.data, "r");
  try {
    return checkFile(file, fstatSync(file).size, () => undefined);
  } finally {
    closeSync(file);
  }
}

async function expectWholeLog(): Promise<void> {
  const tier = lmdb({ path: folder.path, maxBytes: "4mb" }).open("shared");
  // Others go on writing, so the oldest may be gone when it is asked for.
  const { oldest = 0, head } = await tier.log.since(1, 1);
  const { records = [] } = await tier.log.since(oldest, 100_000);
  let previous = records[0]?.previous ?? head.position;
  for (const record of records) {
    expect(record.previous).toBe(previous);
    previous = record.position;
  }
  expect(previous).toBeGreaterThanOrEqual(head.position);
  await tier.close();
}
