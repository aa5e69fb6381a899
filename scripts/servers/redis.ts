import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./port.js";
import { ServerProcess } from "./server-process.js";
import { isExecutable } from "./is-executable.js";

const run = promisify(execFile);

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  /** Resolves with how the server ended, whoever ended it. */
  readonly exited: Promise<string>;
  /** Stops the server and removes its folder. Twice is once. */
  stop(): Promise<void>;
}

const PORT_TRIES = 5;

/** The path of a Redis or Valkey server: the one TIERCACHE_REDIS_SERVER names, else the first on PATH; `undefined` when there is none. */
export function findRedisServer(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env["TIERCACHE_REDIS_SERVER"];
  if (named !== undefined && named !== "") {
    return named;
  }
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return ["redis-server", "valkey-server"]
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => isExecutable(path));
}

/** Starts a private server on a free loopback port, with nothing kept on disk. @throws Error when it does not start, or is older than version 6. */
export async function startRedis(binary: string): Promise<RedisServer> {
  await checkVersion(binary);
  for (let tries = 1; ; tries++) {
    try {
      return await startOn(binary, await freePort());
    } catch (error) {
      if (tries === PORT_TRIES || !String(error).includes("Address already in use")) {
        throw error;
      }
    }
  }
}

async function startOn(binary: string, port: number): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), "tiercache-server-redis-"));
  const options: Readonly<Record<string, string>> = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "no",
    daemonize: "no",
    maxmemory: "256mb",
    // Entries have a time to live; the log and the marks, which must stay, have none.
    "maxmemory-policy": "volatile-lru",
  };
  try {
    const server = await ServerProcess.start({
      name: "Redis",
      binary,
      args: Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      folder,
      readyText: "eady to accept connections",
      stopSignal: "SIGTERM",
    });
    return {
      port,
      url: `redis://127.0.0.1:${port}`,
      pid: server.pid,
      exited: server.exited,
      stop: () => server.stop(),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function checkVersion(binary: string): Promise<void> {
  const { stdout } = await run(binary, ["--version"]);
  const major = Number(/v=(\d+)\./.exec(stdout)?.[1]);
  if (!(major >= 6)) {
    throw new Error(`Expected Redis 6 or newer, got ${stdout.trim()} from ${binary}`);
  }
}
