/*
 * Everything the tests need, as one module: it is loaded through tsx, because the test runner's own transform leaves
 * decorators as they are, and what is loaded apart would be another copy of each class.
 */
import { randomBytes } from "node:crypto";
import { startPostgres } from "../../scripts/servers/postgres.js";
import { memory } from "../../src/index.js";
import { FakeClock, SharedMemory } from "../../src/testing/index.js";
import { CACHE_TTL } from "./caching.js";
import { createCrm, type Crm, type CrmOptions } from "./crm.js";
import { createTables, createTenant, openDatabase, type Database } from "./database.js";
import { MAX_STALENESS, openFeed, removeFeed } from "./feed.js";
import { SqlProducts } from "./sql/catalogue.js";
import { SqlContacts, SqlDeals } from "./sql/people.js";

export interface Testing {
  readonly startTestCrm: typeof startTestCrm;
  readonly memory: typeof memory;
  readonly FakeClock: typeof FakeClock;
  readonly SharedMemory: typeof SharedMemory;
  readonly CACHE_TTL: typeof CACHE_TTL;
  readonly MAX_STALENESS: typeof MAX_STALENESS;
  readonly SqlContacts: typeof SqlContacts;
  readonly SqlDeals: typeof SqlDeals;
  readonly SqlProducts: typeof SqlProducts;
}

export interface TestCrm {
  readonly database: Database;
  /** One process of the CRM that nobody tells of changes, closed with the rest. */
  crm(options?: CrmOptions): Crm;
  /** One process of the CRM with its feed. Those that share a tier share a slot. */
  fed(options?: CrmOptions & { readonly slot?: string | undefined }): Promise<Crm>;
  /** Closes those with a feed, and removes their slots. */
  closeFed(): Promise<void>;
  /** Makes tenants that no test has had before, of these names. */
  tenants(...names: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

async function startTestCrm(): Promise<TestCrm> {
  // A commit comes to the feed when it is in the log's file: at once this way.
  const server = await startPostgres({ settings: { synchronous_commit: "on" } });
  const database = openDatabase(server.url);
  await createTables(database);
  const open: Crm[] = [];
  const fed: { readonly crm: Crm; readonly slot: string }[] = [];
  return {
    database,
    crm(options) {
      const crm = createCrm(database, options);
      open.push(crm);
      return crm;
    },
    async fed({ slot = `test_${randomBytes(6).toString("hex")}`, ...options } = {}) {
      const feed = openFeed(database, slot);
      const crm = createCrm(database, { ...options, feed });
      fed.push({ crm, slot });
      await feed.ready();
      return crm;
    },
    async closeFed() {
      const closing = fed.splice(0);
      for (const { crm } of closing) await crm.close();
      for (const slot of new Set(closing.map((one) => one.slot))) await removeFeed(database, slot);
    },
    async tenants(...names) {
      for (const name of names) await createTenant(database, name);
    },
    async stop() {
      for (const crm of open) await crm.close();
      await database.close();
      await server.stop();
    },
  };
}

export const testing: Testing = {
  startTestCrm,
  memory,
  FakeClock,
  SharedMemory,
  CACHE_TTL,
  MAX_STALENESS,
  SqlContacts,
  SqlDeals,
  SqlProducts,
};
