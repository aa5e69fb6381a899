import { systemClock } from "../../clock.js";
import { Database } from "../../postgres/feed/database.js";
import { findProblems } from "../../postgres/feed/setup.js";
import { Mappings, resolveMapping } from "../../postgres/mapping.js";
import type { PgRow } from "../../postgres/pg.js";
import { bytes, integer } from "../../figures.js";
import { span } from "../../spans.js";
import { findings, type Finding } from "../../admin/doctor/finding.js";

export interface PostgresNames {
  readonly publication: string;
  /** `undefined` is every slot that a feed names itself. */
  readonly slot: string | undefined;
}

const found = findings("postgres");
const BOUND = 5_000;
const GIGABYTE = 1_024 ** 3;
const SKEW = 1_000;
/** A change published later than this, because a transaction is open, is old news to readers. */
const OLD_TRANSACTION = 60_000;

const SLOTS = `
SELECT slot_name::text AS name, plugin::text, active, coalesce(wal_status, '') AS status, database = current_database() AS here,
  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8 AS retained,
  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::float8 AS behind
FROM pg_replication_slots WHERE slot_name = $1 OR ($1 = '' AND starts_with(slot_name, 'tiercache')) ORDER BY 1`;

const TABLES = `SELECT schemaname || '.' || tablename AS name FROM pg_publication_tables WHERE pubname = $1 ORDER BY 1`;

const NOW = `
SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now,
  current_setting('server_version') AS version, current_setting('synchronous_commit') AS commits,
  coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float8 * 1000 FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()), 0) AS oldest`;

/**
 * Looks at a database that feeds a cache: settings, publication and its tables, slots and the log kept for them, clock. Changes nothing.
 *
 * @throws whatever the database says when it cannot be reached.
 */
export async function checkPostgres(url: string, names: PostgresNames): Promise<readonly Finding[]> {
  const database = new Database({ connect: url, pool: undefined, clock: systemClock, bound: BOUND });
  try {
    const asked = Date.now();
    const [now] = await database.query(NOW);
    const middle = (asked + Date.now()) / 2;
    const slots = await database.query(SLOTS, [names.slot ?? ""]);
    const tables = (await database.query(TABLES, [names.publication])).map((row) => String(row["name"]));
    return [
      ...(await checkSetup(database, names, tables, slots)),
      ...(slots.length === 0 ? [noSlot(names)] : slots.map(checkSlot)),
      ...checkNow(now ?? {}, middle),
    ];
  } finally {
    await database.close();
  }
}

/** What the feed itself would say of the database, for the tables that are published. */
async function checkSetup(
  database: Database,
  names: PostgresNames,
  tables: readonly string[],
  slots: readonly PgRow[],
): Promise<readonly Finding[]> {
  const mappings = new Mappings();
  for (const table of tables) mappings.add(resolveMapping(table, { targets: () => [] }));
  const slot = names.slot ?? (slots[0] === undefined ? undefined : String(slots[0]["name"]));
  const problems = await findProblems(database, { publication: names.publication, slot }, mappings);
  const told = problems.map(({ level, code, message, sql }) =>
    found(code, level === "refused" ? "fail" : "warn", message, sql),
  );
  const has = (...codes: readonly string[]): boolean => problems.some(({ code }) => codes.includes(code));
  const fine: Finding[] = [];
  if (!has("version")) fine.push(found("version", "ok", "PostgreSQL 15 or newer"));
  if (!has("wal-level", "version")) fine.push(found("wal-level", "ok", "wal_level is logical"));
  if (!has("wal-keep", "version")) fine.push(found("wal-keep", "ok", "max_slot_wal_keep_size has a bound"));
  if (!has("role", "version")) fine.push(found("role", "ok", "the role may replicate"));
  if (!has("publication", "version"))
    fine.push(
      tables.length === 0
        ? found(
            "publication",
            "warn",
            `the publication ${names.publication} has no tables`,
            `ALTER PUBLICATION ${names.publication} ADD TABLE …`,
          )
        : found(
            "publication",
            "ok",
            `the publication ${names.publication} tells of ${integer(tables.length)} ${tables.length === 1 ? "table" : "tables"}: ${tables.slice(0, 8).join(", ")}${tables.length > 8 ? " …" : ""}`,
          ),
    );
  return [...fine, ...told];
}

function noSlot({ slot }: PostgresNames): Finding {
  const which = slot === undefined ? "no slot begins with tiercache" : `there is no slot ${slot}`;
  return found(
    "slot",
    "warn",
    `${which}: no feed has run here yet, or it was dropped; the feed makes its own`,
    "start a process with postgresFeed(…)",
  );
}

function checkSlot(slot: PgRow): Finding {
  const name = String(slot["name"]);
  const retained = Number(slot["retained"]);
  const behind = Number(slot["behind"]);
  const drop = `SELECT pg_drop_replication_slot('${name.replaceAll("'", "''")}')`;
  if (slot["status"] === "lost")
    return found(
      "slot",
      "fail",
      `the log that the slot ${name} needs is gone: the feed makes a new one and forgets everything`,
      drop,
    );
  if (slot["active"] !== true)
    return found(
      "slot",
      retained > GIGABYTE ? "fail" : "warn",
      `nobody reads the slot ${name}, and ${bytes(retained)} of log are kept for it`,
      `start the cache that reads it, or: ${drop}`,
    );
  if (retained > GIGABYTE)
    return found(
      "slot",
      "warn",
      `the slot ${name} keeps ${bytes(retained)} of log: its reader is ${bytes(behind)} behind`,
      "tiercache stats: is the shared tier up?",
    );
  return found(
    "slot",
    "ok",
    `the slot ${name} is read, ${bytes(behind)} behind; ${bytes(retained)} of log are kept for it`,
  );
}

function checkNow(now: PgRow, asked: number): readonly Finding[] {
  const skew = Number(now["now"]) - asked;
  const oldest = Number(now["oldest"]);
  return [
    Math.abs(skew) <= SKEW
      ? found("clock", "ok", "its clock and this machine's agree within a second")
      : found(
          "clock",
          "warn",
          `its clock is ${span(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} this machine's`,
          "run chrony or another NTP client on both",
        ),
    oldest < OLD_TRANSACTION
      ? found("transactions", "ok", "no transaction that writes is older than a minute")
      : found(
          "transactions",
          "warn",
          `a transaction that writes is ${span(oldest)} old: a new slot waits for its end`,
          "SET idle_in_transaction_session_timeout = '1min'",
        ),
  ];
}
