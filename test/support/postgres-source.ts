import pg from "pg";

import { startPostgres, type PostgresServer } from "../../scripts/servers/postgres.js";

/** A database, with a pool of the application's. */
export interface Source {
  readonly server: PostgresServer;
  readonly pool: pg.Pool;
  sql(text: string, values?: unknown[]): Promise<pg.QueryResult>;
  close(): Promise<void>;
}

/** A database as a service would have it: commits wait for the log. */
export async function startSource(
  options: { readonly settings?: Readonly<Record<string, string>>; readonly connections?: number } = {},
): Promise<Source> {
  const server = await startPostgres({ settings: { synchronous_commit: "on", ...options.settings } });
  const pool = new pg.Pool({ connectionString: server.url, max: options.connections ?? 5 });
  // A server that is crashed on purpose takes the idle connections with it, and one that is stopped those still saying farewell.
  pool.on("error", () => undefined);
  return {
    server,
    pool,
    sql: (text, values) => pool.query(text, values),
    async close() {
      await pool.end();
      await server.stop();
    },
  };
}
