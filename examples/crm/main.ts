import { randomBytes } from "node:crypto";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { createCrm } from "./crm.js";
import { openFeed, removeFeed } from "./feed.js";
import { createTables, createTenant, openDatabase, type Database } from "./database.js";
import { playScenario } from "./scenario.js";

const TENANTS = ["acme", "globex"] as const;

/** Everything is undone, in reverse, however the scenario ends. */
const cleanups: (() => Promise<unknown>)[] = [];
try {
  const database = await openOwnDatabase();
  await createTables(database);
  for (const tenant of TENANTS) await createTenant(database, tenant);
  const slot = `crm_${randomBytes(6).toString("hex")}`;
  cleanups.push(() => removeFeed(database, slot));
  const feed = openFeed(database, slot);
  const crm = createCrm(database, { feed });
  cleanups.push(() => crm.close());
  await feed.ready();
  await playScenario(crm, database, TENANTS, (line) => console.log(line));
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}

/** In a PostgreSQL started for it, or in a schema of its own in the one that DATABASE_URL names. */
async function openOwnDatabase(): Promise<Database> {
  const given = process.env["DATABASE_URL"];
  if (given === undefined || given === "") {
    // A commit comes to the feed when it is in the log's file: at once this way.
    const server = await startPostgres({ settings: { synchronous_commit: "on" } });
    cleanups.push(() => server.stop());
    console.log("PostgreSQL: one of our own, for as long as this runs");
    return closedAtEnd(openDatabase(server.url));
  }
  const schema = `crm_${randomBytes(6).toString("hex")}`;
  const outside = closedAtEnd(openDatabase(given));
  await outside.query(`create schema ${schema}`);
  cleanups.push(() => outside.query(`drop schema ${schema} cascade`));
  console.log(`PostgreSQL: the one of DATABASE_URL, in the schema ${schema}`);
  return closedAtEnd(openDatabase(given, schema));
}

function closedAtEnd(database: Database): Database {
  cleanups.push(() => database.close());
  return database;
}
