/*
 * Everything the tests need, as one module: it is loaded through tsx, because the test runner's own transform leaves
 * decorators as they are, and what is loaded apart would be another copy of each class.
 */
import { startPostgres } from "../../scripts/servers/postgres.js";
import { memory, type CacheOptions } from "../../src/index.js";
import { FakeClock, SharedMemory } from "../../src/testing/index.js";
import { CACHE_TTL } from "./caching.js";
import { createCrm, type Crm } from "./crm.js";
import { createTables, createTenant, openDatabase, type Database } from "./database.js";
import { SqlProducts } from "./sql/catalogue.js";
import { SqlContacts, SqlDeals } from "./sql/people.js";

export interface Testing {
  readonly startTestCrm: typeof startTestCrm;
  readonly memory: typeof memory;
  readonly FakeClock: typeof FakeClock;
  readonly SharedMemory: typeof SharedMemory;
  readonly CACHE_TTL: typeof CACHE_TTL;
  readonly SqlContacts: typeof SqlContacts;
  readonly SqlDeals: typeof SqlDeals;
  readonly SqlProducts: typeof SqlProducts;
}

export interface TestCrm {
  readonly database: Database;
  /** One process of the CRM, closed with the rest. */
  crm(options?: CacheOptions): Crm;
  /** Makes tenants that no test has had before, of these names. */
  tenants(...names: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

async function startTestCrm(): Promise<TestCrm> {
  const server = await startPostgres();
  const database = openDatabase(server.url);
  await createTables(database);
  const open: Crm[] = [];
  return {
    database,
    crm(options) {
      const crm = createCrm(database, options);
      open.push(crm);
      return crm;
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
  SqlContacts,
  SqlDeals,
  SqlProducts,
};
