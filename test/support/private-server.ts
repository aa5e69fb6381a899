import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";

import { freePort } from "../../scripts/servers/port.js";

/** A server of the tests' own: a process on a loopback port. */
export interface PrivateServer {
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
}

/** How a kind of server is started. */
export interface ServerKind {
  readonly binary: string;
  args(port: number): readonly string[];
  /** Whether the one on the port answers; a failure is no. */
  answers(port: number): Promise<boolean>;
  /** Removes what it leaves behind. */
  clear?(): void;
}

/** How long a server may take until it answers, in milliseconds. */
const START_TIMEOUT = 20_000;

/** Starts a server on a free port and waits until it answers. It ends with this process, whatever happens to the test. */
export async function startServer(kind: ServerKind): Promise<PrivateServer> {
  const clear = (): void => kind.clear?.();
  const { child: first, port } = await launchOnFreePort(kind).catch((error: unknown) => {
    clear();
    throw error;
  });
  let child = first;
  let stopped = false;
  const end = (): void => {
    child.kill("SIGKILL");
    clear();
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
    get pid() {
      if (child.pid === undefined) throw new Error(`${kind.binary} is not running`);
      return child.pid;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await launch(kind, port);
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await kill();
      process.off("exit", end);
      clear();
    },
  };
}

/** Waits until a server answers on the port. @throws Error after twenty seconds. */
export async function untilAnswers(
  { binary, answers }: Pick<ServerKind, "binary" | "answers">,
  port: number,
): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  while (Date.now() < deadline) {
    if (await answers(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${binary} on port ${port} did not answer within ${START_TIMEOUT} ms`);
}

/** A program that tests need: where it is named, what it is called, and the package that brings it. */
export interface NeededProgram {
  readonly variable: string;
  readonly name: string;
  readonly versionFlag: string;
  /** What to install, in words. */
  readonly advice: string;
}

/** The program's path. @throws Error that names the package and the variable to set. */
export function programOf({ variable, name, versionFlag, advice }: NeededProgram): string {
  const named = process.env[variable];
  if (named !== undefined && named !== "") {
    if (runs(named, versionFlag)) return named;
    throw new Error(`${variable} names ${named}, which does not run`);
  }
  if (runs(name, versionFlag)) return name;
  throw new Error(`These tests need ${name}: install ${advice}, or set ${variable} to the path of the binary`);
}

/**
 * Installs the program where it is missing, as root on Debian, from the package of its name; elsewhere the tests that need it
 * fail and say what to install. Nothing is ever skipped.
 */
export function installMissing({ variable, name, versionFlag }: NeededProgram): void {
  const isNamed = (process.env[variable] ?? "") !== "";
  if (isNamed || runs(name, versionFlag) || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return;
  process.stderr.write(`${name} is missing: installing it with apt-get\n`);
  const apt = (...args: readonly string[]): boolean =>
    spawnSync("apt-get", ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      // RUNLEVEL=1: the package's own service is not started.
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
      timeout: 300_000,
    }).status === 0;
  // The list of packages may be missing as well, or too old.
  if (!apt("install", "--no-install-recommends", name)) {
    apt("update");
    apt("install", "--no-install-recommends", name);
  }
}

function runs(binary: string, versionFlag: string): boolean {
  return spawnSync(binary, [versionFlag], { stdio: "ignore" }).status === 0;
}

async function launchOnFreePort(kind: ServerKind): Promise<{ child: ChildProcess; port: number }> {
  // Somebody else may take the port between our finding it free and the server's binding it.
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    try {
      return { child: await launch(kind, port), port };
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

async function launch(kind: ServerKind, port: number): Promise<ChildProcess> {
  const child = spawn(kind.binary, kind.args(port), { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${kind.binary} ended with ${code} before it answered:\n${said}`)));
  });
  // It also rejects when the server is ended later, when nobody waits for it any more.
  failed.catch(() => undefined);
  try {
    await Promise.race([untilAnswers(kind, port), failed]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return child;
}
