import { dropSlot } from "../../scripts/servers/drop-slot.js";
import type { InvalidationTarget, KeyInput } from "../../src/index.js";
import { postgresFeed, type PostgresFeed, type RowChange } from "../../src/postgres/index.js";
import { pipelineTag, type Repositories } from "./caching.js";
import type { Database } from "./database.js";
import { greetingTag, type Users } from "./users.js";

/** What the tables' rows are told apart by. No other column leaves the database. */
interface Row {
  tenant: string;
  id: number;
}

interface SettingRow {
  tenant: string;
  name: string;
}

/** What a repository makes of the ids of rows: whatever holds them, what belongs to them, and the lists they may be in. */
interface CachedRows {
  readonly cache: {
    in(tenant: string): { targetsOf(...ids: readonly KeyInput[]): readonly InvalidationTarget[] };
  };
}

/** Milliseconds: how old an answer may be at the most, whoever wrote, and whatever breaks. */
export const MAX_STALENESS = 2_000;

/** Tells a cache of what anybody changes in the database. @param slot one for each cache, and shared by its processes */
export function openFeed(database: Database, slot: string): PostgresFeed {
  return postgresFeed({ connect: database.url, slot, publication: slot, maxStaleness: MAX_STALENESS });
}

/** A slot is kept for the next process that starts, and the server's log with it: for one that nobody will read again. */
export async function removeFeed(database: Database, slot: string): Promise<void> {
  await dropSlot(database, slot);
  await database.query(`drop publication if exists ${slot}`);
}

/** Says once what a change of each table makes outdated, whoever makes it. */
export function mapTables(
  feed: PostgresFeed,
  schema: string | undefined,
  { contacts, categories, products, deals, settings }: Repositories,
  users: Users,
): void {
  const named = (table: string): string => (schema === undefined ? table : `${schema}.${table}`);
  const rowsOf = (repository: CachedRows, ...more: readonly ((row: Row) => InvalidationTarget)[]) => ({
    columns: ["tenant", "id"] as const,
    targets: (change: RowChange<Row>) =>
      sidesOf(change).flatMap((row) => [
        ...repository.cache.in(row.tenant).targetsOf(row.id),
        ...more.map((target) => target(row)),
      ]),
  });
  feed
    .table<Row>(named("contacts"), rowsOf(contacts))
    .table<Row>(named("categories"), rowsOf(categories))
    .table<Row>(named("products"), rowsOf(products))
    .table<Row>(
      named("deals"),
      rowsOf(deals, ({ tenant }) => ({ tag: pipelineTag(tenant) })),
    )
    .table<SettingRow>(named("settings"), {
      columns: ["tenant", "name"],
      targets: (change) => sidesOf(change).flatMap(({ tenant, name }) => settings.cache.in(tenant).targetsOf(name)),
    })
    .table<Row>(named("users"), {
      columns: ["tenant", "id"],
      entity: users.entity,
      scope: ({ tenant }) => tenant,
      id: ({ id }) => id,
      targets: (change) => sidesOf(change).map(({ tenant, id }) => ({ tag: greetingTag(tenant, id) })),
    });
}

/** The row as it was and as it is: one that gets another key leaves one place and comes to another. */
function sidesOf<R extends object>({ old, new: now }: RowChange<R>): readonly R[] {
  return [old, now].filter((row) => row !== undefined);
}
