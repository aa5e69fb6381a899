import type { Clock } from "../../clock.js";
import { toMilliseconds, type Duration } from "../../duration.js";
import { knownOptions, optionError } from "../../policy.js";
import { resultsOf, type PgLike, type PgRow } from "../pg.js";
import { withPooledClient } from "../pooled-client.js";
import type { Database } from "./database.js";
import { parseLsn } from "./lsn.js";
import { Waits } from "./within.js";

/** A connection of a replica's pool. */
export interface ReplicaClient extends PgLike {
  release(): void;
}

/** What we call of a `pg` pool of replicas. */
export interface ReplicaPool<Client extends ReplicaClient> {
  connect(): Promise<Client>;
}

export interface ReplicaOptions {
  /** How long a load waits for the replica to have replayed what the primary had when it began. @default "100ms" */
  wait?: Duration | undefined;
}

/** Loads that read a replica. */
export interface ReplicaReads<Client extends ReplicaClient> {
  /**
   * Reads a replica on one connection. When the replica had not replayed everything that the primary had when the call began, the
   * answer is one for its callers only: `context.skip` is called, and nothing is stored.
   */
  read<T>(context: { readonly skip: () => void }, read: (client: Client) => Promise<T>): Promise<T>;
}

/** Of the primary: which history of which database, and how far its log is. */
const PRIMARY = `
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
  left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS timeline,
  pg_current_wal_flush_lsn()::text AS flushed, pg_current_wal_insert_lsn()::text AS inserted`;

/** Of the server a load reads. The timeline of a replica is that which it streams; null while it does not, or where the role may not know. */
const REPLICA = `
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS replayed,
  CASE WHEN pg_is_in_recovery() THEN (SELECT lpad(upper(to_hex(received_tli)), 8, '0') FROM pg_stat_wal_receiver)
    ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline`;

interface Place {
  readonly system: string;
  readonly timeline: string;
  readonly lsn: bigint;
}

/**
 * Why it is enough: a load begins after its lease, so whatever was published before the lease lies, in the log, before the place
 * the primary is asked for. A replica that has replayed up to there shows it; what is published later fences the load, wherever it
 * reads. `pg_last_wal_replay_lsn` moves past a commit only when readers of the replica see it.
 */
export class Replica<Client extends ReplicaClient> implements ReplicaReads<Client> {
  readonly #database: Database;
  readonly #clock: () => Clock;
  readonly #pool: ReplicaPool<Client>;
  readonly #wait: number;
  readonly #flushedOnly: boolean;
  /** Loads that begin in one turn share the question. */
  #asking: Promise<Place> | undefined;

  /** @param flushedOnly whether only what is flushed is ever published. @throws CacheError `ERR_CACHE_OPTION`. */
  constructor(parts: {
    readonly database: Database;
    readonly clock: () => Clock;
    readonly pool: ReplicaPool<Client>;
    readonly options: ReplicaOptions;
    readonly flushedOnly: boolean;
  }) {
    const { pool, options } = parts;
    knownOptions(options, ["wait"], "replica");
    if (typeof (pool as Partial<ReplicaPool<Client>> | null)?.connect !== "function")
      throw optionError("pool", "a pg pool", pool);
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#pool = pool;
    this.#wait = toMilliseconds(options.wait ?? 100, "wait");
    this.#flushedOnly = parts.flushedOnly;
  }

  async read<T>(context: { readonly skip: () => void }, read: (client: Client) => Promise<T>): Promise<T> {
    // Without an answer of the primary's, a replica's is one for its callers.
    const wanted = await this.#primary().catch(() => undefined);
    return withPooledClient(
      this.#pool,
      async (client) => {
        if (wanted === undefined || !(await this.#reaches(client, wanted))) context.skip();
        return read(client);
      },
      (client) => client.release(),
    );
  }

  /** Whether the server of that connection has replayed the place, or does while it is waited for. */
  async #reaches(client: Client, wanted: Place): Promise<boolean> {
    const clock = this.#clock();
    const deadline = clock.now() + this.#wait;
    const waits = new Waits(1, 20);
    for (;;) {
      const [row] = resultsOf(await client.query(REPLICA)).at(-1) ?? [];
      const found = placeOf(row, row?.["replayed"]);
      if (found === undefined || found.system !== wanted.system) return false;
      // A replica of another timeline has other things at the same places.
      if (found.timeline !== "" && found.timeline !== wanted.timeline) return false;
      if (found.lsn >= wanted.lsn) return true;
      const left = deadline - clock.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => clock.after(Math.min(left, waits.next()), resolve));
    }
  }

  #primary(): Promise<Place> {
    this.#asking ??= Promise.resolve().then(async () => {
      // Asked from here on: a load that begins now must have a question of its own.
      this.#asking = undefined;
      const [row] = await this.#database.query(PRIMARY);
      const place = placeOf(row, row?.[this.#flushedOnly ? "flushed" : "inserted"]);
      if (place === undefined) throw new TypeError("A query of the feed has no answer");
      return place;
    });
    return this.#asking;
  }
}

function placeOf(row: PgRow | undefined, lsn: unknown): Place | undefined {
  if (typeof lsn !== "string") return undefined;
  const timeline = row?.["timeline"];
  return {
    system: String(row?.["system"]),
    timeline: typeof timeline === "string" ? timeline : "",
    lsn: parseLsn(lsn),
  };
}
