import { cp, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join, relative } from "node:path";

import pg from "pg";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";

/** What a base backup leaves out: what belongs to the process, and slots. */
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|pg_replslot\/.+|pg_stat_tmp\/.+|pg_dynshmem\/.+|pg_notify\/.+|.*pg_internal\.init)$/;
const TRIES = 5;

/** A copy of a server's data while it runs, as `pg_basebackup` makes one; fills the folder of `startPostgres({ data })`. */
export function backupOf(
  server: PostgresServer,
  then: (data: string) => Promise<void> = async () => undefined,
): (data: string) => Promise<string> {
  return async (data) => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    try {
      const from = String((await client.query("SHOW data_directory")).rows[0]?.data_directory);
      await client.query("SELECT pg_backup_start('copy', true)");
      await copyData(from, data);
      const label = await client.query<{ labelfile: string }>("SELECT labelfile FROM pg_backup_stop(false)");
      // The log up to the end of the backup.
      await copyData(join(from, "pg_wal"), join(data, "pg_wal"));
      await writeFile(join(data, "backup_label"), label.rows[0]?.labelfile ?? "");
      await then(data);
    } finally {
      await client.end();
    }
    return new URL(server.url).password;
  };
}

/** A replica that streams from a server. */
export function startReplica(
  primary: PostgresServer,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const data = backupOf(primary, (folder) => writeFile(join(folder, "standby.signal"), ""));
  const { hostname, port, username, password } = new URL(primary.url);
  const conninfo = `host=${hostname} port=${port} user=${username} password=${password} application_name=replica`;
  return startPostgres({
    data,
    settings: { synchronous_commit: "on", primary_conninfo: conninfo, hot_standby: "on", ...settings },
  });
}

/** Files that go while they are copied are temporary ones: the copy is made again. */
async function copyData(from: string, to: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await cp(from, to, {
        recursive: true,
        force: true,
        preserveTimestamps: true,
        filter: (file) => !LEFT_OUT.test(relative(from, file)),
      });
      return;
    } catch (error) {
      if (tries === TRIES || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** One address for whichever server is the primary. */
export interface Address {
  /** A connection string with the first server's credentials. */
  readonly url: string;
  /** Connections that stand are cut; new ones go to that server, or with `undefined` nowhere. */
  point(server: PostgresServer | undefined): void;
  close(): Promise<void>;
}

export async function openAddress(first: PostgresServer): Promise<Address> {
  let target: PostgresServer | undefined = first;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (target === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect(Number(new URL(target.url).port), "127.0.0.1");
    keep(upstream);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(first.url);
  url.port = String((server.address() as AddressInfo).port);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    point(to) {
      target = to;
      cut();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
