import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./port.js";
import { copyPostgres, findPostgres } from "./postgres-binaries.js";
import { ServerProcess } from "./server-process.js";

const run = promisify(execFile);

export interface PostgresOptions {
  /** Hears each line the server writes. */
  log?: ((line: string) => void) | undefined;
  /** Settings on top of ours: `{ wal_level: "logical" }`. */
  settings?: Readonly<Record<string, string>> | undefined;
  /** Fills its new data folder in place of initdb, with a copy of another server's say; resolves with the superuser's password. */
  data?: ((folder: string) => Promise<string>) | undefined;
}

export interface PostgresServer {
  /** A connection string of the superuser, for the database `postgres`. */
  readonly url: string;
  readonly pid: number;
  /** Resolves with how the server ended, whoever ended it. */
  readonly exited: Promise<string>;
  /** Stops the server and removes its data. Twice is once. */
  stop(): Promise<void>;
}

/** Nothing here outlives its process, so nothing is flushed to disk for a crash it will not survive. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "logical",
  shared_buffers: "128MB",
  max_wal_size: "1GB",
  max_connections: "200",
  max_parallel_workers_per_gather: "0",
  jit: "off",
  // The readiness line must reach us, in English.
  logging_collector: "off",
  log_destination: "stderr",
  lc_messages: "C",
};

const PORT_TRIES = 5;

/**
 * Starts a PostgreSQL of its own on a free loopback port, with its data in a temporary folder.
 *
 * PostgreSQL refuses to run as root; then it runs as `postgres`, or as `nobody` where there is no such user. No
 * user is created.
 *
 * @throws Error when there is no PostgreSQL for this machine, or it does not start.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const installed = await findPostgres();
  const user = await unprivilegedUser();
  for (let tries = 1; ; tries++) {
    try {
      return await startIn(await mkdtemp(join(tmpdir(), "tiercache-server-postgres-")), installed, user, options);
    } catch (error) {
      // Somebody took the port between our asking for one and the server's start.
      if (tries === PORT_TRIES || !String(error).includes("Address already in use")) {
        throw error;
      }
    }
  }
}

async function startIn(
  folder: string,
  installed: string,
  user: User | undefined,
  options: PostgresOptions,
): Promise<PostgresServer> {
  try {
    if (user !== undefined) {
      await chown(folder, user.uid, user.gid);
      await requireAccess(folder, user);
    }
    const native = (await canRun(installed, user)) ? installed : await copyPostgres(installed, folder);
    const password =
      options.data === undefined
        ? await createCluster(native, folder, user)
        : await fillData(join(folder, "data"), user, options.data);
    return await startServer(native, folder, password, user, options);
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    throw error;
  }
}

interface User {
  uid: number;
  gid: number;
}

async function unprivilegedUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) {
    return undefined;
  }
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // Not on this machine: the next one.
    }
  }
  throw new Error(
    "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as; set DATABASE_URL to use one of yours",
  );
}

/** A temporary folder below one of root's own is closed to everybody else. */
async function requireAccess(folder: string, user: User): Promise<void> {
  try {
    await run("test", ["-w", folder], { cwd: "/", ...user });
  } catch (error) {
    throw new Error(
      `PostgreSQL does not run as root, and user ${user.uid}, as whom it is to run, cannot use ${tmpdir()}: set TMPDIR to a folder open to all`,
      {
        cause: error,
      },
    );
  }
}

async function canRun(native: string, user: User | undefined): Promise<boolean> {
  try {
    await run(join(native, "bin", "postgres"), ["--version"], { cwd: "/", ...user });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" && user !== undefined) {
      return false;
    }
    throw new Error(
      `The embedded PostgreSQL does not run on this machine (${firstLine(error)}); set DATABASE_URL to use one of yours`,
      { cause: error },
    );
  }
}

async function fillData(
  data: string,
  user: User | undefined,
  fill: NonNullable<PostgresOptions["data"]>,
): Promise<string> {
  await mkdir(data, { mode: 0o700 });
  const password = await fill(data);
  if (user !== undefined) await run("chown", ["-R", `${user.uid}:${user.gid}`, data]);
  return password;
}

/** @returns the superuser's password. */
async function createCluster(native: string, folder: string, user: User | undefined): Promise<string> {
  const password = randomBytes(16).toString("hex");
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) {
    await chown(passwordFile, user.uid, user.gid);
  }
  const args = [
    `--pgdata=${join(folder, "data")}`,
    `--pwfile=${passwordFile}`,
    "--username=postgres",
    "--auth=scram-sha-256",
    "--no-locale",
    "--encoding=UTF8",
    "--no-sync",
  ];
  try {
    await run(join(native, "bin", "initdb"), args, { cwd: folder, ...user });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`PostgreSQL could not create its data: ${stderr?.trim() ?? firstLine(error)}`, { cause: error });
  }
  await rm(passwordFile);
  return password;
}

async function startServer(
  native: string,
  folder: string,
  password: string,
  user: User | undefined,
  options: PostgresOptions,
): Promise<PostgresServer> {
  const settings = Object.entries({ ...SETTINGS, ...options.settings }).flatMap(([name, value]) => [
    "-c",
    `${name}=${value}`,
  ]);
  const port = await freePort();
  const server = await ServerProcess.start({
    name: "PostgreSQL",
    binary: join(native, "bin", "postgres"),
    args: ["-D", join(folder, "data"), "-p", String(port), ...settings],
    folder,
    user,
    // "… connections", or "… read-only connections".
    readyText: "database system is ready to accept",
    stopSignal: "SIGINT",
    log: options.log,
  });
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    pid: server.pid,
    exited: server.exited,
    stop: () => server.stop(),
  };
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0] ?? "";
}
