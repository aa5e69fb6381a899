import pg from "pg";
import type { RedisServer } from "../support/redis-server.js";

/** What may be broken under the load. */
export interface SoakWorld {
  readonly redis: RedisServer;
  readonly postgres: string;
  /** Ends a process that serves requests, and starts another in its place. */
  readonly replaceWorker: () => Promise<void>;
}

/** A fault. */
export interface Strike {
  readonly name: string;
  /** Whether it happens while no request is under way: what drives the load cannot lose its other end in the middle. */
  readonly isBetween?: true;
  strike(world: SoakWorld): Promise<void>;
}

/** One for each episode, in turn; the first is none, so that what follows has something to be compared with. */
export const STRIKES: readonly Strike[] = [
  { name: "nothing", strike: () => Promise.resolve() },
  {
    name: "Redis hangs",
    async strike({ redis }) {
      redis.pause();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      redis.resume();
    },
  },
  { name: "Redis restarts, empty", strike: ({ redis }) => redis.restart() },
  {
    name: "the feed's connection is cut",
    strike: ({ postgres }) =>
      alone(postgres, "select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null"),
  },
  { name: "a process is killed", isBetween: true, strike: ({ replaceWorker }) => replaceWorker() },
  {
    // One server process that is killed takes all with it: the database recovers from its log, as after any crash.
    name: "the database crashes",
    async strike({ postgres }) {
      const client = await connected(postgres);
      const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
      const [row] = rows;
      if (row !== undefined) process.kill(row.pid, "SIGKILL");
      await client.end().catch(() => undefined);
    },
  },
];

async function alone(url: string, statement: string): Promise<void> {
  const client = await connected(url);
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  // A crash that we caused.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}
