import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { findRedisServer } from "../../scripts/servers/redis.js";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { openDatabase } from "../tracker/database.js";
import type { Summary } from "./summary.js";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

let folder: string;
beforeAll(async () => {
  // The demo's temporary files go here, so that what it leaves behind can be seen.
  folder = await mkdtemp(join(tmpdir(), "demo-test-"));
  // Where the tests run as root, PostgreSQL runs as somebody else.
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) {
    child.kill("SIGKILL");
  }
});

interface Run {
  readonly child: ChildProcess;
  /** What it has written to stderr so far. */
  errors(): string;
  readonly ended: Promise<{ code: number | null; output: string; errors: string }>;
}

function demo(args: string, env: NodeJS.ProcessEnv = {}): Run {
  const child = spawn(process.execPath, ["--import", "tsx", MAIN, ...args.split(" ")], {
    env: { ...process.env, DATABASE_URL: "", REDIS_URL: "", ...env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<Awaited<Run["ended"]>>((resolve) => {
    child.once("close", (code) => {
      children.delete(child);
      resolve({ code, output, errors });
    });
  });
  return { child, errors: () => errors, ended };
}

/** Resolves when the load has lasted a second. */
async function untilLoaded(run: Run): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    run.child.stderr?.on("data", () => run.errors().includes("without the cache 1 s") && resolve());
    void run.ended.then(({ errors }) => reject(new Error(`The demo ended before its load: ${errors}`)));
  });
}

/** The process ids the demo has named: its servers. */
function serversOf(errors: string): number[] {
  return [...errors.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function expectNothingLeft(errors: string): Promise<void> {
  expect(serversOf(errors).filter(isRunning)).toEqual([]);
  expect((await readdir(folder)).filter((name) => name.startsWith("tiercache-"))).toEqual([]);
}

const isLong = process.env["TIERCACHE_LONG"] === "true";

describe("the demo", () => {
  it("measures both phases, finds nothing stale that it cannot explain, and leaves nothing behind", async () => {
    const { code, output, errors } = await demo(
      "--for 5s --json --issues 2000 --writes 5% --out-of-band 5% --connections 16",
    ).ended;
    expect(errors).not.toContain("FAILED");
    expect(code).toBe(0);
    const { schemaVersion, settings, without, with: cached } = JSON.parse(output) as Summary;
    expect(schemaVersion).toBe(1);
    expect(settings).toMatchObject({ issues: 2_000, connections: 16, keys: "zipf", writes: 0.05, outOfBand: 0.05 });
    for (const phase of [without, cached]) {
      expect(phase?.requests).toBeGreaterThan(100);
      expect(phase?.requestsPerSecond).toBeGreaterThan(50);
      expect(phase?.latencyMs.p50).toBeGreaterThan(0);
      expect(phase?.latencyMs.max).toBeGreaterThanOrEqual(phase?.latencyMs.p99 ?? Infinity);
      expect(phase?.workerCpuSeconds).toBeGreaterThan(0);
      expect(phase?.sourceQueries).toBeGreaterThan(0);
      expect(phase?.writes.api).toBeGreaterThan(0);
      expect(phase?.writes.outOfBand).toBeGreaterThan(0);
      expect(phase?.stale.checked).toBeGreaterThan(20);
      expect(phase?.wrongAfterQuiet.checked).toBeGreaterThan(10);
      expect(phase).toMatchObject({ errors: 0, stale: { unexplained: 0 }, wrongAfterQuiet: { api: 0, outOfBand: 0 } });
    }
    expect(without).toMatchObject({ hitRatio: null, stale: { stale: 0 }, wrongAfterQuiet: { outOfBand: 0 } });
    expect(without.sourceQueriesPerRequest).toBeGreaterThan(0.9);
    expect(cached?.hitRatio?.memory).toBeGreaterThan(0.1);
    expect(cached?.sourceQueriesPerRequest).toBeLessThan(0.85);
    // A row changed by SQL is seen within the bound, and one slot serves both workers.
    expect(cached?.stale.largestByWriterMs["out-of-band"]).toBeLessThanOrEqual(cached?.feed?.maxStalenessMs ?? 0);
    expect(cached?.feed?.workers.toSorted()).toEqual(["leader", "standby"]);
    expect(without.feed).toBeNull();
    await expectNothingLeft(errors);
  }, 60_000);

  it.runIf(isLong)(
    "serves the cache's page while it is used, with --dashboard, and ends with it",
    async () => {
      const run = demo("--for 6s --json --issues 500 --connections 8 --dashboard");
      const url = await new Promise<string>((resolve, reject) => {
        const look = (): void => {
          const [, address] = /Dashboard: (\S+)/.exec(run.errors()) ?? [];
          if (address !== undefined) resolve(address);
        };
        run.child.stderr?.on("data", look);
        void run.ended.then(({ errors }) => reject(new Error(`The demo ended without a dashboard: ${errors}`)));
      });
      const [base = "", token = ""] = url.split("#token=");
      expect(await (await fetch(base)).text()).toContain('<div id="app">');
      const overview = async (): Promise<{ total: { gets: number }; feed: unknown }> => {
        const answer = await fetch(`${base}api/overview`, { headers: { authorization: `Bearer ${token}` } });
        return (await answer.json()) as never;
      };
      await expect.poll(async () => (await overview()).total.gets, { timeout: 8_000 }).toBeGreaterThan(0);
      expect((await overview()).feed).toBeDefined();
      const { code, errors } = await run.ended;
      expect([code, errors]).toEqual([0, expect.not.stringContaining("FAILED") as string]);
      await expectNothingLeft(errors);
    },
    60_000,
  );

  it("uses the servers it is given, shares a host tier without a Redis, and drops its schema", async () => {
    const server = await startPostgres();
    try {
      const env = { DATABASE_URL: server.url, PATH: "", TIERCACHE_REDIS_SERVER: "" };
      const { code, output, errors } = await demo("--for 4s --json --issues 500 --writes 5%", env).ended;
      expect(errors).not.toContain("FAILED");
      expect(errors).toContain("two workers share a host tier (LMDB)");
      expect(code).toBe(0);
      const summary = JSON.parse(output) as Summary;
      expect(summary.settings).toMatchObject({ workers: 2, sharedTier: "host" });
      expect(summary.with).toMatchObject({
        errors: 0,
        stale: { unexplained: 0 },
        wrongAfterQuiet: { api: 0, outOfBand: 0 },
      });
      expect(summary.with?.hitRatio?.shared).toBeGreaterThan(0);
      const database = openDatabase(server.url);
      expect(
        await database.query(
          "select schema_name from information_schema.schemata where schema_name like 'tiercache%'",
          [],
        ),
      ).toEqual([]);
      // A slot left behind would have that server keep its log for ever.
      expect(await database.query("select slot_name from pg_replication_slots", [])).toEqual([]);
      expect(await database.query("select pubname from pg_publication", [])).toEqual([]);
      await database.close();
      await expectNothingLeft("");
    } finally {
      await server.stop();
    }
  }, 60_000);

  it.runIf(isLong)(
    "reads the keys of a gzipped trace, again from its beginning when it ends",
    async () => {
      const path = join(folder, "trace.gz");
      await writeFile(path, gzipSync("1\n2\n3\nsome-other-key\n"));
      const { code, output, errors } = await demo(`--for 2s --no-cache --json --issues 500 --trace ${path}`).ended;
      expect(errors).not.toContain("FAILED");
      expect(code).toBe(0);
      const { settings, with: cached } = JSON.parse(output) as Summary;
      expect(cached).toBeNull();
      expect(settings.keys).toBe("trace");
      expect(settings.tracePasses).toBeGreaterThan(1);
      await expectNothingLeft(errors);
    },
    60_000,
  );

  it.runIf(isLong)(
    "fails on a bad line that it meets on the way, naming it",
    async () => {
      const path = join(folder, "bad");
      await writeFile(path, `${`${"7".repeat(99)}\n`.repeat(2_000)}not one key\n`);
      const { code, output, errors } = await demo(`--for 60s --no-cache --issues 500 --connections 64 --trace ${path}`)
        .ended;
      expect(errors).toContain(`FAILED ${path}, line 2001: expected one key`);
      expect([code, output]).toEqual([1, ""]);
      await expectNothingLeft(errors);
    },
    60_000,
  );

  it.each([
    ["--for soon", "Expected --for to be from 2s to 1h"],
    ["--sede 1", "Unknown option '--sede'"],
    ["--trace /nowhere/at/all", "Cannot read the trace /nowhere/at/all"],
  ])("refuses %s with exit code 2, before it starts anything", async (args, message) => {
    const { code, output, errors } = await demo(args).ended;
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toContain(message);
    expect(serversOf(errors)).toEqual([]);
  });

  it.each(isLong ? (["SIGINT", "SIGTERM"] as const) : (["SIGINT"] as const))(
    "stops everything in order on %s",
    async (signal) => {
      const run = demo("--for 60s --no-cache --issues 500");
      await untilLoaded(run);
      run.child.kill(signal);
      const { code, errors } = await run.ended;
      expect(errors).toContain(`Stopped by ${signal}`);
      expect(code).toBe(signal === "SIGINT" ? 130 : 143);
      expect(serversOf(errors)).toHaveLength(1);
      await expectNothingLeft(errors);
    },
    60_000,
  );

  it("fails with the reason, and cleans up, when a server of its own dies", async () => {
    const run = demo("--for 60s --no-cache --issues 500");
    await untilLoaded(run);
    const [postgres] = serversOf(run.errors());
    process.kill(postgres ?? 0, "SIGKILL");
    const { code, errors } = await run.ended;
    expect(errors).toContain("FAILED PostgreSQL ended unexpectedly (signal SIGKILL)");
    expect(code).toBe(1);
    await expectNothingLeft(errors);
  }, 60_000);

  it.runIf(isLong)(
    "fails with the reason, and cleans up, when a worker dies",
    async () => {
      const run = demo("--for 60s --no-cache --issues 500");
      await untilLoaded(run);
      const processes = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
      const worker = processes
        .map((line) => line.trim().split(/\s+/))
        .find(([, parent, ...args]) => Number(parent) === run.child.pid && args.join(" ").includes("demo/worker.ts"));
      process.kill(Number(worker?.[0]), "SIGKILL");
      const { code, errors } = await run.ended;
      expect(errors).toContain("FAILED A worker ended unexpectedly (signal SIGKILL)");
      expect(code).toBe(1);
      await expectNothingLeft(errors);
    },
    60_000,
  );

  it("leaves no server and no file even when it is killed itself", async () => {
    const run = demo("--for 60s --issues 500 --no-cache");
    await untilLoaded(run);
    run.child.kill("SIGKILL");
    const { errors } = await run.ended;
    await vi.waitFor(() => expectNothingLeft(errors), 10_000);
  }, 60_000);
});

it.runIf(findRedisServer() !== undefined)(
  "removes its keys from a Redis that others use",
  async () => {
    const { startRedis } = await import("../../scripts/servers/redis.js");
    const { createClient } = await import("redis");
    const server = await startRedis(findRedisServer() ?? "");
    const client = createClient({ url: server.url });
    await client.connect();
    try {
      await client.set("somebody's", "value");
      const { code, output, errors } = await demo("--for 2s --json --issues 500", { REDIS_URL: server.url }).ended;
      expect(errors).not.toContain("FAILED");
      expect(code).toBe(0);
      expect((JSON.parse(output) as Summary).settings).toMatchObject({ workers: 2, sharedTier: "redis" });
      expect(await client.keys("*")).toEqual(["somebody's"]);
    } finally {
      client.destroy();
      await server.stop();
    }
  },
  60_000,
);
