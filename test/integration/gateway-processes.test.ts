import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

import { ask, GatewayWorld, until } from "../support/gateway-world.js";
import { startRedis } from "../support/redis-server.js";

const world = new GatewayWorld();
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await world.end();
});

const program = new URL("../../src/cli/main.ts", import.meta.url).pathname;

interface Program {
  readonly child: ChildProcess;
  readonly port: number;
  readonly adminPort: number;
  /** What it has written to standard error. */
  readonly said: () => string;
}

/** `tiercache gateway` as a user would run it, on the sources. */
async function run(...flags: string[]): Promise<Program> {
  return runWith({}, ...flags);
}

async function runWith(environment: Readonly<Record<string, string>>, ...flags: string[]): Promise<Program> {
  const { REDIS_URL: _others, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--import", "tsx", program, "gateway", ...flags], {
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stdout.resume();
  const exited = once(child, "exit");
  ends.push(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await until("it to listen", () => {
    if (child.exitCode !== null) throw new Error(`It ended: ${text}`);
    return text.includes("listening on");
  });
  const [, port = "", , admin = "0"] = /listening on http:\/\/[\d.]+:(\d+)(, admin on port (\d+))?/.exec(text) ?? [];
  return { child, port: Number(port), adminPort: Number(admin), said: () => text };
}

async function configFile(config: object): Promise<{ file: string; change: (config: object) => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "tiercache-gateway-test-"));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "gateway.json");
  const change = (given: object): Promise<void> => writeFile(file, JSON.stringify(given));
  await change(config);
  return { file, change };
}

async function counting(name: string): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const { url } = await world.origin((_incoming, outgoing) => {
    asked += 1;
    outgoing.writeHead(200, { "cache-control": "max-age=60", "surrogate-key": "t" }).end(name);
  });
  return { url, asked: () => asked };
}

// Each process of it reads the sources first, which takes its time on a busy machine.
describe("the program", { timeout: 120_000 }, () => {
  it("goes on by a changed configuration on SIGHUP, and under load no request fails for it; it ends on SIGTERM", async () => {
    const [one, two] = [await counting("one"), await counting("two")];
    const configOf = (url: string): object => ({ origin: url, listen: { port: 0 }, routes: [{ cache: false }] });
    const { file, change } = await configFile(configOf(one.url));
    const { child, port, said } = await run("--config", file);
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const load = { isOver: false };
    const failures: unknown[] = [];
    const texts = new Set<string>();
    const client = async (): Promise<void> => {
      while (!load.isOver) {
        const text = await answered(agent, port).catch((error: unknown) => void failures.push(error));
        if (text !== undefined) texts.add(text);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (const [index, url] of [two.url, one.url, two.url].entries()) {
      await change(configOf(url));
      child.kill("SIGHUP");
      await until("the reload", () => said().split("reloaded").length === index + 2);
    }
    // One that does not hold changes nothing.
    await change({ origins: {} });
    child.kill("SIGHUP");
    await until("the refusal", () => said().includes("not reloaded"));
    expect(await answered(agent, port)).toBe("two");
    load.isOver = true;
    await Promise.all(clients);
    agent.destroy();
    expect(failures).toEqual([]);
    expect([...texts].sort()).toEqual(["one", "two"]);
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  it("lets a request under way end when it is told to stop", async () => {
    let release = (): void => undefined;
    const { url } = await world.origin((incoming, outgoing) => {
      if (incoming.url !== "/slow") return void outgoing.end();
      outgoing.writeHead(200).write("begun ");
      release = () => outgoing.end("ended");
    });
    const { child, port } = await run("--origin", url, "--port", "0");
    const outgoing = request({ port, host: "127.0.0.1", path: "/slow" });
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
    let text = "";
    incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await until("it to take nothing more", () =>
      ask(port, "/other").then(
        () => false,
        () => true,
      ),
    );
    release();
    await once(incoming, "end");
    expect([text, await exited]).toEqual(["begun ended", [0, null]]);
  });

  it("shares its responses with other machines by the Redis of its environment, and purges reach them", async () => {
    const { url, asked } = await counting("body");
    const redis = await startRedis();
    ends.push(() => redis.stop());
    const token = "0123456789abcdef";
    const { file } = await configFile({ origin: url, listen: { port: 0 }, admin: { port: 0, token } });
    const start = (): Promise<Program> => runWith({ REDIS_URL: redis.url }, "--config", file);
    const [one, two] = await Promise.all([start(), start()]);
    const headers = { host: "books.example" };
    for (const { port } of [one, two, one]) expect((await ask(port, "/a", { headers })).text).toBe("body");
    expect(asked()).toBe(1);
    const purge = {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: '{"url":"http://books.example/a"}',
    };
    expect((await ask(one.adminPort, "/purge", purge)).status).toBe(200);
    await until("the other to have heard", async () => {
      await ask(two.port, "/a", { headers });
      return asked() === 2;
    });
  });

  it("runs several workers that share their responses, are purged together, and are replaced when one is killed", async () => {
    const { url, asked } = await counting("body");
    const token = "0123456789abcdef";
    const { file } = await configFile({ origin: url, listen: { port: 0 }, admin: { port: 0, token } });
    const { child, port, adminPort, said } = await run("--config", file, "--workers", "2");
    const stats = async (): Promise<{ pid: number; requests: number }[]> =>
      (JSON.parse((await ask(adminPort, "/stats")).text) as { workers: { pid: number; requests: number }[] }).workers;
    for (let times = 0; times < 8; times++) expect((await ask(port, "/a")).text).toBe("body");
    const workers = await stats();
    expect(workers.map(({ requests }) => requests > 0)).toEqual([true, true]);
    expect(asked()).toBe(1);
    expect((await ask(adminPort, "/dashboard/api/overview")).status).toBe(401);
    await until("the dashboard to tell of both workers", async () => {
      const overview = await ask(adminPort, "/dashboard/api/overview", {
        headers: { authorization: `Bearer ${token}` },
      });
      return workers.every(({ pid }) => overview.text.includes(`"worker ${pid}"`));
    });
    const purged = await ask(adminPort, "/purge", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: '{"tag":"t"}',
    });
    expect(purged.status).toBe(200);
    for (let times = 0; times < 8; times++) await ask(port, "/a");
    expect(asked()).toBe(2);
    process.kill(workers[0]?.pid ?? 0, "SIGKILL");
    await until("another worker", () => (said().match(/worker \d+ listens/g) ?? []).length === 3);
    for (let times = 0; times < 8; times++) expect((await ask(port, "/a")).text).toBe("body");
    expect((await stats()).map(({ pid }) => pid)).not.toContain(workers[0]?.pid);
    // The new one has found what the others share.
    expect(asked()).toBe(2);
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });
});

/** The body of an answer of 200; anything else is a failure. */
async function answered(agent: Agent, port: number): Promise<string> {
  const outgoing = request({ port, host: "127.0.0.1", path: "/x", agent });
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(incoming, "end");
  if (incoming.statusCode !== 200) throw new Error(`Status ${incoming.statusCode}`);
  return text;
}
