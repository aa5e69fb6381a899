import { fork } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "../../scripts/servers/port.js";
import { ServerProcess } from "../../scripts/servers/server-process.js";
import { isExecutable } from "../../scripts/servers/is-executable.js";

/** A server under measurement. */
export interface Served {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A server of `child.ts`. */
export async function startNode(name: string, originPort: number): Promise<Served> {
  const script = join(dirname(fileURLToPath(import.meta.url)), "child.js");
  const child = fork(script, [name, String(originPort)], { execArgv: [] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve((message as { port: number }).port));
    child.once("exit", (code) => reject(new Error(`${name} ended with ${String(code)}`)));
  });
  return {
    name,
    port,
    pid: child.pid ?? 0,
    stop: () => {
      child.kill();
      return exited;
    },
  };
}

/** nginx as a caching proxy with one worker; `undefined`, and a line of it, where it is not installed. */
export async function startNginx(originPort: number): Promise<Served | undefined> {
  const binary = installed("nginx");
  if (binary === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "tiercache-bench-nginx-"));
  const port = await freePort();
  const config = `
    ${process.getuid?.() === 0 ? "user root;" : ""}
    worker_processes 1;
    daemon off;
    pid ${folder}/nginx.pid;
    error_log stderr notice;
    events { worker_connections 1024; }
    http {
      access_log off;
      keepalive_requests 1000000;
      client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
      proxy_cache_path ${folder}/cache keys_zone=bench:10m;
      open_file_cache max=1000;
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://127.0.0.1:${originPort}; proxy_cache bench; proxy_http_version 1.1; }
      }
    }`;
  await writeFile(join(folder, "nginx.conf"), config);
  const server = await ServerProcess.start({
    name: "nginx",
    binary,
    args: ["-c", join(folder, "nginx.conf"), "-p", folder],
    folder,
    readyText: "start worker process",
    stopSignal: "SIGTERM",
  });
  return { name: "nginx", port, pid: server.pid, stop: () => server.stop() };
}

/** Varnish as it comes; `undefined`, and a line of it, where it is not installed. */
export async function startVarnish(originPort: number): Promise<Served | undefined> {
  const binary = installed("varnishd");
  if (binary === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "tiercache-bench-varnish-"));
  const port = await freePort();
  const server = await ServerProcess.start({
    name: "Varnish",
    binary,
    args: [
      "-F",
      ...["-n", join(folder, "work")],
      ...["-a", `127.0.0.1:${port}`],
      ...["-b", `127.0.0.1:${originPort}`],
      ...["-s", "malloc,64m"],
      ...["-j", "none"],
    ],
    folder,
    readyText: "Child starts",
    stopSignal: "SIGTERM",
  });
  return { name: "Varnish", port, pid: server.pid, stop: () => server.stop() };
}

function installed(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin"];
  const path = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (path === undefined) console.error(`${name} is not installed here: left out (apt-get install ${name})`);
  return path;
}

/** CPU time of a process and all that it has started, user and system, of all threads that are there; microseconds. */
export function cpuMicros(pid: number): number {
  return descendants(pid).reduce((sum, one) => sum + ownMicros(one), 0);
}

function ownMicros(pid: number): number {
  // The scheduler counts in nanoseconds, `stat` in ticks of 10 ms.
  return threadsOf(pid).reduce((sum, thread) => {
    const [time] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ");
    return sum + Number(time) / 1_000;
  }, 0);
}

function threadsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`);
}

function descendants(pid: number): number[] {
  const children = threadsOf(pid).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "latin1")
      .split(" ")
      .filter((one) => one !== "")
      .map(Number),
  );
  return [pid, ...children.flatMap(descendants)];
}
