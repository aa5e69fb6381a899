import type { Mappings, WantedTable } from "./mapping.js";
import { identifier, literal, quotedTable, tableKey } from "./pg.js";

/**
 * Creates an outbox and its triggers; run again, it does what is missing.
 *
 * @param name of a table and a function in `public`, and of a trigger on each table.
 */
export function installStatements(name: string, mappings: Mappings): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS ${outboxTable(name)} (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      source text NOT NULL, kind text NOT NULL, old jsonb, new jsonb
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
    functionStatement(name),
    ...mappings.tables.flatMap((table) => triggerStatements(name, table)),
  ];
}

export function removeStatements(name: string, mappings: Mappings): string[] {
  return [
    ...mappings.tables.flatMap((table) =>
      [name, truncateTrigger(name)].map(
        (trigger) =>
          // Of a table that is gone the trigger is gone as well.
          `DO $$ BEGIN IF to_regclass(${literal(quotedTable(table))}) IS NOT NULL THEN
            DROP TRIGGER IF EXISTS ${identifier(trigger)} ON ${quotedTable(table)}; END IF; END $$`,
      ),
    ),
    `DROP FUNCTION IF EXISTS ${outboxTable(name)}() CASCADE`,
    `DROP TABLE IF EXISTS ${outboxTable(name)}`,
  ];
}

export function outboxTable(name: string): string {
  return quotedTable({ schema: "public", table: name });
}

function truncateTrigger(name: string): string {
  return `${name}_all`;
}

/**
 * Writes a row's old and new columns, or those that the trigger names. As jsonb: a column that comes or goes never makes
 * the application's write fail. SECURITY DEFINER: whoever may write the table need not know of the outbox.
 */
function functionStatement(name: string): string {
  return `CREATE OR REPLACE FUNCTION ${outboxTable(name)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      old_row jsonb;
      new_row jsonb;
      wanted text[] := TG_ARGV[1:];
    BEGIN
      IF TG_LEVEL = 'ROW' AND TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
      IF TG_LEVEL = 'ROW' AND TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
      IF cardinality(wanted) > 0 THEN
        old_row := (SELECT jsonb_object_agg(name, old_row -> name) FROM unnest(wanted) AS name WHERE old_row ? name);
        new_row := (SELECT jsonb_object_agg(name, new_row -> name) FROM unnest(wanted) AS name WHERE new_row ? name);
      END IF;
      INSERT INTO ${outboxTable(name)} (source, kind, old, new) VALUES (TG_ARGV[0], lower(TG_OP), old_row, new_row);
      RETURN NULL;
    END $$`;
}

function triggerStatements(name: string, table: WantedTable): string[] {
  const args = [tableKey(table), ...(table.columns ?? [])].map(literal).join(", ");
  const create = (trigger: string, events: string, level: string): string[] => [
    `DROP TRIGGER IF EXISTS ${identifier(trigger)} ON ${quotedTable(table)}`,
    createTrigger(
      `CREATE TRIGGER ${identifier(trigger)} AFTER ${events} ON ${quotedTable(table)}
      FOR EACH ${level} EXECUTE FUNCTION ${outboxTable(name)}(${args}`,
      table,
    ),
    // Also for what a replication's apply worker writes.
    `ALTER TABLE ${quotedTable(table)} ENABLE ALWAYS TRIGGER ${identifier(trigger)}`,
  ];
  return [
    ...create(name, "INSERT OR UPDATE OR DELETE", "ROW"),
    ...create(truncateTrigger(name), "TRUNCATE", "STATEMENT"),
  ];
}

/** With `columns` the identity goes with them; a table that has none has all its columns in the outbox. */
function createTrigger(open: string, table: WantedTable): string {
  if (table.columns === undefined) return `${open})`;
  return `DO $do$ BEGIN EXECUTE ${literal(open)} || coalesce((
      SELECT string_agg(', ' || quote_literal(attname), '' ORDER BY attnum) FROM pg_attribute
      WHERE attrelid = ${literal(quotedTable(table))}::regclass AND ${IS_IDENTITY}), '') || ')'; END $do$`;
}

/** Of a row of `pg_attribute`. */
const IS_IDENTITY: string = `attnum = ANY (SELECT unnest(indkey) FROM pg_index WHERE indrelid = attrelid
  AND CASE (SELECT relreplident FROM pg_class WHERE pg_class.oid = attrelid) WHEN 'i' THEN indisreplident ELSE indisprimary END)`;

/** How things stand, in one query: $1 the outbox, $2 the tables. */
export const OUTBOX_STATE: string = `
SELECT pg_is_in_recovery() AS recovery, current_setting('synchronous_commit') = 'off' AS lossy,
  pg_current_snapshot()::text AS snapshot,
  (SELECT system_identifier::text FROM pg_control_system()) AS system,
  CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
  extract(epoch FROM pg_postmaster_start_time())::text AS started,
  (SELECT concat_ws(' ', oid, pg_relation_filenode(oid)) FROM pg_class WHERE oid = to_regclass('public.' || quote_ident($1))) AS outbox,
  (SELECT json_agg(row_to_json(found))::text FROM (
    SELECT wanted.schema || '.' || wanted.name AS key,
      (SELECT count(*) = 2 FROM pg_trigger WHERE tgrelid = relation.oid AND tgenabled = 'A' AND NOT tgisinternal
        AND tgname IN ($1, $1 || '_all') AND (tgnargs = 1 OR wanted.columns IS NOT NULL AND NOT EXISTS (
          SELECT FROM pg_attribute WHERE attrelid = tgrelid AND attnum > 0 AND NOT attisdropped
            AND (attname = ANY (wanted.columns) OR ${IS_IDENTITY})
            AND encode(convert_to(attname::text, getdatabaseencoding()), 'escape')
              <> ALL (string_to_array(encode(tgargs, 'escape'), chr(92) || '000'))))) AS heard,
      md5(concat_ws('|', relation.oid, pg_relation_filenode(relation.oid),
        (SELECT string_agg(concat_ws(' ', oid, xmin, tgenabled, tgargs), ',' ORDER BY tgname) FROM pg_trigger
          WHERE tgrelid = relation.oid AND NOT tgisinternal AND tgname IN ($1, $1 || '_all')),
        (SELECT string_agg(concat_ws(' ', attnum, attname, atttypid), ',' ORDER BY attnum) FROM pg_attribute
          WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped),
        (SELECT string_agg(concat_ws(' ', part.relid::oid, pg_relation_filenode(part.relid)), ',' ORDER BY part.relid::oid)
          FROM pg_partition_tree(relation.oid) AS part))) AS digest,
      (SELECT json_object_agg(attname, json_build_object('type', atttypid::bigint, 'category', typcategory))
        FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped) AS columns
    FROM json_to_recordset($2::json) AS wanted(schema text, name text, columns text[])
    LEFT JOIN pg_namespace AS room ON room.nspname = wanted.schema
    LEFT JOIN pg_class AS relation ON relation.relnamespace = room.oid AND relation.relname = wanted.name
  ) AS found) AS tables`;

/**
 * Takes the oldest rows. It does not skip those that another has locked: under the lock there is no other, and a row that is
 * skipped would be a change unseen. Never by "id above the last": ids are given before commits, and commits come in any order.
 */
export function takeStatement(name: string, limit: number): string {
  return `WITH taken AS (
      DELETE FROM ${outboxTable(name)} WHERE id IN (SELECT id FROM ${outboxTable(name)} ORDER BY id LIMIT ${limit})
      RETURNING id, source, kind, old, new)
    SELECT source, kind,
      (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(old))::text AS old,
      (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(new))::text AS new
    FROM taken ORDER BY id`;
}
