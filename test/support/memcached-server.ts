import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createConnection, createServer } from "node:net";

/** A private memcached on a free loopback port. */
export interface MemcachedServer {
  readonly port: number;
  /** Of the process now running; changes with `restart`. */
  readonly pid: number;
  /** Ends it. Twice is once. */
  stop(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** SIGKILL: connections are cut, the next are refused. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>;
  /** Sends one line on a connection of its own and gives all that comes back up to `end`. */
  ask(line: string, end: string): Promise<string>;
}

/** How long a server may take until it answers, in milliseconds. */
const START_TIMEOUT = 20_000;

/**
 * Starts a server and waits until it answers. It ends with this process, whatever happens to the test.
 *
 * @param options.args appended to its command line: `["-m", "4"]`.
 */
export async function startMemcached(options: { readonly args?: readonly string[] } = {}): Promise<MemcachedServer> {
  const binary = memcachedBinary();
  const args = options.args ?? [];
  const { child: first, port } = await launchOnFreePort(binary, args);
  let child = first;
  let stopped = false;
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  };
  return {
    port,
    get pid() {
      if (child.pid === undefined) throw new Error("memcached is not running");
      return child.pid;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await launch(binary, port, args);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await kill();
      process.off("exit", end);
    },
    ask: (line, until) => ask(port, line, until),
  };
}

async function launchOnFreePort(
  binary: string,
  args: readonly string[],
): Promise<{ child: ChildProcess; port: number }> {
  // Somebody else may take the port between our finding it free and the server's binding it.
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { child: await launch(binary, port, args), port };
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

async function launch(binary: string, port: number, args: readonly string[]): Promise<ChildProcess> {
  // As root it insists on being told whose rights to take.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn(binary, ["-p", String(port), "-U", "0", "-l", "127.0.0.1", "-t", "2", ...user, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
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

async function answers(port: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    const said = await ask(port, "mn", "MN\r\n").catch(() => "");
    if (said === "MN\r\n") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`memcached on port ${port} did not answer within ${START_TIMEOUT} ms`);
}

function ask(port: number, line: string, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: "127.0.0.1" }, () => socket.write(`${line}\r\n`));
    let said = "";
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer to ${line}`)));
    socket.on("data", (chunk: Buffer) => {
      said += chunk.toString("latin1");
      if (!said.endsWith(end)) return;
      socket.destroy();
      resolve(said);
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`cut off after ${JSON.stringify(said.slice(0, 200))}`)));
  });
}

function freePort(): Promise<number> {
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

/** The path of memcached. @throws Error that names the package and the variable to set. */
function memcachedBinary(): string {
  const named = process.env["TIERCACHE_MEMCACHED"];
  if (named !== undefined && named !== "") {
    if (runs(named)) return named;
    throw new Error(`TIERCACHE_MEMCACHED names ${named}, which does not run`);
  }
  if (runs("memcached")) return "memcached";
  throw new Error(
    "These tests need memcached 1.6 or later: install the package `memcached`, or set TIERCACHE_MEMCACHED to the path of the binary",
  );
}

function runs(binary: string): boolean {
  return spawnSync(binary, ["-V"], { stdio: "ignore" }).status === 0;
}

/**
 * Vitest's global setup: once, before any test file. As root on Debian what is missing is installed; elsewhere the tests
 * that need it fail and say what to install. Nothing is ever skipped.
 */
export function setup(): void {
  const named = process.env["TIERCACHE_MEMCACHED"] ?? "";
  if (named !== "" || runs("memcached") || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return;
  process.stderr.write("memcached is missing: installing it with apt-get\n");
  const apt = (...args: readonly string[]): boolean =>
    spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      // RUNLEVEL=1: the package's own service is not started.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
      timeout: 300_000,
    }).status === 0;
  // The list of packages may be missing as well, or too old.
  if (!apt("install", "--no-install-recommends", "memcached")) {
    apt("update");
    apt("install", "--no-install-recommends", "memcached");
  }
}
