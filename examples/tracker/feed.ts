import { dropSlot } from "../../scripts/servers/drop-slot.js";
import { postgresFeed, type PostgresFeed } from "../../src/postgres/index.js";
import type { Database } from "./database.js";

/**
 * A feed of what anybody changes in the database: by logical replication, or where the server does not allow that, by triggers
 * that fill an outbox.
 *
 * @param name of its slot, of its publication, or of its outbox: one for each cache and database.
 */
export async function openFeed(database: Database, name: string, maxStaleness: number): Promise<PostgresFeed> {
  const [server] = await database.query<{ isLogical: boolean }>(
    `select current_setting('wal_level') = 'logical' as "isLogical"`,
    [],
  );
  return postgresFeed({
    connect: database.url,
    method: server?.isLogical === true ? "replication" : "outbox",
    slot: name,
    publication: name,
    maxStaleness,
  });
}

/**
 * Removes what a feed leaves in the database for the next process that starts. A slot that nobody reads has the server keep its
 * log for ever: this is for a database whose processes will not come back.
 */
export async function removeFeed(database: Database, name: string): Promise<void> {
  await dropSlot(database, name);
  await database.run(
    `drop publication if exists ${name}; drop function if exists public.${name}() cascade; drop table if exists public.${name}`,
  );
}
