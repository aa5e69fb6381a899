import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createClient, type RedisClientType } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAdmin, type Admin } from "../../src/admin/index.js";
import type { Overview } from "../../src/admin/merge.js";
import type { Finding } from "../../src/admin/doctor/finding.js";
import { createCache, memory, type Cache, type ScopedEntity } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import type { CliResult } from "../cli/run-cli.js";
import { runHere } from "../cli/run-here.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";

/* What is printed is compared with the files in test/cli/golden/; a change that is meant is taken over with `vitest -u`. */

interface Contact {
  readonly id: number;
  readonly name: string;
  readonly passwordHash: string;
}

const ADMIN = "admin-token-0123456789";
const VIEWER = "viewer-token-0123456789";
const QUICK = ["--wait", "400ms"];

let server: RedisServer;
let client: RedisClientType;
let caches: readonly Cache[];
let contacts: readonly ScopedEntity<number, Contact>[];
let admins: readonly Admin[];
let address: string;
let folder: string;
let calling: NodeJS.Timeout;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tiercache-cli-"));
  server = await startRedis();
  client = createClient({ url: server.url });
  // A server that is stopped at the end takes the connection with it.
  client.on("error", () => undefined);
  await client.connect();
  caches = [0, 1].map(() =>
    createCache({ name: "crm", tiers: [memory(), redis(client)], ttl: "10m", jitter: 0, shared: { timeout: "5s" } }),
  );
  contacts = caches.map((cache) =>
    cache.entity<number, Contact>({
      name: "contact",
      scope: "tenant",
      version: 2,
      load: (id) => ({ id, name: `Ann ${id}`, passwordHash: "hash-of-a-password" }),
      tags: ({ id }) => [`team:${id % 2}`],
    }),
  );
  await fill();
  admins = caches.map((cache, at) =>
    createAdmin(cache, { environment: "test", name: `api-${at}`, tokens: { admin: ADMIN, viewer: VIEWER } }),
  );
  address = (await (admins[0] as Admin).listen()).url;
  // As if a page were open: every process reports from now on, and no test waits for that.
  const { pinboard } = (caches[0] as Cache).inspect();
  const call = (): Promise<unknown> => pinboard.pin("admin-watch", "test", { ttl: 12_000, over: true });
  await call();
  calling = setInterval(() => void call().catch(() => clearInterval(calling)), 1_000);
  const until = Date.now() + 20_000;
  while ((await overview()).processes.length < 2)
    if (Date.now() > until) throw new Error("The processes of the cache do not report");
});

afterAll(async () => {
  clearInterval(calling);
  for (const admin of admins ?? []) await admin.close();
  for (const cache of caches ?? []) await cache.close();
  client?.destroy();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Ten contacts and a raw key, loaded by one process and read by the other. */
async function fill(): Promise<void> {
  for (const entity of contacts) for (let id = 1; id <= 10; id += 1) await entity.in("acme").get(id);
  for (const cache of caches) await cache.getOrLoad("rates", () => ({ usd: 1.5 }), { tags: ["money"] });
}

/** On the cache's Redis. */
function run(...argv: readonly string[]): Promise<CliResult> {
  return runHere(argv, { REDIS_URL: server.url, TIERCACHE_NAME: "crm" });
}

/** Over HTTP, as somebody. */
function ask(token: string, ...argv: readonly string[]): Promise<CliResult> {
  return runHere([...argv, "--admin", address], { TIERCACHE_TOKEN: token });
}

async function overview(): Promise<Overview> {
  const { code, stdout } = await run("stats", "--json", ...QUICK);
  return code === 0 ? (JSON.parse(stdout) as Overview) : ({ processes: [] } as never);
}

/** Without what is another in every run. */
function steady(text: string): string {
  return text
    .replaceAll(/-?\d[\d.,]* (?:ns|ms|s|min|h|d)\b/g, "# time")
    .replaceAll(/\d[\d.,]* (?:B|KB|MB)\b/g, "# bytes")
    .replaceAll(/\b\d{16}\b/g, "# position")
    .replaceAll(/(?<=\S) {2,}/g, "  ");
}

const golden = (name: string): string => `../cli/golden/${name}.golden`;

describe("tiercache stats", () => {
  it("adds up what the processes of a cache report", async () => {
    const { code, stdout, stderr } = await run("stats", ...QUICK);
    expect([code, stderr]).toEqual([0, ""]);
    await expect(steady(stdout)).toMatchFileSnapshot(golden("stats"));
  });

  it("prints JSON of all processes, or of one, and says when there is none of that name", async () => {
    const all = await overview();
    expect(all).toMatchObject({ schemaVersion: 1, cache: "crm", total: { gets: 22, misses: 11, loads: 11 } });
    const one = await run("stats", "--ndjson", "--process", "api-1", ...QUICK);
    expect(one.stdout.split("\n")).toHaveLength(2);
    expect(JSON.parse(one.stdout)).toMatchObject({ processes: [{ name: "api-1" }], total: { gets: 11 } });
    expect((await run("stats", "--process", "api-7", ...QUICK)).code).toBe(3);
  });

  it("asks a process itself over HTTP", async () => {
    const { code, stdout } = await ask(VIEWER, "stats", "--json", ...QUICK);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Overview).processes.map(({ name }) => name)).toContain("api-0");
  });
});

describe("tiercache get, inspect and explain", () => {
  it.each([
    ["get", "acme:contact:3:v2"],
    ["inspect", "acme:contact:3:v2"],
    ["explain", "acme:contact:3:v2"],
    ["explain", "never:stored"],
  ])("%s %s", async (command, key) => {
    const { code, stdout } = await run(command, key);
    expect(code).toBe(0);
    expect(stdout).not.toContain("hash-of-a-password");
    await expect(steady(stdout)).toMatchFileSnapshot(golden(`${command}-${key.replaceAll(":", "-")}`));
  });

  it("print JSON", async () => {
    const get = await run("get", "rates", "--json");
    expect(JSON.parse(get.stdout)).toMatchObject({
      schemaVersion: 1,
      key: "rates",
      value: "{ usd: 1.5 }",
      redacted: false,
    });
    const inspect = await run("inspect", "acme:contact:3:v2", "--json");
    expect(JSON.parse(inspect.stdout)).toMatchObject({ schemaVersion: 1, entity: "contact", version: 2 });
    const explain = await ask(VIEWER, "explain", "rates", "--json");
    expect(JSON.parse(explain.stdout)).toMatchObject({
      schemaVersion: 1,
      tiers: [
        { tier: "memory", state: "fresh" },
        { tier: "shared", state: "fresh" },
      ],
    });
  });

  it("say what is stored nearby when nothing is under a key", async () => {
    expect(await run("get", "acme:contact:3")).toEqual({
      code: 3,
      stdout: "",
      stderr: "error: Nothing is stored under acme:contact:3; there is acme:contact:3:v2\n",
    });
  });

  it("show no value to who may not see it", async () => {
    const { code, stdout } = await ask(VIEWER, "get", "rates");
    expect([code, stdout]).toEqual([4, ""]);
  });

  it("read what a module's own cache holds, and close it", async () => {
    const module = fileURLToPath(new URL("../fixtures/cli/caches.ts", import.meta.url));
    const { code, stdout } = await runHere(["get", "rates", "--module", module]);
    expect([code, stdout]).toEqual([0, "{ usd: 1.5 }\n"]);
    expect(Reflect.get(globalThis, "closedByCommand")).toBe(true);
  });
});

describe("tiercache purge", () => {
  it("only shows what it would hit when it is told to", async () => {
    const { code, stdout, stderr } = await run("purge", "--tag", "team:1", "--scope", "acme", "--dry-run");
    expect([code, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    const text = [...lines.slice(0, 2), ...lines.slice(2).sort()].join("\n");
    expect(text).toBe(
      [
        "soft purge of crm: tag acme:team:1",
        "  shared tier: 5 entries",
        ...[1, 3, 5, 7, 9].map((id) => `    acme:contact:${id}:v2`),
      ].join("\n"),
    );
  });

  it("does nothing unless it is told --yes where nobody can be asked", async () => {
    const { code, stderr } = await run("purge", "--key", "rates", "--hard");
    expect(code).toBe(2);
    expect(stderr).toContain("--yes");
    expect(await (caches[0] as Cache).has("rates")).toBe(true);
  });

  it("softly by default: every process hears of it, and what it hit is stale", async () => {
    const { code, stdout, stderr } = await run("purge", "--tag", "money", "--yes", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      preview: { target: { kind: "tag", text: "money" }, soft: true, shared: { entries: 1 } },
      purged: { position: expect.any(Number) },
    });
    expect(stderr).toContain('"event":"purge-started"');
    await expect.poll(() => caches.map((cache) => cache.peek("rates"))).toEqual([undefined, undefined]);
    expect((await run("explain", "rates")).stdout).toContain("shared: stale");
  });

  it("removes with --hard, by any of the forms, and tells what it did", async () => {
    await fill();
    for (const target of [
      ["--key", "acme:contact:1:v2"],
      ["--prefix", "acme:contact:2"],
      ["--pattern", "acme:contact:3*"],
      ["--entity", "contact", "--scope", "acme"],
    ]) {
      const { code, stdout } = await run("purge", ...target, "--hard", "--yes");
      expect([target, code]).toEqual([target, 0]);
      expect(stdout).toMatch(/^hard purge of crm: [\s\S]*shared tier: [1-9]\d* entr[\s\S]*\npurged; /);
    }
    await expect.poll(() => contacts.map((entity) => entity.in("acme").peek(5))).toEqual([undefined, undefined]);
    expect((await ask(ADMIN, "purge", "--all", "--hard", "--yes")).code).toBe(0);
    expect((await run("get", "rates")).code).toBe(3);
    await fill();
  });

  it("is refused to who may only look", async () => {
    const { code, stderr } = await ask(VIEWER, "purge", "--key", "rates", "--yes");
    expect(code).toBe(4);
    expect(stderr).toContain("viewer");
  });

  it.each([
    ["purge", "--yes"],
    ["purge", "--key", "a", "--tag", "b", "--yes"],
    ["purge", "--key", "a", "--all", "--yes"],
    ["purge", "--key", "a", "--scope", "acme", "--yes"],
    ["purge", "--key", "a", "--soft", "--hard", "--yes"],
  ])("wants to be told one thing: %s %s %s", async (...argv) => {
    expect((await run(...argv)).code).toBe(2);
  });
});

describe("tiercache events", () => {
  it("tells an invalidation once, whoever hears of it", async () => {
    const following = run("events", "--count", "12", "--type", "invalidated", "--for", "20s");
    const ended = new AbortController();
    void following.finally(() => ended.abort());
    while (!ended.signal.aborted) {
      await (caches[1] as Cache).invalidate({ tag: "nobody" });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    const { code, stdout } = await following;
    expect(code).toBe(0);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { invalidation: { position: number } });
    expect(lines[0]).toMatchObject({
      schemaVersion: 1,
      cache: "crm",
      type: "invalidated",
      invalidation: { targets: ["tag global:nobody"], soft: false },
    });
    expect(new Set(lines.map(({ invalidation }) => invalidation.position)).size).toBe(12);
  });

  it("ends when its time is over", async () => {
    expect(await ask(VIEWER, "events", "--for", "300ms", "--type", "none")).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
  });
});

describe("tiercache top", () => {
  it("prints rates of all processes once, where nobody watches", async () => {
    const reading = setInterval(() => {
      for (const entity of contacts)
        entity
          .in("acme")
          .get(4)
          .catch(() => undefined);
    }, 10);
    const { code, stdout } = await run("top", "--json", "--interval", "2500ms", ...QUICK).finally(() =>
      clearInterval(reading),
    );
    expect(code).toBe(0);
    const top = JSON.parse(stdout) as { total: { reads: number }; entities: Record<string, { hitRatio: number }> };
    expect(top).toMatchObject({ schemaVersion: 1, cache: "crm", sharedUp: true });
    expect(top.total.reads).toBeGreaterThan(1);
    expect(top.entities["contact"]?.hitRatio).toBeGreaterThan(0.5);
  });

  it.skipIf(process.platform !== "linux")("draws on a terminal until q, and leaves it as it was", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const command = `${process.execPath} --import tsx src/cli/main.ts top --name crm --wait 400ms --interval 200ms`;
    // It gives the program a terminal (util-linux).
    const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
      cwd: root,
      env: { ...process.env, REDIS_URL: server.url, TERM: "xterm", NO_COLOR: "1" },
    });
    let screen = "";
    let pressed = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      screen += text;
      if (pressed || !screen.includes("reads/s")) return;
      pressed = true;
      child.stdin.write("q");
    });
    const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
    expect(screen).toContain("\u001B[?1049h");
    expect(screen).toMatch(/crm: \d process/);
    expect(screen.trimEnd().endsWith("\u001B[?1049l")).toBe(true);
    expect(code).toBe(0);
  });
});

describe("tiercache doctor", () => {
  const levels = (stdout: string): Readonly<Record<string, string>> => {
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    return Object.fromEntries(findings.map(({ area, check, level }) => [`${area} ${check}`, level]));
  };

  it("finds what is wrong with a server, its entries and the code, and says what mends it", async () => {
    await client.set("crm:written:by:hand", "x");
    await (caches[0] as Cache).set("report", "x".repeat(1_100_000), { tags: ["r"] });
    const module = fileURLToPath(new URL("../fixtures/cli/caches.ts", import.meta.url));
    const { code, stdout } = await run("doctor", "--json", "--module", module, ...QUICK);
    await client.del("crm:written:by:hand");
    await (caches[0] as Cache).delete("report");
    expect(code).toBe(6);
    expect(levels(stdout)).toMatchObject({
      "redis maxmemory": "fail",
      "redis policy": "warn",
      "redis acl": "warn",
      "redis clock": "ok",
      "entries ttl": "fail",
      "entries large values": "warn",
      "entries sensitive fields": "fail",
      "entries stale on error": "warn",
      "processes shared tier": "ok",
      "processes stampede": "ok",
      "fallback redis hangs": "ok",
      "fallback redis gone": "ok",
      "postgres reach": "skipped",
      "code shared tier": "warn",
      "code invalidation of contact": "ok",
      "code invalidation of person": "warn",
      "code version of contact": "warn",
      "code sensitive fields of person": "ok",
      "code schema of person": "warn",
      "code fallback of person": "warn",
    });
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    expect(findings.find(({ check }) => check === "ttl")?.message).toContain("crm:written:by:hand");
    expect(findings.find(({ check }) => check === "sensitive fields")).toMatchObject({
      message: expect.stringContaining("contact: passwordHash"),
      fix: expect.stringContaining('exclude: ["passwordHash"]'),
    });
  });

  it("finds nothing wrong once that is mended, and its line makes a user that may do no more than a cache needs", async () => {
    await client.configSet({ maxmemory: "100mb", "maxmemory-policy": "volatile-lru" });
    const { code, stdout } = await run("doctor", "--json", ...QUICK);
    expect(levels(stdout)).toMatchObject({
      "redis maxmemory": "ok",
      "redis policy": "ok",
      "redis acl": "warn",
      "entries ttl": "ok",
      "entries large values": "ok",
    });
    expect(code).toBe(6);
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    await client.sendCommand((findings.find(({ check }) => check === "acl")?.fix ?? "").split(" "));
    const own = createClient({ url: server.url.replace("redis://", "redis://tiercache:PASSWORD@") });
    own.on("error", () => undefined);
    await own.connect();
    const cache = createCache({ name: "crm", tiers: [memory(), redis(own)], shared: { timeout: "5s" } });
    expect(await cache.getOrLoad("acl", () => "x".repeat(600_000), { tags: ["a"] })).toHaveLength(600_000);
    await cache.invalidate({ tag: "a" });
    expect(await cache.has("acl")).toBe(false);
    expect(cache.stats().shared).toMatchObject({ up: true, failures: 0 });
    for (const bad of [["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["SET", "other:x", "1"]])
      await expect(own.sendCommand(bad)).rejects.toThrow("NOPERM");
    await cache.close();
    own.destroy();

    // What the caches may do is enough for a look at an entry, and not for one at all keys.
    const REDIS_URL = server.url.replace("redis://", "redis://tiercache:PASSWORD@");
    expect((await runHere(["get", "rates", "--name", "crm"], { REDIS_URL })).code).toBe(0);
    expect(await runHere(["doctor", "--name", "crm"], { REDIS_URL, DATABASE_URL: "" })).toMatchObject({
      code: 4,
      stdout: "",
      stderr: expect.stringMatching(/^error: NOPERM /),
    });
  });
});

describe("tiercache bench", () => {
  it("measures a hit in Redis too, and leaves nothing there", async () => {
    const { code, stdout } = await run("bench", "--for", "20ms", "--json");
    expect(code).toBe(0);
    const { results } = JSON.parse(stdout) as { results: readonly { name: string; perSecond: number }[] };
    expect(results).toHaveLength(6);
    expect(results.every(({ perSecond }) => perSecond > 0)).toBe(true);
    const keys = await client.scan("0", { MATCH: "*tiercache-bench*", COUNT: 10_000 });
    expect(keys.keys).toEqual([]);
  });
});

describe("the command line ends with", () => {
  it("2 when it is not said where the cache is, or a token is on the command line", async () => {
    expect((await runHere(["stats"], { REDIS_URL: "" })).code).toBe(2);
    expect((await runHere(["stats"], { REDIS_URL: server.url, TIERCACHE_NAME: "" })).stderr).toContain("--name");
    const inUrl = await runHere(["stats", "--admin", `${address}#token=${ADMIN}`]);
    expect(inUrl.code).toBe(2);
    expect(inUrl.stderr).not.toContain(ADMIN);
  });

  it("3 for a cache that is not there, and leaves no trace of it", async () => {
    const { code, stderr } = await run("stats", "--name", "crn");
    expect(code).toBe(3);
    expect(stderr).toContain('no cache named "crn"');
    expect(await client.exists(["crn#head", "crn#log"])).toBe(0);
    expect((await ask(ADMIN, "stats", "--name", "crn")).code).toBe(3);
  });

  it("4 for a token or a password that is not known", async () => {
    expect((await ask("wrong-token-0123456789", "stats")).code).toBe(4);
    const url = server.url.replace("redis://", "redis://nobody:wrong@");
    const { code, stderr } = await runHere(["stats", "--name", "crm"], { REDIS_URL: url });
    expect(code).toBe(4);
    expect(stderr).not.toContain("nobody:wrong");
  });

  it("5 where nothing answers", async () => {
    expect((await runHere(["stats", "--name", "crm"], { REDIS_URL: "redis://127.0.0.1:1" })).code).toBe(5);
    expect((await runHere(["stats", "--admin", "http://127.0.0.1:1"])).code).toBe(5);
    expect((await runHere(["doctor"], { REDIS_URL: "redis://127.0.0.1:1" })).code).toBe(5);
  });

  it("5 where a server takes commands and answers none any more", async () => {
    const hung = createServer((socket) => {
      let isHung = false;
      socket
        .on("error", () => socket.destroy())
        .on("data", (words) => {
          const text = words.toString();
          isHung ||= text.includes("STRLEN");
          // To every command of the client's greeting.
          if (!isHung) socket.write("+OK\r\n".repeat(text.match(/^\*/gm)?.length ?? 0));
        });
    });
    await new Promise<void>((resolve) => hung.listen(0, "127.0.0.1", resolve));
    const REDIS_URL = `redis://127.0.0.1:${(hung.address() as AddressInfo).port}`;
    const { code, stderr } = await runHere(["stats", "--name", "crm"], { REDIS_URL });
    hung.close();
    expect([code, stderr]).toEqual([5, expect.stringContaining("does not answer")]);
  });

  it("1 when a module of the user's fails", async () => {
    const file = join(folder, "broken.js");
    await writeFile(file, "throw new Error('the module is broken');");
    const { code, stderr } = await runHere(["get", "rates", "--module", file]);
    expect([code, stderr]).toEqual([1, "error: the module is broken\n"]);
  });

  it("0 with a token from a file", async () => {
    const file = join(folder, "token");
    await writeFile(file, `${VIEWER}\n`);
    expect((await runHere(["explain", "rates", "--admin", address], { TIERCACHE_TOKEN_FILE: file })).code).toBe(0);
  });

  it("130 on Ctrl-C", async () => {
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "src/cli/main.ts", "stats", "--watch", "--ndjson", ...QUICK],
      {
        cwd: root,
        env: { ...process.env, REDIS_URL: server.url, TIERCACHE_NAME: "crm" },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    child.stdout.once("data", () => child.kill("SIGINT"));
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(130);
  });
});
