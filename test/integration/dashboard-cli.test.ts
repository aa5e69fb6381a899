import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAdmin } from "../../src/admin/index.js";
import { createCache, memory, type Cache } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import type { CliResult } from "../cli/run-cli.js";
import { runHere } from "../cli/run-here.js";
import { startRedis, type RedisServer } from "../support/redis-server.js";
import { nodeRedis, type Connected } from "./redis-clients.js";

const PROGRAM = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const TOKEN = "command-line-token-01";

let server: RedisServer;
let connection: Connected;
let cache: Cache;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  server = await startRedis();
  connection = await nodeRedis()(server.url);
  cache = createCache({ name: "crm", tiers: [memory(), redis(connection.client)], shared: { timeout: "2s" } });
  const user = cache.entity<number, number>({ name: "user", load: async (id) => id });
  for (let i = 0; i < 9; i += 1) await user.get(i % 3);
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(async () => {
  await cache.close();
  connection.close();
  await server.stop();
});

/** Runs the command in this process, to its end. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  return runHere(["dashboard", ...args], { REDIS_URL: "", TIERCACHE_TOKEN: "", ...env });
}

/** Runs it as a process of its own. Resolves with what it has said first. */
function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; said: Promise<string>; ended: Promise<number | null> } {
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, "dashboard", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const said = new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (text: Buffer) => resolve(text.toString()));
    void ended.then((code) => reject(new Error(`It ended with ${code}`)));
  });
  return { child, said, ended };
}

describe("tiercache dashboard", () => {
  it("prints what a process says of itself, as text and as JSON", async () => {
    const admin = createAdmin(cache, { environment: "test", tokens: { viewer: TOKEN } });
    const server = await admin.listen();
    const { url } = server;
    const env = { TIERCACHE_TOKEN: TOKEN };
    const text = await run([url], env);
    const json = await run([url, "--json"], env);
    const wrong = await run([url], { TIERCACHE_TOKEN: "another-token-012345" });
    const missing = await run([url, "--name", "other"], env);
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(
      /^crm: 1 process, memory 3 entries, .*, redis up\n\nentity +reads +hit ratio .*\nuser +9 +66\.67% +0 +3 +3 /,
    );
    expect(JSON.parse(json.stdout)).toMatchObject({ schemaVersion: 1, cache: "crm", total: { gets: 9, loads: 3 } });
    expect([wrong.code, wrong.stdout]).toEqual([4, ""]);
    expect(missing.code).toBe(3);
    await server.close();
    expect((await run([url], env)).code).toBe(5);
    await admin.close();
  });

  it("serves the page from a Redis, with the processes that report there, until it is stopped", async () => {
    const admin = createAdmin(cache, { environment: "test", name: "api-1" });
    const page = start(["--name", "crm", "--json"], { REDIS_URL: server.url });
    const { url } = JSON.parse(await page.said) as { url: string };
    const [base = "", token = ""] = url.split("#token=");
    const ask = async (): Promise<{ processes: { name: string }[]; total: { gets: number } }> => {
      const answer = await fetch(`${base}api/overview`, { headers: { authorization: `Bearer ${token}` } });
      return (await answer.json()) as never;
    };
    await expect
      .poll(async () => (await ask()).processes.map(({ name }) => name).toSorted(), { timeout: 15_000 })
      .toEqual(["api-1", "tiercache dashboard"]);
    expect((await ask()).total.gets).toBe(9);
    const refused = await fetch(`${base}api/preview`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ target: { kind: "key", text: "a" } }),
    });
    expect(refused.status).toBe(403);
    page.child.kill("SIGINT");
    expect(await page.ended).toBe(0);
    await admin.close();
  });

  it("says what is missing, and which Redis does not answer", async () => {
    const nothing = await run([]);
    const nobody = await run(["--name", "crm"], { REDIS_URL: "redis://user:hidden@127.0.0.1:1" });
    const nonsense = await run(["nonsense"]);
    const other = await run(["--name", "nobody"], { REDIS_URL: server.url });
    expect([other.code, other.stderr]).toEqual([3, expect.stringContaining('no cache named "nobody"') as string]);
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining("REDIS_URL and --name") as string]);
    expect(nobody.code).toBe(5);
    expect(nobody.stderr).toContain("127.0.0.1:1");
    expect(nobody.stderr).not.toContain("hidden");
    expect(nonsense.code).toBe(2);
  });
});
