import { fork } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort } from "../../scripts/servers/port.js";
import { ServerProcess } from "../../scripts/servers/server-process.js";

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

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Clock ticks of a second, in which Linux counts CPU time for everybody. */
const TICKS = 100;

/** CPU time of a process and all that it has started, user and system; microseconds. */
export function cpuMicros(pid: number): number {
  return descendants(pid).reduce((sum, one) => sum + ownMicros(one), 0);
}

function ownMicros(pid: number): number {
  // The name, in brackets, may hold blanks; user and system are the 14th and 15th field.
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1e6;
}

function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "latin1")
      .split(" ")
      .filter((one) => one !== "")
      .map(Number),
  );
  return [pid, ...children.flatMap(descendants)];
}
