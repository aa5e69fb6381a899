import type { Mappings, WantedTable } from "../mapping.js";
import { identifier, literal, quotedTable, tableKey, type PgRow, type TableName } from "../pg.js";
import type { Database } from "./database.js";

/** Something in the database that the feed cannot do without (`refused`), or that will hurt one day (`advice`). */
export interface SetupProblem {
  readonly level: "refused" | "advice";
  readonly code:
    | "version"
    | "recovery"
    | "wal-level"
    | "slots"
    | "senders"
    | "role"
    | "table"
    | "identity"
    | "persistence"
    | "publication"
    | "slot"
    | "wal-keep"
    | "outbox";
  readonly message: string;
  /** The statement that mends it, for a role that may; `undefined` when none does. */
  readonly sql: string | undefined;
}

export interface SetupNames {
  readonly publication: string;
  /** `undefined` while the cache's name is not known. */
  readonly slot: string | undefined;
}

const SERVER = `
SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS recovery,
  current_setting('wal_level') AS wal_level, current_setting('max_replication_slots')::int AS max_slots,
  (SELECT count(*)::int FROM pg_replication_slots) AS slots,
  current_setting('max_wal_senders')::int AS max_senders,
  (SELECT count(*)::int FROM pg_stat_replication) AS senders,
  (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
  current_user::text AS role,
  (SELECT rolsuper OR rolreplication OR EXISTS (
    SELECT FROM pg_roles AS cloud WHERE cloud.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
      AND pg_has_role(current_user, cloud.oid, 'MEMBER')) FROM pg_roles WHERE rolname = current_user) AS replicates,
  current_database()::text AS database,
  (SELECT row_to_json(found)::text FROM (SELECT plugin, database, wal_status FROM pg_replication_slots WHERE slot_name = $1) AS found) AS slot`;

const TABLES = `
SELECT wanted.schema || '.' || wanted.name AS key, relation.oid IS NOT NULL AS exists, relation.relkind::text AS kind,
  relation.relreplident::text AS identity, relation.relpersistence::text AS persistence,
  EXISTS (SELECT FROM pg_index WHERE indrelid = relation.oid AND indisprimary) AS has_key,
  EXISTS (SELECT FROM pg_index WHERE indrelid = relation.oid AND indisreplident) AS has_index,
  (SELECT json_agg(attname)::text FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
    AND (relation.relreplident = 'f' OR attnum = ANY (SELECT unnest(indkey) FROM pg_index WHERE indrelid = relation.oid
      AND CASE relation.relreplident WHEN 'i' THEN indisreplident ELSE indisprimary END))) AS identity_columns,
  coalesce(publication.puballtables OR listed.prrelid IS NOT NULL OR EXISTS (
    SELECT FROM pg_publication_namespace AS whole
    WHERE whole.pnpubid = publication.oid AND whole.pnnspid = room.oid), false) AS published,
  listed.prqual IS NOT NULL AS filtered,
  (SELECT json_agg(attname)::text FROM pg_attribute
    WHERE attrelid = relation.oid AND attnum = ANY (listed.prattrs)) AS published_columns,
  (SELECT json_agg(attname ORDER BY attnum)::text FROM pg_attribute
    WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS all_columns
FROM json_to_recordset($2::json) AS wanted(schema text, name text)
LEFT JOIN pg_namespace AS room ON room.nspname = wanted.schema
LEFT JOIN pg_class AS relation ON relation.relnamespace = room.oid AND relation.relname = wanted.name
LEFT JOIN pg_publication AS publication ON publication.pubname = $1
LEFT JOIN pg_publication_rel AS listed ON listed.prrelid = relation.oid AND listed.prpubid = publication.oid`;

const PUBLICATION =
  "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AS whole, puballtables AS every, pubviaroot AS root FROM pg_publication WHERE pubname = $1";

/** Looks at everything the feed needs; changes nothing. */
export async function findProblems(database: Database, names: SetupNames, mappings: Mappings): Promise<SetupProblem[]> {
  const [server] = await database.query(SERVER, [names.slot ?? ""]);
  if (server === undefined) throw new TypeError("A query of the feed has no answer");
  if (Number(server["version"]) < 150_000)
    return [refused("version", `PostgreSQL 15 or newer is needed, this is ${String(server["version"])}`)];
  const wanted = mappings.tables.map(({ schema, table }) => ({ schema, name: table }));
  const tables = await database.query(TABLES, [names.publication, JSON.stringify(wanted)]);
  const [publication] = await database.query(PUBLICATION, [names.publication]);
  return [
    ...serverProblems(server, names),
    ...mappings.tables.flatMap((table) => {
      const found = tables.find((row) => row["key"] === tableKey(table));
      return found === undefined ? [] : tableProblems(table, found, names, publication);
    }),
    ...publicationProblems(publication, names, mappings, tables),
  ];
}

function serverProblems(server: PgRow, { slot }: SetupNames): SetupProblem[] {
  const problems: SetupProblem[] = [];
  if (server["recovery"] === true)
    problems.push(refused("recovery", "This server is a replica: connect to the primary"));
  if (server["wal_level"] !== "logical")
    problems.push(
      refused(
        "wal-level",
        `wal_level is ${String(server["wal_level"])}; logical is needed, and a restart after it is set`,
        "ALTER SYSTEM SET wal_level = 'logical'",
      ),
    );
  if (server["replicates"] !== true)
    problems.push(
      refused(
        "role",
        `The role ${String(server["role"])} may not replicate`,
        `ALTER ROLE ${identifier(String(server["role"]))} REPLICATION`,
      ),
    );
  const own = typeof server["slot"] === "string" ? (JSON.parse(server["slot"]) as PgRow) : undefined;
  if (
    own !== undefined &&
    slot !== undefined &&
    (own["plugin"] !== "pgoutput" || own["database"] !== server["database"])
  )
    problems.push(
      refused(
        "slot",
        `The slot ${slot} is another's: plugin ${String(own["plugin"])}, database ${String(own["database"])}; name another with \`slot\``,
      ),
    );
  const [slots, maxSlots] = [Number(server["slots"]), Number(server["max_slots"])];
  if (own === undefined && slots >= maxSlots)
    problems.push(
      refused(
        "slots",
        `All ${maxSlots} replication slots are taken; more need a restart`,
        `ALTER SYSTEM SET max_replication_slots = ${slots + 4}`,
      ),
    );
  const [senders, maxSenders] = [Number(server["senders"]), Number(server["max_senders"])];
  if (senders >= maxSenders)
    problems.push({
      ...refused(
        "senders",
        `All ${maxSenders} WAL senders are taken; more need a restart`,
        `ALTER SYSTEM SET max_wal_senders = ${senders + 4}`,
      ),
      // One of them may be the feed itself.
      level: maxSenders === 0 ? "refused" : "advice",
    });
  if (Number(server["keep"]) < 0)
    problems.push({
      level: "advice",
      code: "wal-keep",
      message:
        "max_slot_wal_keep_size has no bound: a feed that is switched off fills the disk with the log kept for it",
      sql: "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'; SELECT pg_reload_conf()",
    });
  return problems;
}

function tableProblems(
  table: WantedTable,
  found: PgRow,
  names: SetupNames,
  publication: PgRow | undefined,
): SetupProblem[] {
  const name = quotedTable(table);
  if (found["exists"] !== true) return [refused("table", `There is no table ${name}`)];
  if (found["kind"] !== "r" && found["kind"] !== "p")
    return [refused("table", `${name} is not a table: only tables have events`)];
  const problems: SetupProblem[] = [];
  if (found["persistence"] !== "p")
    problems.push(
      refused(
        "persistence",
        `${name} is unlogged or temporary: it is not in the log`,
        `ALTER TABLE ${name} SET LOGGED`,
      ),
    );
  const identity = found["identity"];
  if (
    identity === "n" ||
    (identity === "d" && found["has_key"] !== true) ||
    (identity === "i" && found["has_index"] !== true)
  )
    problems.push(
      refused(
        "identity",
        `${name} has no ${identity === "d" ? "primary key" : "replica identity"}: published, its UPDATEs and DELETEs would fail`,
        identity === "d" ? `ALTER TABLE ${name} ADD PRIMARY KEY (id)` : `ALTER TABLE ${name} REPLICA IDENTITY DEFAULT`,
      ),
    );
  if (publication === undefined) return problems;
  const { publication: listing } = names;
  const add = `ALTER PUBLICATION ${identifier(listing)} ADD TABLE ${listed(table, found)}`;
  const anew = `ALTER PUBLICATION ${identifier(listing)} DROP TABLE ${name}; ${add}`;
  if (found["published"] !== true)
    problems.push(refused("publication", `${name} is not in the publication ${listing}`, add));
  if (found["filtered"] === true) {
    const message = `The publication ${listing} has a WHERE for ${name}: changes of other rows would not be told`;
    problems.push(refused("publication", message, anew));
  }
  problems.push(...columnProblems(table, found, listing, anew));
  return problems;
}

function columnProblems(table: WantedTable, found: PgRow, listing: string, anew: string): SetupProblem[] {
  const published = listOf(found["published_columns"]);
  if (published.length === 0) return [];
  const name = quotedTable(table);
  const key = listOf(found["identity_columns"]);
  if (found["identity"] === "f" || key.some((column) => !published.includes(column)))
    return [
      refused(
        "publication",
        `The publication ${listing} leaves out columns of the replica identity of ${name}: its UPDATEs and DELETEs fail`,
        anew,
      ),
    ];
  const left = (table.columns ?? listOf(found["all_columns"])).filter((column) => !published.includes(column));
  if (left.length === 0) return [];
  const problem = refused("publication", `The publication ${listing} leaves out ${left.join(", ")} of ${name}`, anew);
  // Which of all columns are read nobody has said: it may be that none of these is.
  return [table.columns === undefined ? { ...problem, level: "advice" } : problem];
}

function publicationProblems(
  publication: PgRow | undefined,
  names: SetupNames,
  mappings: Mappings,
  tables: readonly PgRow[],
): SetupProblem[] {
  const name = identifier(names.publication);
  if (publication === undefined) {
    const sql = createPublication(names, mappings, tables);
    return [refused("publication", `There is no publication ${names.publication}`, sql)];
  }
  if (publication["whole"] !== true)
    return [
      refused(
        "publication",
        `The publication ${names.publication} leaves out some kinds of change`,
        `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate')`,
      ),
    ];
  return [];
}

function createPublication(names: SetupNames, mappings: Mappings, found: readonly PgRow[]): string {
  const tables = mappings.tables.map((table) =>
    listed(table, found.find((row) => row["key"] === tableKey(table)) ?? {}),
  );
  const list = tables.length === 0 ? "" : ` FOR TABLE ${tables.join(", ")}`;
  return `CREATE PUBLICATION ${identifier(names.publication)}${list} WITH (publish_via_partition_root = true)`;
}

/**
 * A table with what is to be published of it: its identity, what is wanted, and what was published before, which another cache may
 * want. With all columns as identity there must be no list.
 */
function listed(table: WantedTable, found: PgRow): string {
  if (table.columns === undefined || found["identity"] === "f") return quotedTable(table);
  const before = listOf(found["published_columns"]);
  const columns = new Set([...listOf(found["identity_columns"]), ...before, ...table.columns]);
  return `${quotedTable(table)} (${[...columns].map(identifier).join(", ")})`;
}

function listOf(text: unknown): string[] {
  return typeof text === "string" ? (JSON.parse(text) as string[]) : [];
}

function refused(code: SetupProblem["code"], message: string, sql?: string): SetupProblem {
  return { level: "refused", code, message, sql };
}

/** Does what can be done by statements that need no restart and change no table: the publication. @returns what is left. */
export async function mendSetup(database: Database, names: SetupNames, mappings: Mappings): Promise<SetupProblem[]> {
  const problems = await findProblems(database, names, mappings);
  const mendable = problems.filter(({ code, sql }) => code === "publication" && sql !== undefined);
  // A table that cannot be published well is not published at all: its UPDATEs would fail.
  const bad = problems.some(({ level, code }) => level === "refused" && code !== "publication");
  if (mendable.length === 0 || bad) return problems;
  const failed: SetupProblem[] = [];
  for (const problem of mendable) {
    try {
      await database.statements(...(problem.sql ?? "").split("; "));
    } catch (error) {
      // Another process of the cache does the same at the same time: what counts is how things are afterwards.
      failed.push({
        ...problem,
        message: `${problem.message} (${error instanceof Error ? error.message : String(error)})`,
      });
    }
  }
  const left = await findProblems(database, names, mappings);
  return left.map((one) => failed.find(({ sql }) => sql === one.sql) ?? one);
}

/** Publishes tables that are registered and not published, if they may be. */
export async function addToPublication(
  database: Database,
  publication: string,
  mappings: Mappings,
  missing: readonly TableName[],
): Promise<void> {
  const problems = await mendSetup(database, { publication, slot: undefined }, mappings);
  const names = missing.map(quotedTable);
  const left = problems.filter(
    ({ level, code, message }) =>
      level === "refused" && (code === "publication" || names.some((name) => message.includes(name))),
  );
  if (left.length > 0)
    throw new Error(left.map(({ message, sql }) => (sql === undefined ? message : `${message}: ${sql}`)).join("\n"));
}

/** A literal for `CREATE_REPLICATION_SLOT` by function. */
export function createSlotSql(slot: string): string {
  return `SELECT lsn::text FROM pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput')`;
}
