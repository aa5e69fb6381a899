import pg from "pg";

import type { RedisServer } from "../support/redis-server.js";
import type { Proxy } from "../faults/proxy.js";
import type { Child } from "./children.js";

/** What can be broken. */
export interface World {
  readonly postgres: string;
  readonly redis: RedisServer;
  /** Between each process that reads and Redis. */
  readonly proxies: readonly Proxy[];
  readonly bound: number;
  /** The process that reads the slot now. */
  readonly leader: () => Promise<Child | undefined>;
  /** Starts another in its place. */
  readonly replace: (child: Child) => Promise<void>;
}

export interface Nemesis {
  readonly name: string;
  strike(world: World): Promise<void>;
}

/** In turn, each some seconds after the one before. */
export const NEMESES: readonly Nemesis[] = [
  { name: "walsender killed", strike: ({ postgres }) => sql(postgres, KILL_SENDERS).then(() => undefined) },
  {
    name: "consumer paused",
    async strike({ leader, bound }) {
      const child = await leader();
      child?.freeze();
      await sleep(4 * bound);
      child?.thaw();
    },
  },
  {
    name: "consumer killed",
    async strike({ leader, replace }) {
      const child = await leader();
      if (child === undefined) return;
      await child.kill();
      await replace(child);
    },
  },
  {
    name: "database crashed",
    async strike({ postgres }) {
      // A server process that is killed takes all with it: the postmaster recovers from the log, as after any crash.
      const client = await connected(postgres);
      const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
      process.kill((rows[0] as { pid: number }).pid, "SIGKILL");
      await client.end().catch(() => undefined);
    },
  },
  {
    name: "slot dropped",
    async strike({ postgres }) {
      for (let tries = 0; tries < 200; tries++) {
        try {
          await sql(postgres, KILL_SENDERS);
          const { rowCount } = await sql(
            postgres,
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'tiercache%' AND NOT active",
          );
          if (rowCount === 1) return;
          const slots = await sql(postgres, "SELECT FROM pg_replication_slots");
          if (slots.rowCount === 0) return;
        } catch {
          // Somebody had it again already.
        }
      }
    },
  },
  {
    // Commits are in the log and nobody sees them, until the replica that is waited for is given up.
    name: "replica awaited",
    async strike({ postgres, bound }) {
      await sql(postgres, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
      await sql(postgres, "SELECT pg_reload_conf()");
      await sleep(2 * bound);
      await sql(postgres, "ALTER SYSTEM RESET synchronous_standby_names");
      await sql(postgres, "SELECT pg_reload_conf()");
    },
  },
  {
    name: "Redis emptied",
    async strike({ redis }) {
      const { Redis } = await import("ioredis");
      const client = new Redis(redis.url);
      await client.flushall();
      client.disconnect();
    },
  },
  { name: "Redis killed", strike: ({ redis }) => redis.restart() },
  {
    name: "bus cut",
    async strike({ proxies }) {
      for (const proxy of proxies) proxy.cut();
    },
  },
  {
    name: "bus half-open",
    async strike({ proxies, bound }) {
      for (const proxy of proxies) proxy.swallow();
      await sleep(3 * bound);
      for (const proxy of proxies) proxy.cut();
    },
  },
];

const KILL_SENDERS =
  "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND slot_name LIKE 'tiercache%'";

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** One statement, on a connection of its own; tried again while the server is away. */
export async function sql(url: string, text: string): Promise<pg.QueryResult> {
  for (let tries = 0; ; tries++) {
    try {
      const client = await connected(url);
      try {
        return await client.query(text);
      } finally {
        await client.end().catch(() => undefined);
      }
    } catch (error) {
      if (tries === 100 || !isAway(error)) throw error;
      await sleep(100);
    }
  }
}

function isAway(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return (
    code === "57P03" ||
    code === "ECONNREFUSED" ||
    code === "ECONNRESET" ||
    /terminated/.test(message ?? "") ||
    code === "57P02"
  );
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
