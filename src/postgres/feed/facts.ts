import type { Clock } from "../../clock.js";
import { CacheError } from "../../errors.js";
import type { WantedTable } from "../mapping.js";
import { tableKey, type PgRow } from "../pg.js";
import type { Database } from "./database.js";
import { parseLsn } from "./lsn.js";
import { parseSnapshot, type Snapshot } from "./snapshot.js";

/** Which history of which database it is. Places in the log of two of them say nothing of one another. */
export interface History {
  readonly system: string;
  readonly timeline: string;
}

export interface SlotFacts {
  readonly active: boolean;
  /** `lost`: what it needs is gone. */
  readonly lost: boolean;
  readonly plugin: string;
  /** Whether it belongs to this database. */
  readonly here: boolean;
  /** What was acknowledged. */
  readonly confirmed: bigint;
  /** Bytes of the log kept for it. */
  readonly retained: number;
}

export interface TableFacts {
  /** All its rows, and every kind of change. */
  readonly published: boolean;
  /** All columns that are wanted of it, and its replica identity. */
  readonly covered: boolean;
  /**
   * Two parts: what, when it changes, may have lost events (the table itself, its publication), and what may have changed rows
   * without an event (columns, files, partitions).
   */
  readonly digest: string;
}

/** How things stood at one moment. */
export interface Facts extends History {
  /** Taken before the question, on the monotonic clock. */
  readonly at: number;
  /** Whatever had committed at that time lies before this in the log. */
  readonly lsn: bigint;
  /** Sees whatever was visible at that time. */
  readonly snapshot: Snapshot;
  /** When the server was started. */
  readonly started: string;
  /** Whether commits may be lost with the server, although readers have seen them. */
  readonly lossy: boolean;
  readonly slot: SlotFacts | undefined;
  readonly tables: Readonly<Record<string, TableFacts>>;
}

/** The end of the log that is written, not of what is flushed: with `synchronous_commit = off` readers see what is not flushed yet. */
const POSITION = `
SELECT pg_is_in_recovery() AS recovery,
  current_setting('synchronous_commit') = 'off' AS lossy,
  CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END AS lsn,
  CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
  (SELECT system_identifier::text FROM pg_control_system()) AS system,
  extract(epoch FROM pg_postmaster_start_time())::text AS started`;

const STATE = `
SELECT pg_current_snapshot()::text AS snapshot,
  (SELECT row_to_json(found)::text FROM (
    SELECT active, coalesce(wal_status = 'lost', false) AS lost, plugin, database = current_database() AS here,
      coalesce(confirmed_flush_lsn, '0/0')::text AS confirmed,
      coalesce(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn), 0)::float8 AS retained
    FROM pg_replication_slots WHERE slot_name = $1) AS found) AS slot,
  (SELECT json_agg(row_to_json(found))::text FROM (
    SELECT wanted.schema || '.' || wanted.name AS key,
      coalesce(publication.puballtables OR listed.prrelid IS NOT NULL OR EXISTS (
        SELECT FROM pg_publication_namespace AS whole
        WHERE whole.pnpubid = publication.oid AND whole.pnnspid = room.oid), false)
      AND listed.prqual IS NULL AND publication.pubinsert AND publication.pubupdate AND publication.pubdelete
      AND publication.pubtruncate AS published,
      listed.prattrs IS NULL OR (relation.relreplident <> 'f' AND NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
          AND attnum <> ALL (listed.prattrs)
          AND (wanted.columns IS NULL OR attname = ANY (wanted.columns) OR attnum = ANY (
            SELECT unnest(indkey) FROM pg_index WHERE indrelid = relation.oid
              AND CASE relation.relreplident WHEN 'i' THEN indisreplident ELSE indisprimary END)))) AS covered,
      md5(concat_ws('|', relation.oid, publication.oid, publication.xmin, listed.oid, listed.xmin))
      || '/' ||
      md5(concat_ws('|', relation.relreplident, relation.relpersistence, pg_relation_filenode(relation.oid),
        (SELECT string_agg(concat_ws(' ', attnum, attname, atttypid), ',' ORDER BY attnum) FROM pg_attribute
          WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped),
        (SELECT string_agg(concat_ws(' ', part.relid::oid, pg_relation_filenode(part.relid)), ',' ORDER BY part.relid::oid)
          FROM pg_partition_tree(relation.oid) AS part))) AS digest
    FROM json_to_recordset($3::json) AS wanted(schema text, name text, columns text[])
    LEFT JOIN pg_namespace AS room ON room.nspname = wanted.schema
    LEFT JOIN pg_class AS relation ON relation.relnamespace = room.oid AND relation.relname = wanted.name
    LEFT JOIN pg_publication AS publication ON publication.pubname = $2
    LEFT JOIN pg_publication_rel AS listed ON listed.prrelid = relation.oid AND listed.prpubid = publication.oid
  ) AS found) AS tables`;

/**
 * Asks how things stand.
 *
 * In two queries, and in this order: the snapshot is taken after the log's end was, so that it sees everything that had
 * committed below it and was visible, whatever the isolation level of the connection.
 *
 * @throws CacheError `ERR_CACHE_OPTION` on a server that is a replica.
 */
export async function askFacts(
  database: Database,
  clock: Clock,
  slot: string,
  publication: string,
  tables: readonly WantedTable[],
): Promise<Facts> {
  const at = clock.now();
  const [position] = await database.query(POSITION);
  const wanted = tables.map(({ schema, table, columns }) => ({ schema, name: table, columns }));
  const [state] = await database.query(STATE, [slot, publication, JSON.stringify(wanted)]);
  if (position === undefined || state === undefined) throw new TypeError("A query of the feed has no answer");
  if (position["recovery"] === true)
    throw new CacheError("ERR_CACHE_OPTION", "Expected `connect` to be the primary, got a server in recovery");
  return {
    at,
    lsn: parseLsn(position["lsn"]),
    system: String(position["system"]),
    timeline: String(position["timeline"]),
    started: String(position["started"]),
    lossy: position["lossy"] === true,
    snapshot: parseSnapshot(state["snapshot"]),
    slot: slotOf(state["slot"]),
    tables: tablesOf(state["tables"], tables),
  };
}

function slotOf(text: unknown): SlotFacts | undefined {
  if (typeof text !== "string") return undefined;
  const found = JSON.parse(text) as PgRow;
  return {
    active: found["active"] === true,
    lost: found["lost"] === true,
    plugin: String(found["plugin"]),
    here: found["here"] === true,
    confirmed: parseLsn(found["confirmed"]),
    retained: Number(found["retained"]),
  };
}

function tablesOf(text: unknown, tables: readonly WantedTable[]): Record<string, TableFacts> {
  const found = typeof text === "string" ? (JSON.parse(text) as readonly PgRow[]) : [];
  const byKey = new Map(found.map((row) => [String(row["key"]), row]));
  return Object.fromEntries(
    tables.map((table) => {
      const row = byKey.get(tableKey(table));
      const published = row?.["published"] === true;
      return [tableKey(table), { published, covered: row?.["covered"] === true, digest: String(row?.["digest"]) }];
    }),
  );
}

/** The current snapshot, alone. */
export async function askSnapshot(database: Database): Promise<Snapshot> {
  const [row] = await database.query("SELECT pg_current_snapshot()::text AS snapshot");
  return parseSnapshot(row?.["snapshot"]);
}
