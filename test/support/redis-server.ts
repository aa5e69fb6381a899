import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  installMissing,
  programOf,
  startServer,
  untilAnswers,
  type NeededProgram,
  type PrivateServer,
} from "./private-server.js";

/** A private Redis on a free loopback port: no persistence, a directory of its own, which `stop` removes. */
export interface RedisServer extends PrivateServer {
  readonly url: string;
}

const REDIS: NeededProgram = {
  variable: "TIERCACHE_REDIS_SERVER",
  name: "redis-server",
  versionFlag: "--version",
  advice: "the package `redis-server` (Debian, Ubuntu) or `redis` (Fedora, Alpine, Homebrew)",
};

/**
 * Starts a server and waits until it answers.
 *
 * @param options.args appended to its command line: `["--maxmemory", "3mb"]`.
 */
export async function startRedis(options: { readonly args?: readonly string[] } = {}): Promise<RedisServer> {
  const binary = redisBinary();
  const directory = mkdtempSync(join(tmpdir(), "tiercache-redis-"));
  const bare = ["--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "no", "--daemonize", "no"];
  const server = await startServer({
    binary,
    args: (port) => ["--port", String(port), ...bare, ...(options.args ?? [])],
    answers: ping,
    clear: () => rmSync(directory, { recursive: true, force: true }),
  });
  // Its process id is read anew each time, so the server itself is what is handed out.
  return Object.assign(server, { url: `redis://127.0.0.1:${server.port}` });
}

/** Waits until a Redis answers on the port. */
export function answers(port: number): Promise<void> {
  return untilAnswers({ binary: REDIS.name, answers: ping }, port);
}

/** The path of redis-server. @throws Error that names the package and the variable to set. */
export function redisBinary(): string {
  return programOf(REDIS);
}

/** Vitest's global setup: once, before any test file, because two installations at a time hinder each other. */
export function setup(): void {
  installMissing(REDIS);
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
