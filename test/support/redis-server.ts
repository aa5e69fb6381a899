import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { createServer, createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A private Redis on a free loopback port: no persistence, a directory of its own. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Of the process now running; changes with `restart`. */
  readonly pid: number;
  /** Ends it and removes its directory. Twice is once. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** SIGKILL: connections are cut, the next are refused. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
}

/** How long a server may take until it answers, in milliseconds. */
const START_TIMEOUT = 20_000;

/**
 * Starts a server and waits until it answers. It ends with this process, whatever happens to the test.
 *
 * @param options.args appended to its command line: `["--maxmemory", "3mb"]`.
 */
export async function startRedis(options: { readonly args?: readonly string[] } = {}): Promise<RedisServer> {
  const binary = redisBinary();
  const directory = mkdtempSync(join(tmpdir(), "tiercache-redis-"));
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  const { child: first, port } = await launchOnFreePort(binary, directory, options.args ?? []).catch(
    (error: unknown) => {
      removeDirectory();
      throw error;
    },
  );
  let child = first;
  let stopped = false;
  const end = (): void => {
    child.kill("SIGKILL");
    removeDirectory();
  };
  process.once("exit", end);

  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return pidOf(child);
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await launch(binary, directory, port, options.args ?? []);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await kill();
      process.off("exit", end);
      removeDirectory();
    },
  };
}

async function launchOnFreePort(
  binary: string,
  directory: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; port: number }> {
  // Somebody else may take the port between our finding it free and the server's binding it.
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { child: await launch(binary, directory, port, args), port };
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

async function launch(binary: string, directory: string, port: number, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(
    binary,
    [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      directory,
      "--save",
      "",
      "--appendonly",
      "no",
      "--daemonize",
      "no",
      ...args,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${binary} ended with ${code} before it answered:\n${said}`)));
  });
  // It also rejects when the server is ended later, when nobody waits for it any more.
  failed.catch(() => undefined);
  try {
    await Promise.race([answers(port), failed]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return child;
}

export async function answers(port: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    if (await ping(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`redis-server on port ${port} did not answer within ${START_TIMEOUT} ms`);
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" }, () => socket.write("PING\r\n"));
    const done = (ok: boolean): void => {
      socket.destroy();
      resolve(ok);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once("data", (chunk: Buffer) => done(chunk.toString().startsWith("+PONG")));
    socket.once("error", () => done(false));
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("redis-server is not running");
  return child.pid;
}

/** The path of redis-server. @throws Error that names the package and the variable to set. */
export function redisBinary(): string {
  const named = process.env["TIERCACHE_REDIS_SERVER"];
  if (named !== undefined && named !== "") {
    if (runs(named)) return named;
    throw new Error(`TIERCACHE_REDIS_SERVER names ${named}, which does not run`);
  }
  if (runs("redis-server")) return "redis-server";
  throw new Error(
    "These tests need redis-server: install the package `redis-server` (Debian, Ubuntu) or `redis` (Fedora, Alpine, Homebrew), " +
      "or set TIERCACHE_REDIS_SERVER to the path of the binary",
  );
}

function runs(binary: string): boolean {
  return spawnSync(binary, ["--version"], { stdio: "ignore" }).status === 0;
}

/**
 * Vitest's global setup: once, before any test file, because two installations at a time hinder each other. As root
 * on Debian what is missing is installed; elsewhere the tests that need it fail and say what to install. Nothing is
 * ever skipped.
 */
export function setup(): void {
  const named = process.env["TIERCACHE_REDIS_SERVER"] ?? "";
  if (named !== "" || runs("redis-server") || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return;
  process.stderr.write("redis-server is missing: installing it with apt-get\n");
  const apt = (...args: readonly string[]): boolean =>
    spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      // RUNLEVEL=1: the package's own service is not started.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
      timeout: 300_000,
    }).status === 0;
  // The list of packages may be missing as well, or too old.
  if (!apt("install", "--no-install-recommends", "redis-server")) {
    apt("update");
    apt("install", "--no-install-recommends", "redis-server");
  }
}
